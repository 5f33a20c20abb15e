"""What the input files say was true at each instant: every borrower and installment replayed, event by event."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from infrastructure.local.audit.replay import (
    BORROWER_EVENTS,
    IN_FILE,
    INSTALLMENT_EVENTS,
    NEVER,
    TEXTS,
    Borrower,
    Installment,
    Newest,
    Owed,
    Person,
    Timeline,
    scheduled,
    whole,
    word,
)
from infrastructure.local.audit.rows import BorrowerRow, EventRow, InstallmentRow, Portfolio


class History:
    """The replay of a portfolio: who a borrower was and what an installment was at any instant of the run.

    All rows of the CSV files are known from `start`; an event that arrived earlier counts from then.
    """

    def __init__(self, portfolio: Portfolio, start: datetime) -> None:
        self._people: dict[str, Borrower] = {}
        self._owed: dict[tuple[str, int], Installment] = {}
        self._aside: defaultdict[tuple[str, int], list[EventRow]] = defaultdict(list)
        self._seen: set[tuple[str, str]] = set()
        for row in portfolio.borrowers:
            self._add_borrower(row, start)
        for due in portfolio.installments:
            self._add_installment(due, start)
        for event in portfolio.events:
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

    def _add_borrower(self, row: BorrowerRow, start: datetime) -> None:
        person = self._people[row.borrower_id] = Borrower(known=True)
        for name in (*TEXTS, "channels", "consent", "preferred_time"):
            person.fields[name] = Newest(getattr(row, name), IN_FILE)
        person.note(start)

    def _add_installment(self, row: InstallmentRow, start: datetime) -> None:
        due = Installment(
            row.borrower_id,
            row.currency,
            Newest(row.due_date, IN_FILE),
            Newest(row.amount, IN_FILE),
            Newest(row.grace_days, IN_FILE),
            Newest(row.status == "cancelled", IN_FILE),
            Newest(value=False, sequence=NEVER),
            row.amount if row.status == "paid" else 0,
        )
        self._owed[row.loan_id, row.installment_no] = due
        due.note(start)

    def _take(self, event: EventRow, at: datetime) -> None:
        """Apply an event unless it was applied before or is malformed; what has no effect may come again, mended."""
        body = event.body
        try:
            identity = word(body, "source"), word(body, "event_id")
            if identity in self._seen:
                return
            kind, _, happening = word(body, "type").partition(".")
            if kind == "installment" and happening in INSTALLMENT_EVENTS:
                self._about_installment(event, happening, at)
            elif kind == "borrower" and happening in BORROWER_EVENTS:
                self._about_borrower(body, happening, at)
            else:
                return
        except ValueError:
            return
        self._seen.add(identity)

    def _about_installment(self, event: EventRow, happening: str, at: datetime) -> None:
        """Apply events of an installment, or parks it until its installment is known; raises ValueError."""
        key = word(event.body, "loan_id"), whole(event.body, "installment_no", 1)
        owner = None if event.body.get("borrower_id") is None else word(event.body, "borrower_id")
        due = self._owed.get(key)
        if due is None and happening != "scheduled":
            whole(event.body, "sequence")
            self._aside[key].append(event)
            return
        if due is None:
            due = scheduled(event.body)
            self._owed[key] = due
            for kept in self._aside.pop(key, ()):
                self._late(due, kept)
        elif owner not in (None, due.owner):
            raise ValueError("the installment is another borrower's")
        else:
            INSTALLMENT_EVENTS[happening](due, event.body, whole(event.body, "sequence"))
        due.note(at)

    def _late(self, due: Installment, kept: EventRow) -> None:
        """Apply events that were parked; what turns out not to fit has no effect."""
        happening = kept.body["type"].partition(".")[2]
        try:
            if kept.body.get("borrower_id") in (None, due.owner):
                INSTALLMENT_EVENTS[happening](due, kept.body, whole(kept.body, "sequence"))
        except ValueError:
            return

    def _about_borrower(self, body: Mapping[str, Any], happening: str, at: datetime) -> None:
        """Apply events of a borrower; raises ValueError."""
        borrower_id, sequence = word(body, "borrower_id"), whole(body, "sequence")
        person = self._people.get(borrower_id) or Borrower()
        BORROWER_EVENTS[happening](person, body, sequence)
        self._people[borrower_id] = person
        person.note(at)
