"""The channels on which a borrower may be contacted: one list for all of predue."""

from dataclasses import dataclass
from typing import Literal, get_args

Channel = Literal["sms", "email", "voice", "wechat", "push"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)

DELIVERED: tuple[Channel, ...] = ("sms", "email")
"""The channels that have a deliver function; the others are preferences that cannot be met yet."""

ALL = "all"
"""Stands for every channel in a stop and in the kill switch."""


@dataclass(frozen=True, slots=True)
class Switches:
    """The operator's switches: the channels (or `all`) that are paused, and whether this is production."""

    paused: frozenset[str] = frozenset()
    production: bool = True

    def pauses(self, channel: str) -> bool:
        """Whether the kill switch pauses a channel."""
        return not self.paused.isdisjoint((channel, ALL))
