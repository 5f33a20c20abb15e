"""What a borrower's own events do to the profile: fields merge, each by its own newest sequence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predue.domain import contact_point
from predue.domain.keys import Keys
from predue.domain.profile import Profile, Refusal
from predue.events.models import Updated
from predue.events.owners import Group, Owners, newer

_ADDRESSES = {"phone": ("sms", "voice"), "email": ("email",), "wechat_openid": ("wechat",)}
_CHECKS = {"phone": contact_point.phone, "email": contact_point.email, "wechat_openid": contact_point.openid}


def merged(profile: Profile, event: Updated, keys: Keys, owners: Owners) -> Profile:
    """The profile with those given fields of which the source owns the group, and that are newer than what it said of
    each; what another source says of consent only takes some away.
    """
    fresh = {
        name: value
        for name, value in event.given().items()
        if owns(profile, event, name, owners)
        and newer((event.sequence, event.arrived), (profile.sequences.get(name, -1), profile.arrivals.get(name, -1)))
    }
    if not profile.refusals:
        profile = replace(profile, stated=profile.consent)
    if fresh and not profile.source:
        profile = replace(profile, source=event.source)
    changed = with_fields(profile, fresh, keys)
    arrivals = {**profile.arrivals, **dict.fromkeys(fresh, event.arrived)}
    if "consent" in fresh:
        changed = replace(changed, stated=changed.consent)
        if set(changed.stated) != set(profile.stated):
            arrivals["consent changed"] = max(event.time, profile.arrivals.get("consent changed", 0))
    sequences = {**profile.sequences, **dict.fromkeys(fresh, event.sequence)}
    return _with_refusal(replace(changed, sequences=sequences, arrivals=arrivals), event, owners)


def owns(profile: Profile, event: Updated, name: str, owners: Owners) -> bool:
    """Whether an event's word counts on a field."""
    return owners.owns(event.source, group_of(name), event.borrower_id, profile.source)


def group_of(name: str) -> Group:
    """The group of a field, which has one owner."""
    return "consent" if name == "consent" else "profile"


def _with_refusal(profile: Profile, event: Updated, owners: Owners) -> Profile:
    """With the channels taken from the consent that sources which do not own it refuse; a value that a source repeats
    is the word that it said first.
    """
    refusals = dict(profile.refusals)
    if "consent" in event.given():
        known, value = refusals.get(event.source), tuple(sorted(event.consent or ()))
        if not owns(profile, event, "consent", owners) and (
            known is None or (event.sequence, event.arrived) > (known.sequence, known.at)
        ):
            at = known.at if known is not None and known.channels == value else event.arrived
            refusals[event.source] = Refusal(event.sequence, at, value)
    changed_at = profile.arrivals.get("consent changed", 0)
    standing = [said for said in refusals.values() if said.at >= changed_at]
    left = tuple(name for name in profile.stated if all(name in said.channels for said in standing))
    return replace(profile, refusals=refusals, consent=left)


def with_fields(profile: Profile, fields: Mapping[str, Any], keys: Keys) -> Profile:
    """The profile with fields set; contact points are checked, and a bad one loses its channels, not the borrower."""
    for name, value in fields.items():
        profile = (
            _with_address(profile, name, value or "", keys) if name in _ADDRESSES else _with_field(profile, name, value)
        )
    return profile


def _with_field(profile: Profile, name: str, value: Any) -> Profile:
    empty: Any = () if name in ("channels", "consent") else None if name == "preferred_time" else ""
    return replace(profile, **{name: empty if value is None else value})


def _with_address(profile: Profile, name: str, text: str, keys: Keys) -> Profile:
    """The profile with one contact point set, mended, lost or taken away."""
    channels = _ADDRESSES[name]
    addresses = {channel: known for channel, known in profile.addresses.items() if channel not in channels}
    refs = {channel: known for channel, known in profile.address_refs.items() if channel not in channels}
    bad = tuple(known for known in profile.bad_addresses if known != name)
    if text.strip():
        try:
            good = _CHECKS[name](text)
        except ValueError:
            bad = (*bad, name)
        else:
            addresses |= dict.fromkeys(channels, good)
            refs |= {channel: keys.address_ref(channel, good) for channel in channels}
    return replace(profile, addresses=addresses, address_refs=refs, bad_addresses=bad)
