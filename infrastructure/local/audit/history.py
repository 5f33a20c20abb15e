"""What the input files say was true at each instant: every borrower and installment replayed, event by event."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from infrastructure.local.audit.input_files import GivenBorrower, GivenEvent, GivenInstallment, Inputs
from infrastructure.local.audit.replay import (
    BORROWER_EVENTS,
    CLOCKS_APART,
    IN_FILE,
    INSTALLMENT_EVENTS,
    Borrower,
    Installment,
    Newest,
    Owed,
    Person,
    Timeline,
    Word,
    scheduled,
)
from infrastructure.local.audit.values import LARGEST_NUMBER, LARGEST_SEQUENCE, identifier, instant, whole_number


class History:
    """The replay of the inputs: who a borrower was and what an installment was at any instant of the run.

    All rows of the CSV files are known from `start`; an event that arrived earlier counts from then. `taken` holds the
    source and id of each event that was well formed, and fits what it is about.
    """

    def __init__(self, inputs: Inputs, start: datetime) -> None:
        self._source = inputs.source
        self._people: dict[str, Borrower] = {}
        self._owed: dict[tuple[str, int], Installment] = {}
        self._aside: defaultdict[tuple[str, int], list[GivenEvent]] = defaultdict(list)
        self.taken: set[tuple[str, str]] = set()
        for row in inputs.borrowers:
            self._add_borrower(row, start)
        for due in inputs.installments:
            self._add_installment(due, start)
        for event in inputs.events:
            self._take(event, max(event.at, start))

    def person(self, borrower_id: str) -> Timeline[Person]:
        """Give a borrower's timeline; an empty one for a borrower without a profile."""
        return self._people[borrower_id].timeline if borrower_id in self._people else Timeline()

    def owed(self, loan_id: str, installment_no: int) -> Timeline[Owed]:
        """Give an installment's timeline; an empty one for an unknown installment."""
        found = self._owed.get((loan_id, installment_no))
        return found.timeline if found else Timeline()

    def owner(self, loan_id: str, installment_no: int) -> str | None:
        """Tell whose installment it is."""
        found = self._owed.get((loan_id, installment_no))
        return found.owner if found else None

    def installments(self) -> Iterable[tuple[str, int, str, Timeline[Owed]]]:
        """List every known installment: loan, number, borrower and timeline."""
        return ((loan, number, due.owner, due.timeline) for (loan, number), due in self._owed.items())

    def _add_borrower(self, row: GivenBorrower, start: datetime) -> None:
        person = self._people[row.borrower_id] = Borrower(known=True, source=self._source)
        for name in ("time_zone", "jurisdiction", "channels", "consent", "preferred_time"):
            person.fields[name] = Newest(getattr(row, name), IN_FILE)
        person.note(start)

    def _add_installment(self, row: GivenInstallment, start: datetime) -> None:
        due = Installment(
            row.borrower_id,
            row.currency,
            Newest(row.due_date, IN_FILE),
            Newest(row.amount, IN_FILE),
            Newest(row.grace_days, IN_FILE),
            Newest(row.status == "cancelled", IN_FILE),
            self._source,
            row.amount if row.status == "paid" else 0,
        )
        self._owed[row.loan_id, row.installment_no] = due
        due.note(start)

    def _take(self, event: GivenEvent, at: datetime) -> None:
        """Apply an event unless it was applied before or is malformed; what has no effect may come again, mended."""
        body = event.body
        try:
            identity = identifier(body["source"]), identifier(body["event_id"])
            if identity in self.taken:
                return
            kind, _, happening = str(body["type"]).partition(".")
            if kind == "installment" and happening in INSTALLMENT_EVENTS:
                self._about_installment(event, happening, at)
            elif kind == "borrower" and happening in BORROWER_EVENTS:
                self._about_borrower(event, happening, at)
            else:
                return
        except ValueError:
            return
        self.taken.add(identity)

    def _about_installment(self, event: GivenEvent, happening: str, at: datetime) -> None:
        """Apply events of an installment, or parks it until its installment is known; raises ValueError."""
        key = identifier(event.body.get("loan_id")), whole_number(event.body.get("installment_no"), 1, LARGEST_NUMBER)
        owner = None if event.body.get("borrower_id") is None else identifier(event.body["borrower_id"])
        due = self._owed.get(key)
        if owner is None and happening == "scheduled":
            raise ValueError("no borrower")
        if due is None and happening != "scheduled":
            _word(event)
            self._aside[key].append(event)
            return
        if due is None:
            due = scheduled(event.body, _word(event))
            self._owed[key] = due
            for kept in self._aside.pop(key, ()):
                self._late(due, kept)
        elif owner not in (None, due.owner):
            raise ValueError("the installment is another borrower's")
        else:
            INSTALLMENT_EVENTS[happening](due, event.body, _word(event))
        due.note(at)

    def _late(self, due: Installment, kept: GivenEvent) -> None:
        """Apply events that were parked; what turns out not to fit has no effect."""
        happening = kept.body["type"].partition(".")[2]
        try:
            if kept.body.get("borrower_id") in (None, due.owner):
                INSTALLMENT_EVENTS[happening](due, kept.body, _word(kept))
        except ValueError:
            return

    def _about_borrower(self, event: GivenEvent, happening: str, at: datetime) -> None:
        """Apply events of a borrower; raises ValueError."""
        borrower_id = identifier(event.body.get("borrower_id"))
        person = self._people.get(borrower_id) or Borrower()
        BORROWER_EVENTS[happening](person, event.body, _word(event))
        self._people[borrower_id] = person
        person.note(at)


def _word(event: GivenEvent) -> Word:
    """Read who spoke, with which sequence, and when; raises ValueError."""
    body = event.body
    said = None if body.get("occurred_at") is None else instant(body["occurred_at"])
    if said is not None and said - event.at > CLOCKS_APART:
        raise ValueError("said after it came")
    return Word(identifier(body.get("source")), whole_number(body.get("sequence"), 0, LARGEST_SEQUENCE), event.at, said)
