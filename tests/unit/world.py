"""A small lender for the unit tests: what is needed for the rules over the ports in memory, one clock, and events."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from predue.borrowers.view import View
from predue.domain.channel import Switches
from predue.domain.due import Due
from predue.domain.job import Job
from predue.domain.keys import Keys
from predue.domain.ledger import Ledger
from predue.domain.policy import Policy, Rulebook
from predue.domain.profile import Profile
from predue.domain.record import Record
from predue.domain.stage import StageKey
from predue.events import applying
from predue.events.event_services import Effect, EventServices
from predue.events.models import read_event
from predue.events.owners import Owners
from predue.reminders import closing, deliver, planner
from tests.fakes import FakeBus, FakeLater, FakeProvider, FakeQueues, Step, Store

KEYS = Keys([b"0" * 32])
DUE_DATE = date(2026, 6, 15)
NEW_YORK = "America/New_York"
PHONE, EMAIL = "+12015550100", "ann@example.com"


def utc(text: str) -> datetime:
    """An instant of 2026, written as `06-12 14:00`."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


SLOT = utc("06-12 14:00")
"""10:00 in New York on the day of T-3."""


@dataclass
class World:
    """See the module; `now` is what every clock shows."""

    policy: Policy = field(default_factory=Policy)
    now: datetime = SLOT
    switches: Switches = field(default_factory=Switches)
    seconds_left: float = 600
    told: int = 0
    owners: Owners = field(default_factory=Owners)

    def __post_init__(self) -> None:
        self.store, self.queues, self.later = Store(), FakeQueues(), FakeLater()
        self.bus, self.provider = FakeBus(), FakeProvider()
        self.rulebook = Rulebook(self.policy)

    def hook(self, before: Step) -> None:
        """Let `before` run ahead of every call of a port."""
        for port in (self.store, self.queues, self.later, self.bus, self.provider):
            port.before = before

    # Desks

    def services(self, channel: str = "sms") -> deliver.DeliveryServices:
        return deliver.DeliveryServices(
            channel=channel,
            borrowers=self.store,
            addresses=self.store,
            queues=self.queues,
            later=self.later,
            provider=self.provider,
            rulebook=self.rulebook,
            switches=self.switches,
            clock=lambda: self.now,
            unsubscribe_url=lambda ref: f"https://example.com/unsubscribe/{ref}" if channel == "email" else "",
        )

    def event_services(self) -> EventServices:
        return EventServices(self.store, self.store, self.store, self.rulebook, lambda: KEYS, owners=self.owners)

    def planner_services(self) -> planner.PlannerServices:
        return planner.PlannerServices(
            self.store, self.store, self.queues, self.rulebook, self.switches, lambda: self.seconds_left
        )

    def closing_services(self) -> closing.ClosingServices:
        return closing.ClosingServices(self.store, self.event_services(), self.bus, lambda: self.seconds_left)

    # Events

    def body(self, kind: str, sequence: int | None = None, **fields: Any) -> dict[str, Any]:
        """The body of one more event; its sequence is the number of the event unless one is given."""
        self.told += 1
        about: dict[str, Any] = {"borrower_id": "b-1"}
        if kind.startswith("installment"):
            about = {"loan_id": "L-1", "installment_no": 1}
        if kind == "borrower.opted_in":
            # Late enough to lift a stop that another clock stamped.
            fields = {"occurred_at": (self.now + timedelta(minutes=5)).isoformat(), **fields}
        numbered = self.told if sequence is None else sequence
        return {"type": kind, "event_id": f"e-{self.told}", "source": "core", "sequence": numbered, **about, **fields}

    def tell(self, kind: str, sequence: int | None = None, **fields: Any) -> str:
        """Apply one more event, now."""
        return self.apply(self.body(kind, sequence, **fields))

    def apply(self, body: object) -> Effect:
        """Apply an event by its body, now."""
        return applying.apply(read_event(body), self.now, self.event_services())

    def borrower(self, borrower_id: str = "b-1", **fields: Any) -> None:
        """Tell of a borrower whom both text messages and email reach, unless `fields` says otherwise."""
        usual = {
            "name": "Ann",
            "phone": PHONE,
            "email": EMAIL,
            "locale": "en-US",
            "time_zone": NEW_YORK,
            "jurisdiction": "US-NY",
            "channels": "sms|email",
            "consent": "sms|email",
        }
        self.tell("borrower.updated", borrower_id=borrower_id, **{**usual, **fields})

    def installment(
        self, loan_id: str = "L-1", due_date: date = DUE_DATE, borrower_id: str = "b-1", **fields: Any
    ) -> None:
        """Tell of an installment, some weeks before now."""
        now, self.now = self.now, self.now - timedelta(days=20)
        usual = {"amount": "100.00", "currency": "USD", "grace_days": 3}
        self.tell(
            "installment.scheduled",
            loan_id=loan_id,
            borrower_id=borrower_id,
            due_date=due_date.isoformat(),
            **{**usual, **fields},
        )
        self.now = now

    # Work

    def job(self, *keys: StageKey, borrower_id: str = "b-1") -> Job:
        """The job of some keys, by default of T-3 of the usual installment."""
        keys = keys or (key(),)
        return Job(borrower_id, keys[0].day(), self.view(borrower_id).slot(keys[0].day()), keys)

    def view(self, borrower_id: str = "b-1") -> View:
        profile = self.profile(borrower_id)
        dues = self.store.dues.get(borrower_id, {}).values()
        return View.of(profile, self.ledger(borrower_id), dues, self.rulebook, self.now)

    def deliver(self, job: Job | None = None, channel: str = "sms") -> str:
        return deliver.deliver(job or self.job(), self.services(channel))

    def plan(self) -> planner.PlanTally:
        tally, finished = planner.plan(0, self.now, self.planner_services())
        assert finished
        return tally

    def close(self) -> closing.CloseTally:
        tally, finished = closing.close(0, self.now, self.closing_services())
        assert finished
        return tally

    # What is known

    def profile(self, borrower_id: str = "b-1") -> Profile:
        return self.store.profiles[borrower_id]

    def ledger(self, borrower_id: str = "b-1") -> Ledger:
        return self.store.ledgers[borrower_id][0] if borrower_id in self.store.ledgers else Ledger(borrower_id)

    def due(self, loan_id: str = "L-1", due_date: date = DUE_DATE, borrower_id: str = "b-1") -> Due:
        return next(
            due for at, due in self.store.dues[borrower_id].items() if (at.loan_id, at.due_date) == (loan_id, due_date)
        )

    def records(self) -> list[Record]:
        return list(self.store.records.values())

    def record(self) -> Record:
        (only,) = self.store.records.values()
        return only

    def outcomes(self) -> dict[str, tuple[str, str]]:
        """Outcome and reason by `loan stage`; fails if two records answer for one key."""
        found: dict[str, tuple[str, str]] = {}
        for record in self.records():
            for one in record.keys:
                name = f"{one.loan_id} {one.stage}"
                assert name not in found, "one key stands in two records"
                found[name] = (record.outcome, record.reason)
        return found


def key(stage: str = "T-3", loan_id: str = "L-1", due_date: date = DUE_DATE) -> StageKey:
    """The key of a stage of the usual installment."""
    return StageKey(loan_id, 1, due_date, stage)


def ready(**fields: Any) -> World:
    """A world with one borrower and one installment, at the slot of its T-3."""
    world = World()
    world.borrower(**fields)
    world.installment()
    return world


def moving(world: World, call: str, times: int, borrower_id: str = "b-1") -> Step:
    """A hook by which somebody else changes a borrower's ledger ahead of the first so many calls by that name."""
    left = [times]

    def before(name: str) -> None:
        if name == call and left[0]:
            left[0] -= 1
            world.hook(lambda _call: None)
            world.store.bump(borrower_id)
            world.hook(before)

    return before
