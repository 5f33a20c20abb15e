"""Settings: the environment, and what the operator may change while the functions run.

Policy, kill switch and keys are read together with the work. What cannot be read stops the work: nothing is sent then.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from predue.aws.clients import client, translated
from predue.aws.clock import now
from predue.errors import BadPolicy
from predue.gate import Switches
from predue.keys import Keys
from predue.ledger import ALL
from predue.policy import Policy, Rulebook, read_policy
from predue.profile import CHANNELS

if TYPE_CHECKING:
    from predue.source import Source
    from predue.subscriber import Subscriber

_T = TypeVar("_T")

_FRESH = timedelta(seconds=15)
"""How long a read policy or switch may serve: the longest that a turned switch takes to reach a warm function."""
_KEYS_FRESH = timedelta(minutes=5)
_SOURCES_FRESH = timedelta(minutes=1)
"""So long may a key that was taken back still sign, and a new one not yet."""
_SHORTEST_ROOT = 32


def env(name: str) -> str:
    """A variable that the template sets; raises BadPolicy if it does not."""
    value = os.environ.get(name, "")
    if not value:
        raise BadPolicy(f"the environment variable {name} is not set")
    return value


@dataclass
class _Kept(Generic[_T]):
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


@dataclass(frozen=True)
class Controls:
    """What the operator has set: the rules and the switches."""

    rulebook: Rulebook
    switches: Switches


@lru_cache(maxsize=4)
def _rulebook(text: str) -> Rulebook:
    policy: Policy = read_policy(text)
    return Rulebook(policy)


def _read_controls() -> Controls:
    names = env("POLICY_PARAMETER"), env("SWITCH_PARAMETER")
    with translated("parameters"):
        found = client("ssm").get_parameters(Names=list(names))["Parameters"]
    values = {parameter["Name"]: parameter["Value"] for parameter in found}
    if set(values) != set(names):
        raise BadPolicy(f"parameters are missing: {sorted(set(names) - set(values))}")
    return Controls(
        _rulebook(values[names[0]]), read_switches(values[names[1]], production=env("ENVIRONMENT") == "production")
    )


def read_switches(text: str, *, production: bool) -> Switches:
    """Read the kill switch, `{"stopped": ["sms"]}`; raises BadPolicy for anything else, which stops everything."""
    try:
        raw: Any = json.loads(text)
        if not isinstance(raw["stopped"], list):
            raise TypeError  # noqa: TRY301 - told below like every other wrong form
        stopped = frozenset(raw["stopped"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadPolicy('the kill switch is not of the form {"stopped": []}') from error
    if unknown := stopped - {*CHANNELS, ALL}:
        raise BadPolicy(f"the kill switch names no channel: {sorted(map(str, unknown))}")
    return Switches(stopped, production)


def _read_keys() -> Keys:
    with translated("keys"):
        secret = client("secretsmanager").get_secret_value(SecretId=env("KEYS_SECRET"))["SecretString"]
    try:
        raw: Any = json.loads(secret)
        roots = [raw["root"], *raw.get("older", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadPolicy("the keys secret holds no `root`") from error
    if not all(isinstance(root, str) and len(root) >= _SHORTEST_ROOT for root in roots):
        raise BadPolicy(f"a root in the keys secret is no text of {_SHORTEST_ROOT} characters or more")
    return Keys([root.encode() for root in roots])


def _read_sources() -> "Mapping[str, Source]":
    # Only the functions that take news pay for what reads its sources.
    from predue.source import read_sources  # noqa: PLC0415

    with translated("sources"):
        secret = client("secretsmanager").get_secret_value(SecretId=env("SOURCES_SECRET"))["SecretString"]
    return read_sources(secret)


def _read_subscribers() -> "Mapping[str, Subscriber]":
    # Only the function that calls webhooks pays for what reads whom to call.
    from predue.subscriber import read_subscribers  # noqa: PLC0415

    with translated("subscribers"):
        secret = client("secretsmanager").get_secret_value(SecretId=env("WEBHOOKS_SECRET"))["SecretString"]
    return read_subscribers(secret, public=env("WEBHOOK_ADDRESSES") == "public")


_controls = _Kept(_read_controls, _FRESH)
_keys = _Kept(_read_keys, _KEYS_FRESH)
_sources = _Kept(_read_sources, _SOURCES_FRESH)
_subscribers = _Kept(_read_subscribers, _SOURCES_FRESH)


def controls() -> Controls:
    """The rules and switches as they stand; raises BadPolicy or Unreachable if they cannot be read."""
    return _controls.get()


def keys() -> Keys:
    """The keys as they stand; raises BadPolicy or Unreachable if they cannot be read."""
    return _keys.get()


def sources() -> "Mapping[str, Source]":
    """The sources of news by name; raises BadPolicy or Unreachable if they cannot be read."""
    return _sources.get()


def subscribers() -> "Mapping[str, Subscriber]":
    """Whom to call with events, by name; raises BadPolicy or Unreachable if they cannot be read."""
    return _subscribers.get()


def forget() -> None:
    """Drop what is kept, for a stack that starts anew in the same process."""
    _controls.value = _keys.value = _sources.value = _subscribers.value = None
