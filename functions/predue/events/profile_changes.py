"""What a borrower's own events do to the profile: fields merge, each by its own newest sequence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from predue.domain import contact_point
from predue.domain.keys import Keys
from predue.domain.profile import Profile
from predue.events.models import Updated

_ADDRESSES = {"phone": ("sms", "voice"), "email": ("email",), "wechat_openid": ("wechat",)}
_EMPTY: Mapping[str, Any] = {"channels": (), "consent": (), "preferred_time": None}
"""What a field is that was withdrawn; the others are empty texts."""
_CHECKS = {"phone": contact_point.phone, "email": contact_point.email, "wechat_openid": contact_point.openid}


def merged(profile: Profile, event: Updated, keys: Keys) -> Profile:
    """The profile with those given fields that are newer than what is known of each."""
    fresh = {name: value for name, value in event.given().items() if event.sequence > profile.sequences.get(name, -1)}
    changed = with_fields(profile, fresh, keys)
    return replace(changed, sequences={**profile.sequences, **dict.fromkeys(fresh, event.sequence)})


def with_fields(profile: Profile, fields: Mapping[str, Any], keys: Keys) -> Profile:
    """The profile with fields set; contact points are checked, and a bad one loses its channels, not the borrower."""
    plain = {name: _EMPTY.get(name, "") if value is None else value for name, value in fields.items()}
    points = {name: plain.pop(name) or "" for name in fields if name in _ADDRESSES}
    if points:
        plain |= _with_addresses(profile, points, keys)
    return replace(profile, **plain)


def _with_addresses(profile: Profile, points: Mapping[str, str], keys: Keys) -> dict[str, Any]:
    """The fields of the profile that change with contact points that are set, mended, lost or taken away."""
    gone = {channel for name in points for channel in _ADDRESSES[name]}
    addresses = {channel: known for channel, known in profile.addresses.items() if channel not in gone}
    refs = {channel: known for channel, known in profile.address_refs.items() if channel not in gone}
    bad = [known for known in profile.bad_addresses if known not in points]
    for name, text in points.items():
        if text.strip():
            try:
                good = _CHECKS[name](text)
            except ValueError:
                bad.append(name)
            else:
                addresses |= dict.fromkeys(_ADDRESSES[name], good)
                refs |= {channel: keys.address_ref(channel, good) for channel in _ADDRESSES[name]}
    return {"addresses": addresses, "address_refs": refs, "bad_addresses": tuple(bad)}
