"""What a borrower's own events do to the profile: fields merge, each by its own newest sequence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predue.domain import contact_point
from predue.domain.keys import Keys
from predue.domain.profile import Profile
from predue.events.models import Updated


def merged(profile: Profile, event: Updated, keys: Keys) -> Profile:
    """The profile with those given fields that are newer than what is known of each."""
    fresh = {name: value for name, value in event.given().items() if event.sequence > profile.sequences.get(name, -1)}
    changed = with_fields(profile, fresh, keys)
    return replace(changed, sequences={**profile.sequences, **dict.fromkeys(fresh, event.sequence)})


def with_fields(profile: Profile, fields: Mapping[str, Any], keys: Keys) -> Profile:
    """The profile with fields set; contact points are checked, and a bad one loses its channels, not the borrower."""
    # The place that was said together with a number: what a number means must not hang on what came before it.
    place = fields.get("jurisdiction") or ""
    for name, value in fields.items():
        profile = (
            _with_address(profile, name, contact_point.point(name, value or "", place), keys)
            if name in contact_point.FIELDS
            else _with_field(profile, name, value)
        )
    return profile


def _with_field(profile: Profile, name: str, value: Any) -> Profile:
    empty: Any = () if name in ("channels", "consent") else None if name == "preferred_time" else ""
    return replace(profile, **{name: empty if value is None else value})


def _with_address(profile: Profile, name: str, point: contact_point.Point, keys: Keys) -> Profile:
    """The profile with one contact point set, mended, lost or taken away."""
    channels = contact_point.FIELDS[name]
    addresses = {channel: known for channel, known in profile.addresses.items() if channel not in channels}
    refs = {channel: known for channel, known in profile.address_refs.items() if channel not in channels}
    bad = tuple(known for known in profile.bad_addresses if known != name)
    return replace(
        profile,
        addresses=addresses | dict.fromkeys(point.channels, point.text),
        address_refs=refs | {channel: keys.address_ref(channel, point.text) for channel in point.channels},
        bad_addresses=(*bad, name) if point.fault else bad,
    )
