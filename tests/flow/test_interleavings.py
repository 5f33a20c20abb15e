"""Promises under any interleaving: every call of a port is a point where another delivery, events, a receipt, a run, a
crash, the operator or the clock may come in.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from tests.flow.aftermath import Aftermath
from tests.flow.chances import (
    ANSWERS,
    BORROWERS,
    CONTROLS,
    GRACE,
    LAST_DAY,
    LOANS,
    OTHER,
    OTHERS,
    WHO,
    ZONES,
    Controls,
    Move,
    batches,
    events,
    moves,
    perhaps,
)
from tests.flow.scene import HOURS, TASK_LIVES, Work
from tests.flow.scheduled import Scheduled

SITUATIONS = (
    # Deliveries
    "delivery: sent", "delivery: forwarded", "delivery: busy", "delivery: deferred", "delivery: unknown",
    "died ahead of the claim", "died between claim and call", "died after the call", "died after a refusal",
    "redelivered inside the lease", "unknown: redelivered past the lease",
    "unknown: found by the closing run", "unknown: no answer", "claim lost and regained", "claim lost for good",
    "called on the next channel", "called again after a refusal", "failed after its last refusal",
    "settled for a full cap", "claimed for several installments",
    # The operator
    "put off under the kill switch", "expired under the kill switch", "settled in shadow mode",
    "called by a desk that was made before the switch was turned", "held back by the allow-list",
    # Events and receipts
    "news cut short and told again", "receipt before its record", "receipt out of order",
    "receipt cut short and told again", "receipt: bounced", "receipt: complained", "receipt: delivered",
    "unknown settled as sent", "the other borrower's contact point was lost with the first one's",
    "a borrower asked for help",
    # Runs
    "plan: died in the middle", "close: died in the middle", "plan: died ahead of its checkpoint",
    "close: died ahead of its checkpoint", "close: died between the event and the hand-over",
    "handed over",
)  # fmt: skip
"""What must have happened in the examples, for the promises to have been tried."""

POINTS = ("send", "write_record", "overdue", "write_due")
"""Calls ahead of which it matters most who stops: the provider's, the record of its answer, the hand-over."""

CUTS = (
    ("plan", "queue"), ("plan", "write_ledger"), ("plan", "save_checkpoint"), ("close", "write_ledger"),
    ("close", "write_record"), ("close", "overdue"), ("close", "write_due"), ("close", "save_checkpoint"),
)  # fmt: skip
"""Where scheduled runs may be cut short: ahead of which call."""


class Interleavings(Scheduled, Aftermath):
    """Two borrowers and four loans; deliveries, events, receipts and runs are stepped from call to call."""

    @initialize()
    def set_out(self) -> None:
        self.set_up()
        self.publishing = None
        for name, fields in BORROWERS.items():
            self.tell("borrower.updated", borrower_id=name, time_zone=ZONES[0], preferred_time="", jurisdiction="US",
                      locale="en-US", **fields)  # fmt: skip
        for loan, due_date in {**LOANS, **OTHERS}.items():
            self.tell("installment.scheduled", loan_id=loan, installment_no=1, due_date=due_date.isoformat(),
                      amount="100.00", currency="USD", grace_days=GRACE,
                      borrower_id=OTHER if loan in OTHERS else WHO)  # fmt: skip
        self.planner_runs()
        self.closing_runs()

    # What may happen

    @rule(event=events, whole=st.booleans())
    def news_comes(self, event: dict[str, Any], whole: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        (self.tell if whole else self.start_publishing)(event["type"], **event)

    @rule(controls=st.sampled_from(CONTROLS))
    def the_operator_turns(self, controls: Controls) -> None:
        self.turn(controls)

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(copies=st.integers(1, 3), event=perhaps, moves=moves, batches=batches)
    def a_slot_comes(self, copies: int, event: dict[str, Any] | None, moves: list[Move], batches: list[str]) -> None:
        self.go_to_the_slot()
        self.work(copies, event, moves, batches)

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(before=st.sampled_from([-15, 1, 10, 14]), controls=st.sampled_from(CONTROLS), moves=moves, batches=batches)
    def the_hours_end(self, before: int, controls: Controls, moves: list[Move], batches: list[str]) -> None:
        (wall,) = self.walls(WHO, self.truths()[:1])
        end = wall.replace(hour=HOURS.end.hour, minute=0, second=0, microsecond=0) - timedelta(minutes=before)
        self.move_to_after([end, end + timedelta(days=1)])
        self.controls = controls
        self.planner_runs()
        if before < 0:
            self.start_closing()
        self.work(1, None, moves, batches)

    @rule(copies=st.integers(0, 2), event=perhaps, moves=moves, batches=batches)
    def work(self, copies: int, event: dict[str, Any] | None, moves: list[Move], batches: list[str]) -> None:
        """Deliver what is queued while an event is told, one call of a port at a time, in the order drawn."""
        if event is not None:
            self.start_publishing(event["type"], **event)
        for message in self.visible() * copies:
            self.start_delivery(message)
        for move in moves:
            self.answer = ANSWERS[move.answer]
            self.happen(move)
        self.go_round(batches)

    def go_to_the_slot(self) -> None:
        """Go to the first borrower's next slot, and plan."""
        person = self.truths()[0].people[WHO]
        slots = [
            self.slot(self.now.date() + timedelta(days=days), person.zone, person.send_time) for days in range(-1, 3)
        ]
        self.move_to_after(slots)
        self.planner_runs()

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(
        call=st.sampled_from(["load", "write_ledger", "send", "send", "write_record", "write_record"]),
        what=st.sampled_from(["death", "news", "receipt", "the operator", "another delivery"]),
        move=moves.map(lambda some: some[0]),
        event=events,
    )
    def something_comes_between(self, call: str, what: str, move: Move, event: dict[str, Any]) -> None:
        """A delivery stands ahead of one of its calls, and there one thing happens."""
        if not self.open_jobs():
            self.go_to_the_slot()
        for message in self.open_jobs()[-1:]:
            self.answer = ANSWERS[move.answer]
            work = self.start_delivery(message)
            self.go_to(work, call)
            if work.task.at is None:
                return
            if what == "death":
                self.die(work)
                return
            if what == "news":
                about = message.job.keys[0].loan_id
                self.tell(
                    event["type"], **event | ({"loan_id": about} if "loan_id" in event and about in LOANS else {})
                )
            elif what == "the operator":
                self.turn(CONTROLS[-1 - move.pick % len(set(CONTROLS))])
            elif what == "another delivery":
                self.finish(self.start_delivery(message))
            else:
                self.receipt_comes(1, move.receipt)
                self.finish(self.works[-1])
            self.finish(work)

    def go_round(self, answers: list[str]) -> None:
        """Bring what is under way to its end, and deliver what is queued, once for each answer of the providers."""
        for answer in answers:
            self.answer = ANSWERS[answer]
            while self.works:
                self.finish(self.works[0])
            for message in self.visible():
                self.finish(self.start_delivery(message))

    def happen(self, move: Move) -> None:
        of_its_own: dict[str, Callable[[], object]] = {
            "tell": lambda: self.tell_on(move.pick + 1),
            "news dies": self.news_dies,
            "minute": lambda: self.pass_time(timedelta(minutes=1)),
            "switch": lambda: self.turn(CONTROLS[-1 - move.pick % len(CONTROLS)]),
            "start": lambda: self.job_comes(move.pick),
            "receipt": lambda: self.receipt_comes(move.pick, move.receipt),
            "plan": self.start_planner,
            "close": self.start_closing,
        }
        if move.name in of_its_own:
            of_its_own[move.name]()
        elif self.works:
            self.go_on(move, self.works[move.pick % len(self.works)])

    def go_to(self, work: Work, *calls: str) -> None:
        """Step a work until it stands ahead of one of some calls, or is done."""
        while work.task.at not in (None, *calls):
            self.step(work)

    def turn(self, controls: Controls) -> None:
        self.controls = controls

    def go_on(self, move: Move, work: Work) -> None:
        if move.name == "step":
            self.step(work)
        elif move.name == "to a point":
            self.step(work)
            self.go_to(work, *POINTS)
        elif move.name == "end":
            self.finish(work)
        else:
            self.die(work)
            if move.name == "dies for good" and "message" in work.notes and work.notes["message"] in self.messages:
                self.messages.remove(work.notes["message"])

    def die(self, work: Work) -> None:
        if "run" in work.notes:
            self.dies_in_run(work)
        elif "receipt" in work.notes:
            self.dies_in_receipt(work)
        else:
            self.dies_in_delivery(work)
        super().die(work)

    # Time

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(minutes=st.sampled_from([3, 15, 240, 600, 1440]), run=st.sampled_from(["none", "plan", "close"]))
    def time_passes(self, minutes: int, run: str) -> None:
        self.pass_time(timedelta(minutes=minutes))
        if run != "none":
            (self.planner_runs if run == "plan" else self.closing_runs)()

    @precondition(lambda self: self.now.date() < LAST_DAY - timedelta(days=3))
    @rule(minutes=st.sampled_from([15, 600, 1440]), cut=st.sampled_from(CUTS))
    def a_run_is_cut_short(self, minutes: int, cut: tuple[str, str]) -> None:
        run, call = cut
        self.pass_time(timedelta(minutes=minutes))
        work = self.start_planner() if run == "plan" else self.start_closing()
        self.go_to(work, call)
        if work.task.at is not None:
            self.die(work)

    def move_to_after(self, moments: list[Any]) -> None:
        """Go to the first of some instants that is still to come, if one is."""
        if coming := [moment for moment in moments if moment > self.now]:
            self.pass_time(min(coming) - self.now)

    def pass_time(self, length: timedelta) -> None:
        if length >= TASK_LIVES and self.publishing is not None:
            self.news_dies()
        super().pass_time(length)
        if self.now - self.closed_at > timedelta(days=2):
            self.closing_runs()

    # The end

    def teardown(self) -> None:
        try:
            if hasattr(self, "store"):
                self.run_to_the_end()
        finally:
            for work in getattr(self, "works", []):
                work.task.kill()

    def run_to_the_end(self) -> None:
        self.finish_publishing()
        while self.works:
            self.die(self.works[-1])
        self.answer, self.controls = ANSWERS["accepts"], Controls()
        while self.now.date() <= LAST_DAY:
            self.planner_runs()
            for message in self.visible():
                self.finish(self.start_delivery(message))
            self.closing_runs()
            self.pass_time(timedelta(hours=12))
        for call, said in [self.mail.pop() for _ in list(self.mail)]:
            self.finish(self.take_in(call, said))
        self.check_the_end()

    def check_the_end(self) -> None:
        assert self.mail == [], "an event of a provider was never taken in"
        answered = {key for record in self.store.records.values() for key in record.keys}
        for key in self.planned():
            assert key in answered, f"promise 6: {key.text()} has no outcome"
        self.check_attempts()
        handed_over = {(due.loan_id, due.due_date) for _, due, _ in self.bus.events}
        for name, loan in self.truths()[0].loans.items():
            assert not loan.open or (name, loan.due_date) in handed_over, f"promise 7: {name} was not handed over"
        assert len({identity for identity, _, _ in self.bus.events}) == len(handed_over)


_LONG = int(os.environ.get("MACHINE_EXAMPLES", "0"))
"""`make machine` runs more examples, drawn anew each time; a failure prints how to meet it again."""


_TRIES = 12
"""Of more examples, for the few situations that the first happened not to meet: what Hypothesis draws depends on the
modules that are loaded.
"""


def tried(examples: int, steps: int = 16) -> None:
    """Run examples of so many rules; other steps make other examples."""
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=not _LONG,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )


def test_the_promises_hold_however_deliveries_events_receipts_runs_and_crashes_interleave() -> None:
    Interleavings.reached.clear()
    tried(_LONG or 100)
    for number in range(1, _TRIES + 1):
        if set(SITUATIONS) <= set(Interleavings.reached):
            break
        tried(40, 16 + number)
    for situation, number in sorted(Interleavings.reached.items()):
        sys.stdout.write(f"{number:7}  {situation}\n")
    assert set(SITUATIONS) <= set(Interleavings.reached), "more examples are needed to meet it all"
