"""All that an audit looks at: the replayed history, what was planned, the outcomes and the carrier's own log."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from infrastructure.local.audit.days import Days, Terms
from infrastructure.local.audit.history import History
from infrastructure.local.audit.outcomes import OutcomeLine, ProviderCall, read_call, read_line
from infrastructure.local.audit.planned import planned_stages
from infrastructure.local.audit.replay import Person
from infrastructure.local.audit.rows import Portfolio
from predue.domain.stage import StageKey

# The longest a provider call may follow its claim: a function runs 15 minutes at most. Events in between came too late.
CLAIM_LEASE = timedelta(minutes=15)
NO_PROFILE = "the borrower has no profile"

Read = TypeVar("Read")


class Check(NamedTuple):
    """One thing that was looked at, and what is wrong with it, if anything."""

    about: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run was given: local days, both included, and the instant from which the CSV rows were known."""

    first_day: date
    last_day: date
    start: datetime


class Evidence:
    """The evidence of one run; `unreadable_lines` and `unreadable_calls` are checks that failed while it was read."""

    def __init__(
        self,
        portfolio: Portfolio,
        run: Run,
        contacts: Iterable[Mapping[str, Any]],
        wire: Iterable[Mapping[str, Any]],
        terms: Terms,
        claims: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        self.terms = terms
        self.days = Days(terms)
        self.history = History(portfolio, run.start)
        self.planned = planned_stages(self.history, self.days, terms.stages, run.first_day, run.last_day)
        self.unreadable_lines: list[Check] = []
        self.unreadable_calls: list[Check] = []
        self.lines = list(_readable("contacts.jsonl", contacts, read_line, self.unreadable_lines))
        calls = _readable("wire.jsonl", wire, read_call, self.unreadable_calls)
        self.calls = sorted(calls, key=lambda call: call.at)
        self.line_of = {line.reminder_id: line for line in self.lines}
        self.calls_of: defaultdict[str, list[ProviderCall]] = defaultdict(list)
        for call in self.calls:
            self.calls_of[call.reminder_id].append(call)
        self.lines_of_key: defaultdict[StageKey, list[OutcomeLine]] = defaultdict(list)
        for line in self.lines:
            for key in line.keys:
                self.lines_of_key[key].append(line)

        self._claims: defaultdict[str, list[datetime]] = defaultdict(list)
        self._watched = claims is not None
        for claim in claims or ():
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

    def hours_fault(self, line: OutcomeLine, key: StageKey, moment: datetime) -> str | None:
        """Tell why an instant is no allowed hour of the stage's local day, in any zone that is possible."""
        person = self.person(line, moment)
        return self.days.fault(person.place, key.day(), moment) if person else NO_PROFILE

    def settled(self, line: OutcomeLine, key: StageKey, moment: datetime) -> str | None:
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


def barred(person: Person, channel: str) -> str | None:
    """Tell why a borrower may not be contacted on a channel; without a channel, why on none."""
    if person.holds:
        return f"a hold was in force ({', '.join(sorted(person.holds))})"
    if "all" in person.opted_out:
        return "the borrower had opted out of all"
    if channel in person.opted_out:
        return f"the borrower had opted out of {channel}"
    chosen = [name for name in person.channels if name in person.consent and name not in person.opted_out]
    if channel:
        return None if channel in chosen else f"{channel} was not chosen or had no consent"
    return None if chosen else "no chosen channel had consent"


def stage_text(key: StageKey) -> str:
    """Name an installment and a stage in a sentence."""
    return f"loan {key.loan_id} number {key.installment_no} due {key.due_date}, stage {key.stage}"


def line_text(line: OutcomeLine, key: StageKey | None = None) -> str:
    """Name an outcome in a sentence, or one of its stages."""
    what = stage_text(key) if key else "; ".join(map(stage_text, line.keys))
    return f"borrower {line.borrower_id}, {what}, reminder {line.reminder_id}"


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
