"""All that an audit looks at: the replayed history, what was planned, the outcomes and the carrier's own log."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from infrastructure.local.audit.days import Days
from infrastructure.local.audit.history import History
from infrastructure.local.audit.input_files import Inputs, json_lines
from infrastructure.local.audit.outcomes import OutcomeLine, ProviderCall, read_call, read_line
from infrastructure.local.audit.planned import planned_stages
from infrastructure.local.audit.replay import Person
from infrastructure.local.audit.terms import AuditKey, CapTerm, Terms
from infrastructure.local.audit.values import instant_text

# The longest a provider call may follow its claim: a function runs 15 minutes at most. Events in between came too late.
CLAIM_LEASE = timedelta(minutes=15)
NO_PROFILE = "the borrower has no profile"

Read = TypeVar("Read")


class Check(NamedTuple):
    """One thing that was looked at, and what is wrong with it, if anything; only then its text is made."""

    about: str | Callable[[], str]
    fault: str | None

    def text(self) -> str:
        """What was looked at, in words."""
        return self.about if isinstance(self.about, str) else self.about()


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was asked for: local days, both included, and whether faults or outages were part of it."""

    first_day: date
    last_day: date
    disturbed: bool = False

    @property
    def start(self) -> datetime:
        """An instant before the first day has begun anywhere: from then on the rows of the CSV files are known."""
        return datetime.combine(self.first_day, time(), UTC) - timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class RunResults:
    """What a run left: the parsed lines of its files, each read once, in their order.

    `claims` are the instants at which the table took claims, `at` and `reminder_id`, if somebody watched it. Under
    chaos `arrivals` tells the lines of events.jsonl and the instants at which they were acknowledged.
    """

    contacts: Iterable[Mapping[str, Any]]
    wire: Iterable[Mapping[str, Any]]
    log: Iterable[Mapping[str, Any]] = ()
    dead_letters: Iterable[Mapping[str, Any]] = ()
    claims: Iterable[Mapping[str, Any]] | None = None
    arrivals: Iterable[tuple[int, datetime]] | None = None

    @classmethod
    def read(
        cls,
        out: Path,
        claims: Iterable[Mapping[str, Any]] | None = None,
        arrivals: Iterable[tuple[int, datetime]] | None = None,
    ) -> "RunResults":
        """The files of a run's folder, as streams."""
        names = "contacts.jsonl", "wire.jsonl", "logs.jsonl", "dead_letters.jsonl"
        contacts, wire, log, dead_letters = (json_lines(out / name) for name in names)
        return cls(contacts, wire, log, dead_letters, claims, arrivals)


class Evidence:
    """The evidence of one run; `unreadable_lines` and `unreadable_calls` are checks that failed while it was read."""

    def __init__(self, inputs: Inputs, run: Run, results: RunResults, terms: Terms) -> None:
        self.terms = terms
        self.inputs = inputs if results.arrivals is None else inputs.arrived(results.arrivals)
        self.undisturbed = not (run.disturbed or terms.limited)
        self.days = Days(terms)
        self.history = History(self.inputs, run.start)
        self.planned = planned_stages(self.history, self.days, terms.stages, run.first_day, run.last_day)
        self.unreadable_lines: list[Check] = []
        self.unreadable_calls: list[Check] = []
        self.lines = list(_readable("contacts.jsonl", results.contacts, read_line, self.unreadable_lines))
        calls = _readable("wire.jsonl", results.wire, read_call, self.unreadable_calls)
        self.calls = sorted(calls, key=lambda call: call.at)
        self.errors = [number for number, line in enumerate(results.log, 1) if line.get("level") == "ERROR"]
        self.dead_letters = Counter(str(letter["queue"]) for letter in results.dead_letters)
        self.line_of = {line.reminder_id: line for line in self.lines}
        self.calls_of: defaultdict[str, list[ProviderCall]] = defaultdict(list)
        for call in self.calls:
            self.calls_of[call.reminder_id].append(call)
        self.lines_of_key: defaultdict[AuditKey, list[OutcomeLine]] = defaultdict(list)
        for line in self.lines:
            for key in line.keys:
                self.lines_of_key[key].append(line)

        self._claims: defaultdict[str, list[datetime]] = defaultdict(list)
        self._watched = results.claims is not None
        for claim in results.claims or ():
            self._claims[claim["reminder_id"]].append(claim["at"])

    def claimed(self, line: OutcomeLine, call: ProviderCall) -> datetime:
        """Find the claim that a call belongs to: the latest that the table took before, else what the record says."""
        seen = [at for at in self._claims.get(call.reminder_id, ()) if at <= call.at]
        return max(seen) if seen else claimed(line, call)

    def unclaimed(self, call: ProviderCall) -> bool:
        """Whether the table was watched and took no claim before a call."""
        return self._watched and not any(at <= call.at for at in self._claims.get(call.reminder_id, ()))

    def person(self, line: OutcomeLine, moment: datetime) -> Person | None:
        """Tell who the line's borrower was at an instant; None before there was a profile."""
        return self.history.person(line.borrower_id).at(moment)

    def caps(self, line: OutcomeLine) -> tuple[CapTerm, ...]:
        """The caps that hold for the line's borrower, where and when it was written."""
        person = self.person(line, line.at)
        return self.terms.every_cap(person.place.jurisdiction if person else "", line.local.date())

    def hours_fault(self, line: OutcomeLine, key: AuditKey, moment: datetime) -> str | None:
        """Tell why an instant is no allowed hour of the stage's local day, in any zone that is possible; what was
        acknowledged between a claim and its call comes too late for it.
        """
        known = max((at for at in self._claims.get(line.reminder_id, ()) if at <= moment), default=moment)
        person = self.person(line, known)
        return self.days.fault(person.place, key.day(), moment) if person else NO_PROFILE

    def settled(self, line: OutcomeLine, key: AuditKey, moment: datetime) -> str | None:
        """Tell why the borrower is not to be reminded of an installment; None while it is open and undisputed."""
        if self.history.owner(key.loan_id, key.installment_no) != line.borrower_id:
            return "the borrower has no such installment"
        state = self.history.owed(key.loan_id, key.installment_no).at(moment)
        if state is None:
            return "the installment was not known"
        if state.due_date != key.due_date:
            return f"the installment was due on {state.due_date}"
        if state.cancelled:
            return "the installment was cancelled"
        if state.disputed:
            return "the installment was disputed"
        return None if state.open else "the installment was paid"

    def goings(self) -> Iterator[tuple[OutcomeLine, datetime]]:
        """List the instants at which something went out, or may have, each with its line."""
        for line in self.lines:
            moments = {call.at for call in self.calls_of[line.reminder_id]}
            if line.contact:
                moments.add(line.at)
            for moment in sorted(moments):
                yield line, moment

    def joined_calls(self) -> Iterator[tuple[OutcomeLine, ProviderCall]]:
        """List the provider calls that have an outcome."""
        return ((self.line_of[call.reminder_id], call) for call in self.calls if call.reminder_id in self.line_of)


def claimed(line: OutcomeLine, call: ProviderCall) -> datetime:
    """Find the claim that a call belongs to: the latest attempt within the lease before it, else the call itself."""
    claims = [tried.at for tried in line.attempts if tried.channel == call.channel and tried.at <= call.at]
    claim = max(claims, default=call.at)
    return claim if call.at - claim <= CLAIM_LEASE else call.at


def barred(person: Person, channel: str, day: date) -> str | None:
    """Tell why a borrower may not be contacted on a channel on a local day; without a channel, why on none."""
    if person.holds:
        return f"a hold was in force ({', '.join(sorted(person.holds))})"
    if person.held_until is not None and day <= person.held_until:
        return f"a hold was in force until {person.held_until}"
    if "all" in person.opted_out:
        return "the borrower had opted out of all"
    if channel in person.opted_out:
        return f"the borrower had opted out of {channel}"
    chosen = [name for name in person.channels if name in person.consent and name not in person.opted_out]
    if channel:
        return None if channel in chosen else f"{channel} was not chosen or had no consent"
    return None if chosen else "no chosen channel had consent"


def stage_text(key: AuditKey) -> str:
    """Name an installment and a stage in a sentence."""
    return f"loan {key.loan_id} number {key.installment_no} due {key.due_date}, stage {key.stage}"


def line_text(line: OutcomeLine, key: AuditKey | None = None, *more: str | datetime) -> str:
    """Name an outcome in a sentence, or one of its stages; `more` are words and instants that follow."""
    what = stage_text(key) if key else "; ".join(map(stage_text, line.keys))
    rest = (part if isinstance(part, str) else instant_text(part) for part in more)
    return " ".join((f"borrower {line.borrower_id}, {what}, reminder {line.reminder_id}", *rest))


def _readable(
    name: str,
    rows: Iterable[Mapping[str, Any]],
    reader: Callable[[int, Mapping[str, Any]], Read],
    unreadable: list[Check],
) -> Iterator[Read]:
    """Yield the rows that can be read; the others become failed checks."""
    for number, row in enumerate(rows, start=1):
        try:
            yield reader(number, row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            unreadable.append(Check(f"{name} line {number}", f"cannot be read ({type(error).__name__}: {error})"))
