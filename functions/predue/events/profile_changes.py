"""What a borrower's own events do to the profile: fields merge, each by its own newest sequence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predue.domain import contact_point
from predue.domain.keys import Keys
from predue.domain.profile import Profile, Refusal
from predue.events.models import Updated
from predue.events.owners import Group, Owners, newer

_EMPTY: Mapping[str, Any] = {"channels": (), "consent": (), "preferred_time": None}
"""What a field is that was withdrawn; the others are empty texts."""


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
    # The place that was said together with a number: what a number means must not hang on what came before it.
    place = fields.get("jurisdiction") or ""
    plain = {name: _EMPTY.get(name, "") if value is None else value for name, value in fields.items()}
    points = {
        name: contact_point.point(name, plain.pop(name) or "", place) for name in fields if name in contact_point.FIELDS
    }
    if points:
        plain |= _with_addresses(profile, points, keys)
    return replace(profile, **plain)


def _with_addresses(profile: Profile, points: Mapping[str, contact_point.Point], keys: Keys) -> dict[str, Any]:
    """The fields of the profile that change with contact points that are set, mended, lost or taken away."""
    gone = {channel for name in points for channel in contact_point.FIELDS[name]}
    addresses = {channel: known for channel, known in profile.addresses.items() if channel not in gone}
    refs = {channel: known for channel, known in profile.address_refs.items() if channel not in gone}
    bad = [known for known in profile.bad_addresses if known not in points]
    for name, point in points.items():
        addresses |= dict.fromkeys(point.channels, point.text)
        refs |= {channel: keys.address_ref(channel, point.text) for channel in point.channels}
        if point.fault:
            bad.append(name)
    return {"addresses": addresses, "address_refs": refs, "bad_addresses": tuple(bad)}
