"""The events of a run: each is applied at its instant, as the webhook will apply it, and sent again until it is
acknowledged.

Under chaos events come in the middle of something else, and comes again. If it may move, it also comes earlier than its
file says; when each was really acknowledged is kept, since that is what the promises speak of.
"""

from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from infrastructure.local.runs.portfolio import EventRow, Rejected
from infrastructure.local.virtual.agenda import LOAN_EVENTS
from infrastructure.local.virtual.chances import Killed, RunningFunction
from infrastructure.local.virtual.platform import Platform
from predue.errors import InvalidEvent, Retryable
from predue.events import applying
from predue.events.models import InstallmentEvent
from predue.imports.row_report import RowNote, about

_EARLIEST = timedelta(days=2)
"""How much earlier than its file says events may come: more would leave a run without events in the end."""
_SOON = timedelta(seconds=25)
"""How long a function may wait for events, and still be in time."""
_AT_ONCE, _AGAIN = 5, timedelta(seconds=1)
_LOOKED_AT = 2000


class Feed:
    """Feeds the rows that arrive before `end` to a platform; those that cannot be used go to `rejected`."""

    def __init__(self, rows: list[EventRow], end: datetime, stack: Platform, rejected: list[Rejected]) -> None:
        self._stack = stack
        self._rejected = rejected
        self._waiting = {number: row for number, row in enumerate(rows) if row.at < end}
        self._stated: list[tuple[int, datetime]] = []
        self._taken: list[EventRow] = []
        for number, row in self._waiting.items():
            stack.at(row.at, LOAN_EVENTS, partial(self._arrive, number))
        if stack.chaos:
            come = self._bring_forward if stack.chaos.moving_events else self._wait_for
            stack.chaos.happenings |= {"events_between": come, "events_repeated": self._repeat}

    def arrivals(self) -> list[tuple[int, datetime]]:
        """The lines of all rows that were acknowledged, in that order, each with its instant."""
        return self._stated

    def _arrive(self, number: int) -> None:
        if number in self._waiting:
            self._apply_stated(number)

    def _apply_stated(self, number: int) -> None:
        row = self._waiting.pop(number)
        try:
            refusal = self._apply(row)
        except Retryable:
            self._waiting[number] = row
            self._stack.at(self._stack.clock() + _AGAIN, LOAN_EVENTS, partial(self._arrive, number))
            return
        if refusal is None:
            self._taken.append(row)
        else:
            stated = RowNote(row.line, str(refusal), about(row.body), refusal.fields[0][0])
            self._rejected.append(Rejected.of("events.jsonl", stated))
        self._stated.append((row.line, self._stack.clock()))

    def _apply(self, row: EventRow) -> InvalidEvent | None:
        """One happening, as the webhook will apply it; the refusal of events that cannot be used.

        What was not acknowledged is sent again, at once at first. Raises Retryable if it waits for something that is
        itself under way, such as the events that creates its installment: then later.
        """
        chaos = self._stack.chaos
        tries = 0
        while True:
            tries += 1
            try:
                with self._stack.feeding(), chaos.around(RunningFunction(happenings=True)) if chaos else nullcontext():
                    # What came before the run began is applied at its beginning, in the order in which it came.
                    came = None if chaos else row.at
                    applying.apply(row.event, self._stack.clock(), self._stack.event_services(), came)
            except InvalidEvent as error:
                return error
            except Killed:
                continue
            except Retryable:
                if tries >= _AT_ONCE:
                    raise
                continue
            return None

    def _next(self, about: frozenset[str], within: timedelta) -> int | None:
        """The next events about the borrowers and loans at hand, or of anyone if a function is about nobody."""
        until = self._stack.clock() + within
        for number, row in islice(self._waiting.items(), _LOOKED_AT):
            if row.at > until:
                return None
            if _concerns(row, about):
                return number
        return None

    def _bring_forward(self, about: frozenset[str]) -> bool:
        number = self._next(about, _EARLIEST)
        if number is not None:
            self._apply_stated(number)
        return number is not None

    def _wait_for(self, about: frozenset[str]) -> bool:
        """Let time pass until events have come, each at its instant."""
        number = self._next(about, _SOON)
        if number is not None:
            self._stack.run_until(self._waiting[number].at + timedelta(milliseconds=1))
        return number is not None

    def _repeat(self, about: frozenset[str]) -> bool:
        """Send again what was taken before; what was refused might be taken now, and is another matter."""
        found = [row for row in self._taken[-_LOOKED_AT:] if _concerns(row, about)]
        if not found or self._stack.chaos is None:
            return False
        with suppress(Retryable):
            self._apply(found[self._stack.chaos.pick(len(found))])
        return True


def _concerns(row: EventRow, about: frozenset[str]) -> bool:
    """Whether events are about one of the borrowers or loans; all is, where none are named."""
    stated = {row.event.borrower_id} | ({row.event.loan_id} if isinstance(row.event, InstallmentEvent) else set())
    return not about or not about.isdisjoint(stated)
