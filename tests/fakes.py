"""The ports in memory as tests use them: with a note of everything that was done, and a step ahead of each call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from infrastructure.local.memory.index import DueKey
from infrastructure.local.memory.store import MemoryStore
from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, Refused
from predue.domain.case import Case
from predue.domain.due import Due
from predue.domain.job import Job

__all__ = [
    "WRITES",
    "Answer",
    "DueKey",
    "FakeBus",
    "FakeLater",
    "FakeProvider",
    "FakeQueues",
    "Sent",
    "Step",
    "Store",
    "state_of",
]

Answer = Accepted | Refused | NoAnswer
Step = Callable[[str], None]

WRITES = {
    *(
        "write_ledger",
        "settle_record",
        "raise_receipt",
        "write_record",
        "suppress",
        "link",
        "save_checkpoint",
        "name_borrower",
    ),
    *(
        "write_profile",
        "point",
        "write_due",
        "bump",
        "use",
        "begin",
        "mark_applied",
        "release",
        "park",
        "drop_aside",
        "write_consent",
        "write_case",
    ),
}
"""The calls of the store that change it."""


def _silent(_call: str) -> None:
    """Nothing happens between two calls."""


class Store(MemoryStore):
    """The store in memory; `before` is called with the name of each call before it takes effect, and an exception from
    it is a crash at that point.
    """

    def __init__(self, before: Step = _silent) -> None:
        super().__init__()
        self.before = before
        self.calls: list[str] = []

    def _step(self, call: str) -> None:
        self.before(call)
        self.calls.append(call)

    def open_cases(self) -> list[Case]:
        """The cases in which there is still something to do, sorted by id."""
        return [case for case in sorted(self.cases.values(), key=lambda one: one.case_id) if self.is_open(case)]


class Sent(NamedTuple):
    """One job as it was queued."""

    channel: str
    job: Job
    delay_seconds: int


@dataclass
class FakeQueues:
    """The queues of the channels; `sent` lists what was put into them."""

    before: Step = _silent
    sent: list[Sent] = field(default_factory=list)

    def send(self, channel: str, jobs: Sequence[Job], delay_seconds: int = 0) -> None:
        self.before("queue")
        assert 0 <= delay_seconds <= 900, "SQS holds a message back for at most 15 minutes"
        self.sent += [Sent(channel, Job.read(job.body()), delay_seconds) for job in jobs]


@dataclass
class FakeLater:
    """One-off schedules; the same one again changes nothing."""

    before: Step = _silent
    planned: dict[tuple[datetime, str, Job], None] = field(default_factory=dict)

    def at(self, moment: datetime, channel: str, job: Job) -> None:
        self.before("later")
        self.planned.setdefault((moment, channel, Job.read(job.body())), None)


@dataclass
class FakeBus:
    """The event bus; `events` lists every emission, repeats included."""

    before: Step = _silent
    events: list[tuple[str, Due, datetime]] = field(default_factory=list)

    def overdue(self, due: Due, event_id: str, at: datetime) -> None:
        self.before("overdue")
        self.events.append((event_id, due, at))


@dataclass
class FakeProvider:
    """A provider that gives the answers of `answers` in turn, then accepts; `calls` lists what reached it."""

    before: Step = _silent
    answers: list[Answer] = field(default_factory=list)
    calls: list[OutboundMessage] = field(default_factory=list)

    def send(self, outbound: OutboundMessage) -> Answer:
        self.before("send")
        self.calls.append(outbound)
        return self.answers.pop(0) if self.answers else Accepted(f"message-{len(self.calls)}")


def _undated(words: Mapping[Any, Any]) -> dict[Any, Any]:
    """Words by what they are about, without their arrivals."""
    return {about: word._replace(at=0) for about, word in words.items()}


def state_of(store: Store) -> Mapping[str, Any]:
    """What is known, without what only tells how it came to be known: versions, arrival times and their order."""
    return {
        "profiles": {
            name: replace(profile, version=0, arrivals={}, bad_addresses=tuple(sorted(profile.bad_addresses)))
            for name, profile in store.profiles.items()
        },
        "ledgers": {
            name: (
                *(_undated(words) for words in (ledger.opt_outs, ledger.opt_ins, ledger.holds, ledger.holds_ended)),
                ledger.suppressed,
            )
            for name, (ledger, _) in store.ledgers.items()
        },
        "dues": {
            (due.loan_id, due.installment_no): replace(
                due,
                version=0,
                changes=(),
                stated_at=None,
                arrivals={},
                cancels=_undated(due.cancels),
                disputes=_undated(due.disputes),
            )
            for dues in store.dues.values()
            for due in dues.values()
            if due.moved_to is None
        },
        "pointers": store.pointers,
        "indexed": sorted(slot_key for _, slot_key, _ in store.index.values()),
        "aside": {about: set(kept) for about, kept in store.aside.items() if kept},
        "open cases": [(case.case_id, case.kind, sorted(case.signals)) for case in store.open_cases()],
    }
