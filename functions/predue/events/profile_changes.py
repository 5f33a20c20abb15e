"""What a borrower's own events do to the profile: fields merge, each by its own newest sequence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predue.domain import contact_point
from predue.domain.keys import Keys
from predue.domain.profile import Profile
from predue.events.models import Updated

_EMPTY: Mapping[str, Any] = {"channels": (), "consent": (), "preferred_time": None}
"""What a field is that was withdrawn; the others are empty texts."""


def merged(profile: Profile, event: Updated, keys: Keys) -> Profile:
    """The profile with those given fields that are newer than what is known of each."""
    fresh = {name: value for name, value in event.given().items() if event.sequence > profile.sequences.get(name, -1)}
    changed = with_fields(profile, fresh, keys)
    return replace(changed, sequences={**profile.sequences, **dict.fromkeys(fresh, event.sequence)})


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
