"""A borrower's profile: contact points, wishes, place and consent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import NamedTuple


class Refusal(NamedTuple):
    """The last word on consent of a source that does not own it: no channel but `channels`; `at` is its first arrival
    in ms.
    """

    sequence: int
    at: int
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the borrower is to predue.

    `ref` is the borrower's opaque name in reminder ids and links. `addresses` maps a channel to its valid contact
    point (phone in E.164, email address, WeChat openid); a bad one stands in `bad_addresses` instead, and its channel
    is lost until it is mended. `address_refs` maps a channel to the keyed hash of its contact point. `channels` is
    the order of preference. `consent` is what its owner `stated` less the refusals of others that came after the
    owner's last change of it. `source` is the one that created the profile; `sequences` and `arrivals` (first arrivals
    in ms) are by field those of the newest event, `arrivals["consent changed"]` that of the change.
    """

    borrower_id: str
    ref: str
    name: str = ""
    locale: str = ""
    time_zone: str = ""
    jurisdiction: str = ""
    channels: tuple[str, ...] = ()
    consent: tuple[str, ...] = ()
    preferred_time: time | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    address_refs: Mapping[str, str] = field(default_factory=dict)
    bad_addresses: tuple[str, ...] = ()
    sequences: Mapping[str, int] = field(default_factory=dict)
    arrivals: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    stated: tuple[str, ...] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    version: int = 0
