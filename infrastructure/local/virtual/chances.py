"""Chances of what goes wrong, all drawn from the seed and all counted: who is under way, what comes in between, and how
often each fault strikes. What a fault does to a call is said where the call is made: `faults.py` at the SDK's wire,
`port_faults.py` at the ports.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

Happening = Callable[[frozenset[str]], bool]
_One = TypeVar("_One")
_BY_FAR = 5
_MOMENT = timedelta(milliseconds=1)
"""Parts what happens in between from what came before and after, so that everything has an instant of its own."""
LONGEST_STALE = timedelta(seconds=60)
"""How long a read that may be stale misses a write: far more than DynamoDB takes, and less than predue allows for."""
_QUARTER, _MARGIN = 900, 2
_NEVER = datetime.max.replace(tzinfo=UTC)


class Killed(BaseException):
    """The function's environment is gone in the middle of its work; nothing of it may catch this."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, out of one; by AWS call, by schedule, by asynchronous call, or by message."""

    killed: float = 0.01
    throttled: float = 0.004
    failed: float = 0.003
    failed_after: float = 0.003
    lost_answer: float = 0.004
    answered_in_part: float = 0.04
    short_page: float = 0.03
    stale_read: float = 0.3
    provider_timeout: float = 0.02
    provider_unheard: float = 0.02
    provider_busy: float = 0.02
    provider_failed: float = 0.01
    provider_failed_after: float = 0.01
    outage: float = 0.006
    schedule_skipped: float = 0.1
    schedule_doubled: float = 0.1
    invoked_twice: float = 0.1
    delivered_twice: float = 0.1
    delivered_late: float = 0.05
    reordered: float = 0.1
    paused: float = 0.01
    delivered_between: float = 0.03
    events_between: float = 0.02
    events_repeated: float = 0.006
    planned_between: float = 0.002
    closed_between: float = 0.002


@dataclass(slots=True)
class RunningFunction:
    """A handler, or the application of events, that is under way; `about` names the borrowers and loans of its jobs."""

    deadline: datetime = _NEVER
    happenings: bool = False
    about: frozenset[str] = frozenset()


class Chances:
    """Draws the faults of one run.

    Its stack sets `clock` and `pass_time`, which lets the world go on for a while, and gives `happenings`: by fault,
    what may come in between; each says whether it happened. With `moving_news`, events may come earlier than its file
    says, and other things in the middle of it; without, it is applied at the file's very instant. `services` are those
    that may go away, and `providers` the calls that wait no longer than a connection takes.
    """

    services: tuple[str, ...] = ()
    providers: frozenset[str] = frozenset()

    def __init__(self, seed: int, rates: Rates | None = None, *, moving_events: bool = False, deepest: int = 3) -> None:
        self.rng = random.Random(f"chaos#{seed}")
        self.rates = rates or Rates()
        self.counted: Counter[str] = Counter()
        self.clock: Callable[[], datetime] = lambda: _NEVER
        self.pass_time: Callable[[timedelta], None] = lambda _wait: None
        self.happenings: dict[str, Happening] = {}
        self.moving_events = moving_events
        self.deepest = deepest
        self._running: list[RunningFunction | None] = []
        self._away: dict[str, datetime] = {}

    # Draws

    def strikes(self, fault: str, often: int = 1) -> bool:
        """Whether a fault happens now, `often` times as likely as its rate; counted if so."""
        struck = bool(self.rng.random() < getattr(self.rates, fault) * often)
        self.counted[fault] += struck
        return struck

    def late(self) -> timedelta:
        """How late a late message comes: from seconds to most of a day."""
        return whole(self.rng.choice([20, 200, 2_000, 20_000]) * self.rng.random())

    def pick(self, count: int) -> int:
        """One of `count`."""
        return self.rng.randrange(count)

    def shuffled(self, many: list[_One]) -> list[_One]:
        """The same in another order."""
        return self.rng.sample(many, len(many))

    def maybe_away(self) -> None:
        """Now and then a service goes away, for some minutes or for hours."""
        if self.strikes("outage"):
            service = self.services[self.pick(len(self.services))]
            self._away[service] = self.clock() + timedelta(minutes=self.rng.choice([2, 20, 120]) * self.rng.random())

    def stop(self) -> None:
        """No more faults."""
        self.rates = Rates(**dict.fromkeys(Rates.__slots__, 0.0))
        self._away.clear()

    # Who is under way

    @property
    def running(self) -> RunningFunction | None:
        """What is under way and makes the calls, if anything does."""
        return self._running[-1] if self._running else None

    def away(self, service: str) -> bool:
        """Whether a service is away just now; counted if so."""
        gone = self.clock() < self._away.get(service, self.clock())
        self.counted["while_away"] += gone
        return gone

    @contextmanager
    def around(self, running: RunningFunction) -> Iterator[None]:
        """Within this, calls are a handler's and meet faults; one that is over its time is killed in the end."""
        self._running.append(running)
        try:
            yield
            self.in_time(running)
        finally:
            self._running.pop()

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Within this, calls are the stack's own, in the middle of a handler."""
        self._running.append(None)
        try:
            yield
        finally:
            self._running.pop()

    def in_time(self, running: RunningFunction) -> None:
        """Raise Killed for what is over its time."""
        if self.clock() > running.deadline:
            self.counted["timed_out"] += 1
            raise Killed

    # Between two calls

    def between(self, running: RunningFunction, call: str, named: frozenset[str]) -> None:
        """Let other things happen while a handler waits; everything that was acknowledged then counts from then.

        `named` are the borrowers and loans that a decisive call itself names, and empty for any other.
        """
        if sum(one is not None for one in self._running) > self.deepest or not self._may_wait():
            return
        # What a delivery has read is oldest right before it claims and calls: there most can go wrong.
        often = _BY_FAR if named else 1
        about = named or running.about
        for fault, happen in self.happenings.items():
            if self.strikes(fault, often):
                with self.outside():
                    self.pass_time(_MOMENT)
                    self.counted[fault] -= not happen(about)
                    self.pass_time(_MOMENT)
        if not any(one and one.happenings for one in self._running) and self.strikes("paused"):
            with self.outside():
                self.pass_time(self._wait(running, call))

    def _may_wait(self) -> bool:
        """Events are applied at one instant, as an audit sees it: no slot and no end of hours may fall into it."""
        if not any(one and one.happenings for one in self._running):
            return True
        return self.moving_events and _MARGIN <= self.clock().timestamp() % _QUARTER <= _QUARTER - _MARGIN

    def _wait(self, running: RunningFunction, call: str) -> timedelta:
        """How long a call takes: moments, nearly all the time that is left, or more.

        At a provider it is a connection's time at most: what waits longer there has given up (clients.py).
        """
        if call in self.providers:
            return whole(3 * self.rng.random())
        left = (running.deadline - self.clock()) / timedelta(seconds=1)
        return whole(self.rng.choice([0.05, 2.0, 6.0, left * 0.6, left * 0.97, left + 1]))


def whole(seconds: float) -> timedelta:
    """A time in whole milliseconds, which is what every instant of predue is."""
    return timedelta(milliseconds=round(seconds * 1000))
