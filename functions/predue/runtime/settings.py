"""Settings: the environment, and what the operator may change while the functions run.

Policy, kill switch and keys are read together with the work. What cannot be read stops the work: nothing is sent then.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import RLock
from typing import Any, Generic, TypeVar

from predue.domain.channel import ALL, CHANNELS, Switches
from predue.domain.keys import Keys
from predue.domain.policy import Policy, Rulebook, read_policy
from predue.errors import BadPolicy
from predue.runtime.clock import now

_T = TypeVar("_T")

_SHORTEST_ROOT = 32


def env(name: str) -> str:
    """A variable that the template sets; raises BadPolicy if it does not."""
    value = os.environ.get(name, "")
    if not value:
        raise BadPolicy(f"the environment variable {name} is not set")
    return value


@dataclass
class Kept(Generic[_T]):
    """A value kept for a while on the injected clock; a failed read keeps nothing, so nothing stale ever serves."""

    read: Callable[[], _T]
    fresh: timedelta
    value: _T | None = None
    at: datetime | None = None
    _turn: RLock = field(default_factory=RLock)

    def get(self) -> _T:
        """The value; of workers that ask side by side one reads, and the others wait for what it read."""
        moment = now()
        with self._turn:
            if self.value is None or self.at is None or not timedelta(0) <= moment - self.at < self.fresh:
                self.value = None
                self.value = self.read()
                self.at = moment
            return self.value

    def forget(self) -> None:
        """Drop the value, so that the next one who asks reads it."""
        self.value = None


@dataclass(frozen=True)
class Controls:
    """What the operator has set: the rules and the switches."""

    rulebook: Rulebook
    switches: Switches


@lru_cache(maxsize=4)
def _rulebook(text: str) -> Rulebook:
    policy: Policy = read_policy(text)
    return Rulebook(policy)


def read_controls(policy: str, switch: str, *, production: bool) -> Controls:
    """The rules and switches that two parameters state; raises BadPolicy."""
    return Controls(_rulebook(policy), read_switches(switch, production=production))


def read_switches(text: str, *, production: bool) -> Switches:
    """Read the kill switch, `{"paused": ["sms"]}`; raises BadPolicy for anything else, which pauses everything."""
    try:
        raw: Any = json.loads(text)
        if not isinstance(raw["paused"], list):
            raise TypeError  # noqa: TRY301 - told below like every other wrong form
        paused = frozenset(raw["paused"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadPolicy('the kill switch is not of the form {"paused": []}') from error
    if unknown := paused - {*CHANNELS, ALL}:
        raise BadPolicy(f"the kill switch names no channel: {sorted(map(str, unknown))}")
    return Switches(paused, production)


def read_keys(secret: str) -> Keys:
    """The keys that a secret states, the newest first; raises BadPolicy."""
    try:
        raw: Any = json.loads(secret)
        roots = [raw["root"], *raw.get("older", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadPolicy("the keys secret holds no `root`") from error
    if not all(isinstance(root, str) and len(root) >= _SHORTEST_ROOT for root in roots):
        raise BadPolicy(f"a root in the keys secret is no text of {_SHORTEST_ROOT} characters or more")
    return Keys([root.encode() for root in roots])
