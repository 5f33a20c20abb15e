"""What the rules need from the outside, as protocols; `aws/` and the tests' fakes implement them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple, Protocol

from predue.domain.case import Case
from predue.domain.due import Due
from predue.domain.job import Job
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.domain.record import Record
from predue.lifecycle import Lifecycle


class State(NamedTuple):
    """A borrower's live state in one strongly consistent read; `profile` is None for a borrower not yet known."""

    profile: Profile | None
    ledger: Ledger
    dues: tuple[Due, ...]


class Borrowers(Protocol):
    """Borrowers' live state and records; every write is conditional, so a lost race shows as LedgerMoved."""

    def load(self, borrower_id: str, until: date) -> State:
        """Profile, ledger and the dues with a due date up to `until`, strongly consistent."""

    def write_ledger(self, ledger: Ledger) -> Ledger:
        """Store a ledger whose `version` is the one that was read, and return it with its new version.

        Raises LedgerMoved if the stored version is another, unless what is stored is this very write, made before.
        """

    def settle_record(self, record: Record, before: Record) -> None:
        """Store what a provider's event made of a record; raises LedgerMoved if it is no longer as `before`."""

    def raise_receipt(self, reminder_id: str, status: str, provider_message_id: str, lower: Sequence[str]) -> bool:
        """Note a receipt on a record whose outcome is known and whose receipt, if any, is one of `lower`, without
        reading it. False if there is no such record.
        """

    def write_record(self, record: Record) -> bool:
        """Store a record unless a final one stands there; one that says `unknown` is replaced. False if it was left
        alone.
        """

    def record(self, reminder_id: str) -> Record | None:
        """A record, strongly consistent."""

    def ledger(self, borrower_id: str) -> Ledger:
        """A ledger, strongly consistent; version 0 if there is none."""


class Queues(Protocol):
    """The queue of each channel."""

    def send(self, channel: str, jobs: Sequence[Job], delay_seconds: int = 0) -> None:
        """Queue jobs for a channel, all or an error; a delay is at most 900 seconds."""


class Later(Protocol):
    """One-off schedules, for what must wait longer than a queue can hold it."""

    def at(self, moment: datetime, channel: str, job: Job) -> None:
        """Queue the job for the channel at an instant; the same call again does nothing."""


class Accepted(NamedTuple):
    """The provider took the message, under this id of its own."""

    provider_message_id: str


RefusalKind = Literal["refused_address", "refused_channel", "refused_busy"]


class Refused(NamedTuple):
    """The provider definitely did not take the message.

    `refused_address`: this contact point will never work. `refused_channel`: nothing can go out on the channel for now.
    `refused_busy`: the same call may succeed in a while.
    """

    kind: RefusalKind
    code: str


class NoAnswer(NamedTuple):
    """The call ended with no definite answer: the provider may have taken the message."""

    code: str


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A rendered reminder: `text_version` names the exact words, `segments` and `encoding` are those of an SMS."""

    text_version: str
    locale: str
    body: str
    subject: str = ""
    html: str = ""
    segments: int = 0
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message on its way: to whom, under which reminder id, and the seconds after which the carrier must drop
    it.
    """

    reminder_id: str
    to: str
    message: RenderedMessage
    seconds_to_live: int
    unsubscribe_url: str = ""


class Provider(Protocol):
    """The provider of one channel; it makes exactly one request on the wire."""

    def send(self, outbound: OutboundMessage) -> Accepted | Refused | NoAnswer:
        """Hand over one message and say what came of it; never raises for anything that the call itself met."""


class Addresses(Protocol):
    """Contact points across borrowers, by keyed hash."""

    def suppress(self, address_ref: str, reason: str, at: datetime) -> None:
        """Note that a contact point must not be used."""

    def suppressed(self, address_ref: str) -> bool:
        """Whether a contact point is suppressed, strongly consistent."""

    def link(self, address_ref: str, borrower_id: str) -> None:
        """Note whom a contact point belongs to."""

    def linked(self, address_ref: str) -> Iterable[str]:
        """The borrowers to whom a contact point belongs."""


class IndexEntry(NamedTuple):
    """One open due as the index shows it; it was written at `written_at`."""

    borrower_id: str
    loan_id: str
    installment_no: int
    due_date: date
    send_time: str
    written_at: datetime


class Plans(Protocol):
    """What planner and closing run read: the index, zone keys and send times in use, and their own checkpoints."""

    def start(self, run: str, shard: int) -> "tuple[InUse, Checkpoint | None]":
        """What is in use, and how far the run came on the shard: one read, strongly consistent."""

    def entries(
        self, due_date: date, shard: int, zone_key: str, send_time: str, after: str = ""
    ) -> Iterator[IndexEntry]:
        """The open dues of a due date, shard, place and send time, sorted by borrower.

        An empty `send_time` means every send time; they come sorted by time, then borrower. `after` is
        `send_time#borrower`, and only what sorts after that borrower is given.
        """

    def overdue(self, shard: int) -> Iterator[IndexEntry]:
        """The open dues that were already past their window when they became known."""

    def profiles_of(self, borrower_ids: Sequence[str]) -> dict[str, Profile]:
        """Profiles of many borrowers as far as they tell when and where somebody may be reached, eventually consistent;
        those not found are left out.
        """

    def ledgers_of(self, borrower_ids: Sequence[str]) -> dict[str, Ledger]:
        """Ledgers of many borrowers, eventually consistent; those not found are left out."""

    def recorded(self, reminder_ids: Sequence[str]) -> set[str]:
        """Which of the reminders have a record, eventually consistent."""

    def save_checkpoint(self, run: str, shard: int, checkpoint: "Checkpoint") -> None:
        """Note how far a run came; never moves back."""


class InUse(NamedTuple):
    """The (place, send time) pairs and the graces, in days, of which there may be dues; only ever grows."""

    pairs: frozenset[tuple[str, str]]
    graces: frozenset[int]


class Checkpoint(NamedTuple):
    """`covered`: the instant up to which a run is complete; `position`: where an unfinished run for `target`
    resumes.

    `queued`: the jobs `since` an instant; `held`: the run is unfinished since it may queue no more, whatever the
    target. `rules`: under which what is covered was covered; `failed`: the unfinished run had to leave somebody out.
    """

    covered: datetime
    target: datetime | None = None
    position: str = ""
    since: datetime | None = None
    queued: int = 0
    held: bool = False
    rules: str = ""
    failed: bool = False


EventState = Literal["new", "begun", "applied", "released"]
EVENT: Lifecycle[EventState] = Lifecycle(
    "event",
    {
        "new": {"begun": "its id is taken for this body"},
        "begun": {
            "begun": "the same body again, after a try that was cut short",
            "applied": "all that it changes is written",
            "released": "it was rejected and changed nothing",
        },
        "applied": {},
        "released": {"begun": "its id is taken for a body that was mended"},
    },
)
"""How far an event's body came. Each id belongs to one body for good, unless that body was rejected."""


class Dues(Protocol):
    """What events read and writes beside the ledger; writes are conditional on versions and raise LedgerMoved."""

    def profile(self, borrower_id: str) -> Profile | None:
        """A profile, strongly consistent."""

    def name_borrower(self, ref: str, borrower_id: str) -> None:
        """Note to whom an opaque name belongs, so that reminder ids and links lead back."""

    def write_profile(self, profile: Profile) -> None:
        """Store a profile whose `version` is the one that was read."""

    def pointer(self, loan_id: str, installment_no: int) -> tuple[str, date] | None:
        """The borrower and current due date of an installment, strongly consistent."""

    def point(self, loan_id: str, installment_no: int, borrower_id: str, due_date: date, before: date | None) -> None:
        """Set the pointer of an installment from `before` (None: there is none yet); raises LedgerMoved if it is
        elsewhere.

        A pointer that is there already is left as it is.
        """

    def due(self, borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Due | None:
        """One due, strongly consistent."""

    def installments(self, loan_id: str) -> dict[int, tuple[date, Due | None]]:
        """The installments of a loan by number: the current due date, and the due, or None while it is being made or
        after it has gone; strongly consistent.
        """

    def write_due(
        self, due: Due, zone_key: str, send_time: str, at: datetime, *, indexed: bool, overdue: bool = False
    ) -> None:
        """Store at `at` a due whose `version` is the one that was read, with its index keys if it is `indexed`."""

    def all_dues(self, borrower_id: str) -> tuple[Due, ...]:
        """Every due of a borrower, strongly consistent."""

    def ledger(self, borrower_id: str) -> Ledger:
        """A ledger, strongly consistent; version 0 if there is none."""

    def write_ledger(self, ledger: Ledger) -> Ledger:
        """As in Borrowers."""

    def bump(self, borrower_id: str) -> None:
        """Raise the ledger's version, so that every claim which read before it is lost."""

    def use(self, zone_key: str, send_time: str, grace_days: int) -> None:
        """Note a place, send time and grace as in use, before the first due that needs them."""

    def begin(self, event: str, body_hash: str, at: datetime) -> EventState:
        """Take an event's id for this body, before anything of it is applied, and say how far the same body came
        before.

        Raises EventConflict if the id belongs to another body.
        """

    def first_came(self, event: str) -> datetime:
        """When the id of an event was taken that is begun."""

    def mark_applied(self, event: str, body_hash: str, at: datetime) -> None:
        """Note that an event is applied."""

    def release(self, event: str, body_hash: str, at: datetime) -> None:
        """Free the id of an event that was refused and changed nothing, so that it may come again, mended."""

    def park(self, about: str, event: str, body: dict[str, Any], at: datetime, *, awaited: bool) -> None:
        """Keep an event about a loan or borrower that is not known; `awaited` if that should come, and somebody
        should look if it does not.
        """

    def parked(self, about: str) -> list[dict[str, Any]]:
        """The bodies parked about something, in the order of their sequences."""

    def drop_parked(self, about: str, event: str) -> None:
        """Forget an event that was parked."""

    def write_consent(self, borrower_id: str, at: datetime, event: str, body: dict[str, Any]) -> None:
        """Append a consent event; the same again changes nothing."""

    def write_case(self, case: Case) -> bool:
        """Store a case, or give the stored one those early warnings that it has not; the same again changes nothing.
        Whether it was stored for the first time.
        """


class Bus(Protocol):
    """The application's event bus."""

    def overdue(self, due: Due, event_id: str, at: datetime) -> None:
        """Emit one InstallmentOverdue; the id makes repeats harmless."""
