"""Promises under any interleaving: every call of a port is a point where another delivery, news, a crash or the
clock may come in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from predue import close, deliver, news, plan
from predue.gate import Switches
from predue.job import Job
from predue.keys import Keys
from predue.ledger import Contact, Settled
from predue.policy import Rulebook
from predue.ports import Envelope, Refused
from predue.slot import slot_of
from predue.stage import Stage, StageKey
from tests.fakes import Answer, FakeBus, FakeLater, FakeQueues, Store
from tests.flow.chances import (
    ANSWERS,
    CAPS,
    GRACE,
    LAST_DAY,
    LOANS,
    POLICY,
    STAGES,
    START,
    WHO,
    ZONES,
    Move,
    events,
    moves,
)
from tests.flow.steps import Task, pause
from tests.flow.truth import Truth


@dataclass
class Claim:
    """A claim as it was seen to appear in the ledger, and the truths that could hold for it at that moment."""

    contact: Contact
    truths: list[Truth]
    answers: list[Answer] = field(default_factory=list)
    given_back: bool = False


@dataclass
class Message:
    """A job in a queue."""

    channel: str
    job: Job
    visible: datetime


class Interleavings(RuleBasedStateMachine):
    """One borrower with three loans, whose deliveries and news are stepped from call to call."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.store, self.queues, self.later, self.bus = (
            Store(pause),
            FakeQueues(pause),
            FakeLater(pause),
            FakeBus(pause),
        )
        self.rulebook = Rulebook(POLICY)
        self.messages: list[Message] = []
        self.tasks: list[tuple[Task, Message]] = []
        self.telling: Task | None = None
        self.untold: dict[str, Any] | None = None
        self.told: list[dict[str, Any]] = []
        self.history: list[tuple[datetime, list[Truth]]] = []
        self.places: set[tuple[str, str]] = set()
        self.claims: dict[str, Claim] = {}
        self.settled: list[Settled] = []
        self.answer: Answer = ANSWERS["accepts"]
        self.closed_at = self.now
        self.tell("borrower.updated", time_zone=ZONES[0], preferred_time="", channels="sms|email", consent="sms|email",
                  phone="+12015550100", email="ann@example.com", jurisdiction="US", locale="en-US")  # fmt: skip
        for loan, due_date in LOANS.items():
            self.tell("installment.scheduled", loan_id=loan, installment_no=1, due_date=due_date.isoformat(),
                      amount="100.00", currency="USD", grace_days=GRACE)  # fmt: skip
        self.planner_runs()
        self.closing_runs()

    # The world around the rules

    def desk(self, channel: str) -> deliver.Desk:
        switches, clock = Switches(), lambda: self.now
        return deliver.Desk(channel, self.store, self.store, self.queues, self.later, self, self.rulebook, switches,
                            clock, lambda _ref: "https://example.com/stop")  # fmt: skip

    def news_desk(self) -> news.NewsDesk:
        keys = Keys([b"0" * 32])
        return news.NewsDesk(self.store, self.store, self.store, self.rulebook, lambda: keys)

    def send(self, envelope: Envelope) -> Answer:
        """The provider: every call must be covered by a claim, and lie inside the hours of the stage's own day."""
        pause("send")
        held = [claim for claim in self.claims.values() if claim.contact.reminder_id == envelope.reminder_id]
        claim = next(claim for claim in reversed(held) if not claim.given_back)
        keys = claim.contact.keys
        before = [answer for old in self.claims.values() if set(old.contact.keys) & set(keys) for answer in old.answers]
        assert all(isinstance(answer, Refused) for answer in before), "promise 5: called again without a refusal"
        walls = [self.now.astimezone(ZoneInfo(truth.zone)) for truth in claim.truths]
        assert any(
            time(9) <= wall.time() < time(20) and {key.day() for key in keys} == {wall.date()} for wall in walls
        ), "promise 2: called outside the hours of the stage's day"
        claim.answers.append(self.answer)
        return self.answer

    def truths(self) -> list[Truth]:
        """What may be true: without the event that is just being told, and with it."""
        worlds = [Truth.after(self.told)]
        return worlds if self.untold is None else [*worlds, Truth.after([*self.told, self.untold])]

    def look(self) -> None:
        """Take note of what the last step changed: new jobs, new claims, claims given back, hand-overs."""
        self.messages += [
            Message(channel, job, self.now + timedelta(seconds=wait)) for channel, job, wait in self.queues.sent
        ]
        self.messages += [Message(channel, job, at) for at, channel, job in self.later.planned]
        self.queues.sent.clear()
        self.later.planned.clear()
        contacts = {contact.token: contact for contact in self.store._ledger(WHO).contacts}
        for token, claim in self.claims.items():
            if not claim.given_back and (token not in contacts or not contacts[token].counts):
                assert all(isinstance(answer, Refused) for answer in claim.answers), "a slot was given back unasked"
                claim.given_back = True
        for one in self.store._ledger(WHO).settled:
            if one not in self.settled:
                self.settled.append(one)
                self.check_cap(one)
        for token, contact in contacts.items():
            if token not in self.claims:
                self.claims[token] = Claim(contact, self.truths())
                self.check_claim(self.claims[token])
        answered = [key for record in self.store.records.values() for key in record.keys]
        assert len(answered) == len(set(answered)), "promise 6: a stage stands in two records"

    def check_cap(self, settled: Settled) -> None:
        """A stage may fail for a cap only while that cap is full of contacts that nobody gave back."""
        for cap in (cap for cap in CAPS if cap.name == settled.reason):
            day, oldest = settled.keys[0].day(), settled.at - (cap.rolling or timedelta(0))
            held = [claim.contact for claim in self.claims.values() if not claim.given_back]
            full = [other for other in held if (other.at > oldest if cap.rolling else other.day == day)]
            full = [other for other in full if cap.channel in (None, other.channel)]
            assert len(full) >= cap.count, f"promise 1: {cap.name} was not full"

    def check_claim(self, claim: Claim) -> None:
        contact = claim.contact
        for key in contact.keys:
            assert any(truth.open_at(key.loan_id, key.due_date) for truth in claim.truths), f"promise 3: {key.text()}"
            assert any(truth.allows(contact.channel, key.loan_id, key.due_date) for truth in claim.truths), (
                f"promise 4: {key.text()}"
            )
        held = [other.contact for other in self.claims.values() if not other.given_back]
        assert sum(other.day == contact.day for other in held) <= 1, "promise 1: a second contact on a day"
        for days, count, channels in ((3, 2, ("sms", "email")), (2, 1, ("sms",))):
            window = [
                other for other in held
                if other.channel in channels and contact.at - timedelta(days=days) < other.at <= contact.at
            ]  # fmt: skip
            assert len(window) <= count or contact.channel not in channels, f"promise 1: {days} days"

    # News

    def tell(self, kind: str, **fields: Any) -> None:
        """Tell one event from beginning to end."""
        self.start_telling(kind, **fields)
        self.finish_telling()

    def start_telling(self, kind: str, **fields: Any) -> None:
        self.finish_telling()
        number = len(self.told) + 1
        frame = {"type": kind, "event_id": f"e-{number}", "source": "core", "sequence": number, "borrower_id": WHO}
        self.untold = {**frame, **fields}
        self.note()
        self.repeat_telling()

    def note(self) -> None:
        self.history.append((self.now, self.truths()))
        self.places |= {(truth.zone, truth.wish) for truth in self.truths() if truth.zone}

    def repeat_telling(self) -> None:
        body, at, desk = self.untold, self.now, self.news_desk()
        assert body is not None
        self.telling = Task(lambda: news.apply(body, at, desk))

    def step_telling(self) -> None:
        assert self.telling is not None
        self.telling.step()
        self.look()
        if self.telling.at is None:
            if self.telling.error:
                raise self.telling.error
            assert self.telling.result in ("applied", "repeat")
            assert self.untold is not None
            self.told.append(self.untold)
            self.telling = self.untold = None
            self.note()

    def finish_telling(self) -> None:
        """Tell the event to its end, from the start if it was cut short."""
        if self.untold is not None and self.telling is None:
            self.repeat_telling()
        while self.telling is not None:
            self.step_telling()

    @rule(event=events, whole=st.booleans())
    def news_comes(self, event: dict[str, Any], whole: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        (self.tell if whole else self.start_telling)(event["type"], **event)

    def tell_on(self, steps: int) -> None:
        for _ in range(steps):
            if self.telling is not None:
                self.step_telling()

    def news_dies(self) -> None:
        if self.telling is not None:
            self.telling.kill()
            self.telling = None

    # Planning, delivery, closing

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(copies=st.integers(1, 3), event=st.none() | events, moves=moves)
    def a_slot_comes(self, copies: int, event: dict[str, Any] | None, moves: list[Move]) -> None:
        truth = self.truths()[0]
        slots = [self.slot(self.now.date() + timedelta(days=days), truth.zone, truth.wish) for days in range(-1, 3)]
        self.pass_time(min(slot for slot in slots if slot > self.now) - self.now)
        self.planner_runs()
        self.work(copies, event, moves)

    @rule(copies=st.integers(0, 2), event=st.none() | events, moves=moves)
    def work(self, copies: int, event: dict[str, Any] | None, moves: list[Move]) -> None:
        """Deliver what is queued while an event is told, one call of a port at a time, in the order drawn."""
        if event is not None:
            self.start_telling(event["type"], **event)
        for message in self.visible() * copies:
            self.start_delivery(message)
        for move, pick, answer in moves:
            self.answer = ANSWERS[answer]
            if move == "tell":
                self.tell_on(pick + 1)
            elif move == "news dies":
                self.news_dies()
            elif move == "start" and self.visible():
                self.start_delivery(self.visible()[pick % len(self.visible())])
            elif move == "minute":
                self.pass_time(timedelta(minutes=1))
            elif self.tasks:
                self.move_delivery(move, *self.tasks[pick % len(self.tasks)])

    def move_delivery(self, move: str, task: Task, message: Message) -> None:
        if move == "step":
            self.step_task(task, message)
        elif move == "end":
            while task.at is not None:
                self.step_task(task, message)
        elif move in ("dies", "dies for good"):
            self.tasks.remove((task, message))
            task.kill()
            if move == "dies for good" and message in self.messages:
                self.messages.remove(message)

    def planner_runs(self) -> None:
        desk = plan.PlanDesk(self.store, self.store, self.queues, self.rulebook, Switches(), lambda: 600)
        plan.plan(0, self.now, desk)
        self.look()

    def closing_runs(self) -> None:
        emitted = len(self.bus.events)
        close.close(0, self.now, close.CloseDesk(self.store, self.news_desk(), self.bus, lambda: 600))
        self.closed_at = self.now
        self.look()
        for _, due, _ in self.bus.events[emitted:]:
            assert any(truth.open_at(due.loan_id, due.due_date) for truth in self.truths()), (
                "promise 7: nothing is owed"
            )

    def visible(self) -> list[Message]:
        return [message for message in self.messages if message.visible <= self.now]

    def start_delivery(self, message: Message) -> None:
        desk = self.desk(message.channel)
        self.tasks.append((Task(lambda: deliver.deliver(message.job, desk)), message))

    def step_task(self, task: Task, message: Message) -> None:
        task.step()
        self.look()
        if task.at is None:
            self.tasks.remove((task, message))
            if task.result is not None and message in self.messages:
                self.messages.remove(message)
            if task.error is not None and not getattr(task.error, "retry", False):
                raise task.error

    # Time

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(minutes=st.sampled_from([3, 15, 240, 600, 1440]), run=st.sampled_from(["none", "plan", "close"]))
    def time_passes(self, minutes: int, run: str) -> None:
        self.pass_time(timedelta(minutes=minutes))
        if run != "none":
            (self.planner_runs if run == "plan" else self.closing_runs)()

    def pass_time(self, length: timedelta) -> None:
        """Move the clock; a call under way ends first, and no function outlives the lease of its claim."""
        for task, message in list(self.tasks):
            if task.at == "send":
                self.step_task(task, message)
            if length >= timedelta(minutes=2) and task.at is not None:
                self.tasks.remove((task, message))
                task.kill()
        if length >= timedelta(minutes=2) and self.telling is not None:
            self.news_dies()
        self.now += length
        if self.now - self.closed_at > timedelta(days=2):
            self.closing_runs()

    # The end

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.run_to_the_end()
        finally:
            for task, _ in getattr(self, "tasks", []):
                task.kill()

    def run_to_the_end(self) -> None:
        self.finish_telling()
        while self.tasks:
            task, _ = self.tasks.pop()
            task.kill()
        self.answer = ANSWERS["accepts"]
        while self.now.date() <= LAST_DAY:
            self.planner_runs()
            for message in self.visible():
                self.start_delivery(message)
                while self.tasks:
                    self.step_task(*self.tasks[-1])
            self.closing_runs()
            self.pass_time(timedelta(hours=8))
        answered = {key for record in self.store.records.values() for key in record.keys}
        for key in self.planned():
            assert key in answered, f"promise 6: {key.text()} has no outcome"
        handed_over = {(due.loan_id, due.due_date) for _, due, _ in self.bus.events}
        for name, loan in self.truths()[0].loans.items():
            assert not loan.open or (name, loan.due_date) in handed_over, f"promise 7: {name} was not handed over"
        assert len({identity for identity, _, _ in self.bus.events}) == len(handed_over)

    def planned(self) -> list[StageKey]:
        """The stages that were planned wherever and whenever the borrower's slot may have been."""
        dates = {loan.due_date for _, truths in self.history for truth in truths for loan in truth.loans.values()}
        found = []
        for name in STAGES:
            stage = Stage.named(name)
            for due_date in dates:
                slots = [self.slot(stage.day(due_date), zone, wish) for zone, wish in self.places]
                found += [
                    StageKey(loan, 1, due_date, name)
                    for loan in LOANS
                    if min(slots) > START and all(self.open_at(slot, loan, due_date) for slot in slots)
                ]
        return found

    def slot(self, day: date, zone: str, wish: str) -> datetime:
        found = slot_of(
            day, time.fromisoformat(wish or "10:00"), self.rulebook.rules("US", day).hours, [ZoneInfo(zone)]
        )
        assert found is not None
        return found

    def open_at(self, moment: datetime, loan: str, due_date: date) -> bool:
        """Whether the installment was open whatever may have been true at an instant."""
        past = [truths for at, truths in self.history if at <= moment][-1:]
        same = [truths for at, truths in self.history if at == moment]
        return all(truth.open_at(loan, due_date) for truths in [*past, *same] for truth in truths)


_quiet: list[HealthCheck] = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
_profile: Callable[..., settings] = settings
TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = _profile(
    max_examples=150, stateful_step_count=16, deadline=None, derandomize=True, suppress_health_check=_quiet
)
