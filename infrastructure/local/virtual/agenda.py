"""What is going to happen, in order: virtual time moves from one happening to the next, and handlers read it there."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.runtime import clock as predue_clock

# Happenings of one instant in their order: events before the slot, receipts and schedules before the jobs they may
# concern.
LOAN_EVENTS, EVENT, SCHEDULE, QUEUE = range(4)


class Agenda:
    """See the module."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._entries: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.apart = timedelta(0)
        """What parts a happening that comes late from what made it late."""

    def at(self, moment: datetime, rank: int, happening: Callable[[], None]) -> None:
        """Have something happen at an instant; `rank` orders what happens at the same one."""
        heapq.heappush(self._entries, (max(moment, self.clock()), rank, next(self._order), happening))

    def run_until(self, end: datetime, progress: Callable[[datetime], None] = lambda _now: None) -> None:
        """Let everything happen up to, and not at, an instant; then stand there."""
        with self.playing():
            while self._entries and self._entries[0][0] < end:
                moment, _, _, happening = heapq.heappop(self._entries)
                # Time may have passed inside of what happened before: then this comes late, at an instant of its own.
                self.clock.move_to(moment if moment >= self.clock() else self.clock() + self.apart)
                happening()
                progress(moment)
        self.clock.move_to(max(end, self.clock()))

    def step(self) -> datetime:
        """Let the next thing happen if its instant has come, on a clock that moves by itself; then tell when the one
        after it will.
        """
        if self._entries[0][0] <= self.clock():
            with self.playing():
                heapq.heappop(self._entries)[3]()
        return self._entries[0][0]

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Within this, handlers take the time from here."""
        token = predue_clock.source.set(self.clock)
        try:
            yield
        finally:
            predue_clock.source.reset(token)

    def quiet(self) -> bool:
        """Whether nothing is left to happen but the schedules that recur."""
        return all(rank == SCHEDULE for _, rank, _, _ in self._entries)
