"""The stage on which the interleavings play: one store, one clock, and work that stops ahead of every call of a port.

Each room of predue (events, deliveries, receipts, scheduled runs) adds its own kind of work to it, and watches its own
part of what each step changes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from hypothesis.stateful import RuleBasedStateMachine

from predue.domain.keys import Keys
from predue.domain.ledger import Ledger
from predue.domain.slot import Hours, slot_of
from predue.domain.stage import Stage, StageKey
from tests.fakes import Answer, FakeBus, FakeLater, FakeQueues, Store
from tests.flow.chances import ANSWERS, BORROWERS, LOANS, OTHER, OTHERS, STAGES, START, WHO, Controls
from tests.flow.steps import Task, pause
from tests.flow.truth import Truth

HOURS = Hours(time(9), time(20))
KEYS = Keys([b"0" * 32])
TASK_LIVES = timedelta(minutes=2)
"""No function outlives this, nor the lease of its claim."""


@dataclass(eq=False)
class Work:
    """One run of one function, with the controls that it read when it began; `ended` is called once it is done."""

    task: Task
    controls: Controls
    ended: Callable[[], None] = lambda: None
    borrower_id: str = WHO
    calls: int = 0
    lost: int = 0
    notes: dict[str, Any] = field(default_factory=dict)


class Scene(RuleBasedStateMachine):
    """Two borrowers whose state all work shares, one call of a port at a time."""

    reached: ClassVar[Counter[str]] = Counter()

    def set_up(self) -> None:
        self.now = START
        self.store, self.queues, self.later, self.bus = (
            Store(pause),
            FakeQueues(pause),
            FakeLater(pause),
            FakeBus(pause),
        )
        self.controls = Controls()
        self.answer: Answer = ANSWERS["accepts"]
        self.works: list[Work] = []
        self.unpublished: dict[str, Any] | None = None
        self.told: list[dict[str, Any]] = []
        self.history: list[tuple[datetime, list[Truth]]] = []
        self.places: dict[str, set[tuple[str, str]]] = {name: set() for name in BORROWERS}

    def reach(self, situation: str) -> None:
        """Take note that something worth testing has happened."""
        self.reached[situation] += 1

    # Work

    def begin(self, work: Work) -> Work:
        self.works.append(work)
        return work

    def step(self, work: Work) -> None:
        """Make the call ahead of which a work stands, and look at what it changed."""
        call, version = work.task.at, self.ledger(work.borrower_id).version
        work.task.step()
        if call == "write_ledger" and self.ledger(work.borrower_id).version == version:
            work.lost += 1
        self.look(work)
        if work.task.at is None:
            self.works.remove(work)
            work.ended()
            if work.task.error is not None and not getattr(work.task.error, "retry", False):
                raise work.task.error

    def finish(self, work: Work) -> None:
        while work.task.at is not None:
            self.step(work)

    def die(self, work: Work) -> None:
        """The function dies ahead of its next call."""
        self.works.remove(work)
        work.task.kill()

    def look(self, work: Work | None) -> None:
        """Take note of what a step changed, of a work or (None) of events; each room adds what it watches."""

    # Time

    def pass_time(self, length: timedelta) -> None:
        """Move the clock; a call to a provider that is under way ends first."""
        for work in list(self.works):
            if work.task.at == "send":
                self.step(work)
            if length >= TASK_LIVES and work.task.at is not None:
                self.die(work)
        self.now += length

    # What may be true

    def ledger(self, borrower_id: str) -> Ledger:
        return self.store._ledger(borrower_id)

    def truths(self) -> list[Truth]:
        """What may be true: without the event that is just being told, and with it."""
        worlds = [Truth.after(self.told)]
        return worlds if self.unpublished is None else [*worlds, Truth.after([*self.told, self.unpublished])]

    def note(self) -> None:
        truths = self.truths()
        self.history.append((self.now, truths))
        for truth in truths:
            for name, person in truth.people.items():
                if person.zone:
                    self.places[name].add((person.zone, person.send_time))

    def walls(self, borrower_id: str, truths: list[Truth]) -> list[datetime]:
        """What a borrower's clock may show."""
        return [self.now.astimezone(ZoneInfo(truth.people[borrower_id].zone)) for truth in truths]

    def slot(self, day: date, zone: str, send_time: str) -> datetime:
        found = slot_of(day, time.fromisoformat(send_time or "10:00"), HOURS, [ZoneInfo(zone)])
        assert found is not None
        return found

    def open_at(self, moment: datetime, loan: str, due_date: date) -> bool:
        """Whether the installment was open whatever may have been true at an instant."""
        past = [truths for at, truths in self.history if at <= moment][-1:]
        same = [truths for at, truths in self.history if at == moment]
        return all(truth.open_at(loan, due_date) for truths in [*past, *same] for truth in truths)

    def is_planned(self, key: StageKey) -> bool:
        """Whether a stage was planned wherever and whenever its borrower's slot may have been."""
        day = Stage.named(key.stage).day(key.due_date)
        places = self.places[OTHER if key.loan_id in OTHERS else WHO]
        slots = [self.slot(day, zone, send_time) for zone, send_time in places]
        return min(slots) > START and all(self.open_at(slot, key.loan_id, key.due_date) for slot in slots)

    def planned(self) -> list[StageKey]:
        """Every stage that was planned for certain."""
        dates = {loan.due_date for _, truths in self.history for truth in truths for loan in truth.loans.values()}
        keys = (StageKey(loan, 1, day, name) for loan in (*LOANS, *OTHERS) for day in dates for name in STAGES)
        return [key for key in keys if self.is_planned(key)]
