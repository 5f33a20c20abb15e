"""AWS's part in virtual time, as stack and simulation share it: schedules that fire, functions that nobody waits for,
and what comes in between under chaos.
"""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, TextIO

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.virtual.agenda import QUEUE, SCHEDULE, Agenda
from infrastructure.local.virtual.chances import Chances, Killed
from infrastructure.local.virtual.meanwhile import Meanwhile
from infrastructure.local.virtual.pollers import Poller
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.events.event_services import EventServices

# Lambda retries an asynchronous call after one minute and after two more (developer guide, "Asynchronous invocation").
_ASYNC_WAITS = (timedelta(minutes=1), timedelta(minutes=2))
_MOMENT = timedelta(milliseconds=1)


class Platform(Agenda):
    """See the module. `run_until` moves time; whoever plays it calls the functions."""

    def __init__(self, clock: VirtualClock, log: TextIO, chaos: Chances | None) -> None:
        super().__init__(clock)
        self.log = log
        self.chaos = chaos
        self.functions: dict[str, Function] = {}
        self.pollers: dict[str, Poller[Function]] = {}
        self.schedules: dict[str, datetime] = {}
        if chaos:
            chaos.clock, chaos.pass_time, self.apart = self.clock, self._pass, _MOMENT
        self.meanwhile = Meanwhile(chaos, self.functions, self.invoke, self.deliver, self.clock) if chaos else None

    @abstractmethod
    def invoke(self, function: Function, event: Any) -> Any:
        """Call a function, and return what it answers; raises what it raises."""

    @abstractmethod
    def deliver(self, function: Function, messages: Any) -> set[str]:
        """Call a function with a batch of messages; gives the ids of those that failed."""

    @abstractmethod
    def bury(self, function: Function, event: Any) -> None:
        """Keep an event that a function failed to take for good, where it has a place for such."""

    @abstractmethod
    def redrive(self) -> int:
        """Move every dead letter of a fed queue back to it, as an operator would; returns how many."""

    @abstractmethod
    def feeding(self) -> AbstractContextManager[None]:
        """Within this, events may be applied as a function would."""

    @abstractmethod
    def event_services(self) -> EventServices:
        """What is needed for events, within `feeding`."""

    def _pass(self, wait: timedelta) -> None:
        """Let the world go on for a while; what happened last in it lies before what comes next."""
        self.run_until(self.clock() + wait)
        self.clock.move_to(self.clock() + _MOMENT)

    def every(self, moments: Iterator[datetime], function: Function) -> None:
        """Call a function at each of the moments."""
        # A machine that slept has missed some: one run covers them all.
        moment = next(one for one in moments if one >= self.clock())
        self.schedules[function.name] = moment

        def fire() -> None:
            event = {
                "source": "aws.scheduler",
                "detail-type": "Scheduled Event",
                "time": self.clock().isoformat(),
                "detail": "{}",
            }
            for _ in range(self._fires()):
                self.invoke_async(function, event)
            self.every(moments, function)

        self.at(moment, SCHEDULE, fire)

    def _fires(self) -> int:
        """How often a schedule fires this time: once, where nothing goes wrong."""
        if self.chaos:
            self.chaos.maybe_away()
        if self.chaos and self.chaos.strikes("schedule_skipped"):
            return 0
        return 2 if self.chaos and self.chaos.strikes("schedule_doubled") else 1

    def once(self, moment: datetime, fire: Callable[[], None], ended: Callable[[], None]) -> None:
        """Play a one-off schedule: at its instant it is `ended`, and fires."""

        def happen() -> None:
            ended()
            for _ in range(2 if self.chaos and self.chaos.strikes("schedule_doubled") else 1):
                fire()

        self.at(moment, SCHEDULE, happen)

    def invoke_later(self, function: Function, event: Any) -> None:
        """Play an asynchronous invocation, which may come twice."""
        for _ in range(2 if self.chaos and self.chaos.strikes("invoked_twice") else 1):
            self.at(self.clock(), SCHEDULE, lambda: self.invoke_async(function, event))

    def invoke_async(self, function: Function, event: Any, failures: int = 0) -> None:
        """Call a function that nobody waits for: a failure is tried twice more, then goes to its dead letters."""
        try:
            self.invoke(function, event)
        except (Exception, Killed) as error:  # noqa: BLE001 - whatever a handler raises, Lambda retries
            self.log_failure(function, error)
            if failures < len(_ASYNC_WAITS):
                again = self.clock() + _ASYNC_WAITS[failures]
                self.at(again, SCHEDULE, lambda: self.invoke_async(function, event, failures + 1))
            else:
                self.bury(function, event)

    def log_failure(self, function: Function, error: BaseException) -> None:
        """Note that a call of a function raised."""
        line = {"message": "a function failed", "function": function.name, "error": type(error).__name__}
        self.log.write(json.dumps(line) + "\n")

    def at_queues_turn(self, moment: datetime, happening: Callable[[], None]) -> None:
        """Have a poller do something at an instant."""
        self.at(moment, QUEUE, happening)
