"""What is said of a whole loan, turned into events of its installments.

Loan systems speak of loans and transactions, predue of installments. Two ways lead from one to the other:

stated     the system says what is still owed of each installment; that replaces what was known, and no payment is
           counted. The system's own allotment holds. Safe in any order, since the newest statement wins.
allotted   the system says only that so much was paid on the loan; the payment goes to the oldest open installments.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, NamedTuple

from predue.connectors.fields import Fields
from predue.connectors.form import MessageSource, Reading
from predue.domain.due import Due
from predue.domain.money import Money, exponent, minor_units, written
from predue.errors import InvalidEvent
from predue.events.due_changes import changed_by, scheduled
from predue.events.event_fields import EARLIEST_DUE, LATEST_DUE
from predue.events.models import Event, InstallmentEvent, Scheduled, read_event
from predue.events.usable import Warned

LOOK_BACK = timedelta(days=60)
"""Older installments that are not known are not told any more: a due goes 60 days after its window."""


class Ahead:
    """A source as it will be once the events before are applied, for what follows them in the same message."""

    def __init__(self, source: MessageSource) -> None:
        self._given = source.installments
        self._known: dict[str, dict[int, tuple[date, Due | None]]] = {}
        self.source = replace(source, installments=lambda loan_id: dict(self._of(loan_id)))

    def _of(self, loan_id: str) -> dict[int, tuple[date, Due | None]]:
        if loan_id not in self._known:
            self._known[loan_id] = dict(self._given(loan_id))
        return self._known[loan_id]

    def tell(self, events: Iterable[Event]) -> None:
        """These events come next."""
        for event in events:
            if isinstance(event, InstallmentEvent):
                known = self._of(event.loan_id)
                due = known.get(event.installment_no, (None, None))[1]
                if due is not None:
                    due = changed_by(due, event)
                    due = replace(due, due_date=due.moved_to or due.due_date, moved_to=None)
                    known[event.installment_no] = (due.due_date, due)
                elif isinstance(event, Scheduled):
                    known[event.installment_no] = (event.due_date, scheduled(event))


class Row(NamedTuple):
    """What a system states of one installment; `owed` in major units, zero or less once nothing is."""

    installment_no: int
    due_date: date
    owed: Decimal


class Schedule(NamedTuple):
    """What could be read of a loan's schedule.

    Of the `unread` installments nothing is said, so nothing is known to have changed. If one is not even `numbered`,
    nobody can tell which installments the schedule lacks.
    """

    rows: tuple[Row, ...] = ()
    unread: frozenset[int] = frozenset()
    numbered: bool = True
    warned: tuple[Warned, ...] = ()

    @classmethod
    def read(cls, parts: Iterable[Fields], number: str, row: Callable[[Fields], Row]) -> "Schedule":
        """Read each part by itself."""
        rows, unread, numbered, faults = [], set(), True, []
        for part in parts:
            try:
                rows.append(_dated(row(part), part))
            except InvalidEvent as fault:
                faults.append(fault)
                try:
                    unread.add(part.whole(number))
                except InvalidEvent:
                    numbered = False
        return cls(tuple(rows), frozenset(unread), numbered, tuple(Warned(*one.fields[0]) for one in faults))


def _dated(row: Row, part: Fields) -> Row:
    if not EARLIEST_DUE <= row.due_date <= LATEST_DUE:
        raise InvalidEvent(f"{part.where}: has a date outside of the calendar of dues")
    return row


def rounded(amount: Decimal, currency: str) -> Decimal:
    """An amount in whole minor units of a currency: loan systems keep schedules in more digits than anybody can pay."""
    return amount.quantize(Decimal(1).scaleb(-exponent(currency)), ROUND_HALF_UP)


@dataclass(frozen=True)
class LoanEvents:
    """A message about one loan; `key` names it, `sequence` orders it, `day` is the system's date when it was made."""

    source: MessageSource
    key: str
    sequence: int
    loan_id: str
    day: date

    @cached_property
    def known(self) -> Mapping[int, tuple[date, Due | None]]:
        """The loan's installments as predue knows them."""
        return self.source.installments(self.loan_id)

    def event(self, kind: str, installment_no: int, event_id: str = "", **fields: Any) -> Event:
        """One event; those of one message are told apart by the installment."""
        return read_event(
            {
                "type": kind,
                "event_id": event_id or f"{self.key}/{installment_no}",
                "source": self.source.name,
                "sequence": self.sequence,
                "loan_id": self.loan_id,
                "installment_no": installment_no,
                **fields,
            }
        )

    def _lives(self, installment_no: int, due_date: date) -> bool:
        """Whether an installment may still matter: its due is there, or its date is not long past."""
        return self.known.get(installment_no, (None, None))[1] is not None or due_date >= self.day - LOOK_BACK

    def nothing_owed(self, rows: Iterable[Row] = ()) -> Reading:
        """Every installment is cancelled, those that are known and those of `rows`: the loan has ended."""
        dates = {row.installment_no: row.due_date for row in rows}
        dates |= {number: due_date for number, (due_date, _) in self.known.items()}
        gone = [self.event("installment.cancelled", no) for no, day in sorted(dates.items()) if self._lives(no, day)]
        return Reading(tuple(gone), () if gone else ("unknown loan",))

    def stated(self, stated: Schedule, borrower_id: str, currency: str) -> Reading:
        """The schedule as the system has it now; what it no longer holds is cancelled.

        Raises InvalidEvent if nothing of it can be read.
        """
        if stated.warned and not stated.rows:
            raise InvalidEvent(f"{stated.warned[0].field}: {stated.warned[0].reason}")
        live = [row for row in stated.rows if self._lives(row.installment_no, row.due_date)]
        left = sorted(self.known.keys() - {row.installment_no for row in stated.rows} - stated.unread)
        gone = [no for no in left if stated.numbered and self._lives(no, self.known[no][0])]
        events = [self._row(row, borrower_id, currency) for row in live]
        events += [self.event("installment.cancelled", no) for no in gone]
        return Reading(tuple(events), warned=stated.warned)

    def one(self, row: Row, borrower_id: str, currency: str) -> Reading:
        """One installment; nothing is said of the others."""
        return Reading((self._row(row, borrower_id, currency),))

    def _row(self, row: Row, borrower_id: str, currency: str) -> Event:
        owed = rounded(row.owed, currency)
        if owed <= 0:
            return self.event("installment.cancelled", row.installment_no)
        if self.source.settings.payments == "allotted" and row.installment_no in self.known:
            return self.moved(row.installment_no, row.due_date)
        return self.event(
            "installment.scheduled",
            row.installment_no,
            borrower_id=borrower_id,
            due_date=row.due_date.isoformat(),
            amount=written(owed),
            currency=currency,
            **self._grace(),
        )

    def moved(self, installment_no: int, due_date: date, owed: Decimal | None = None, event_id: str = "") -> Event:
        """An installment's date, and what is owed of it where payments are not counted on their own.

        Under an id of its own: an installment that a message first creates is known when the message comes again.
        """
        fields = {} if owed is None or self.source.settings.payments == "allotted" else {"amount": written(owed)}
        return self.event(
            "installment.rescheduled",
            installment_no,
            event_id or f"{self.key}/{installment_no}/moved",
            due_date=due_date.isoformat(),
            **fields,
            **self._grace(),
        )

    def _grace(self) -> dict[str, Any]:
        grace = self.source.settings.grace_days
        return {} if grace is None else {"grace_days": grace}

    def paid(self, transaction: str, amount: Decimal, currency: str = "") -> Reading:
        """Allot a payment, the oldest open installment first.

        What an earlier delivery of it has counted stands in the dues and is said again the same, so that a repeat, or
        one after a crash in between, completes it and counts nothing twice. Raises InvalidEvent while nothing is known
        of the loan: a payment that was acknowledged and forgotten would be reminded of.
        """
        dues = sorted(
            (due for _, due in self.known.values() if due), key=lambda due: (due.due_date, due.installment_no)
        )
        if not dues:
            raise InvalidEvent("loan_id: no installment of this loan is known yet")
        if currency not in ("", dues[0].currency):
            raise InvalidEvent(f"currency: the loan is in {dues[0].currency}")
        currency = dues[0].currency
        try:
            rest = minor_units(rounded(amount, currency), currency)
        except ValueError:
            raise InvalidEvent(f"amount: is no positive amount of {currency}") from None
        counted = {due.installment_no: self._counted(transaction, due) for due in dues}
        rest -= sum(map(sum, counted.values()))
        shares = [(due, share) for due in dues for share in counted[due.installment_no]]
        for due in dues:
            share = min(rest, due.missing)
            if share > 0 and not counted[due.installment_no] and due.closed_by is None:
                shares.append((due, share))
                rest -= share
        events = [self._share("installment.paid", transaction, due, share) for due, share in shares]
        return Reading(tuple(events), ("more than is owed",) if rest > 0 else ())

    def reversed(self, transaction: str) -> Reading:
        """Take back what was counted of a payment, wherever it was allotted to."""
        events = [
            self._share("installment.payment_reversed", transaction, due, share)
            for _, due in sorted(self.known.values(), key=lambda known: known[0])
            if due
            for share in self._counted(transaction, due)
        ]
        return Reading(tuple(events), () if events else ("unknown payment",))

    def _counted(self, transaction: str, due: Due) -> list[int]:
        """The shares of a payment that a due has counted."""
        first = f"{self.source.name}#{self._payment_id(transaction, due, '')}"
        return sorted(
            share
            for name, share in due.payments.items()
            if name.startswith(first) and name.removeprefix(first).isdigit()
        )

    def _payment_id(self, transaction: str, due: Due, share: object) -> str:
        """The id of a share. Its size is part of it: what a try that was cut short had begun to count, and did not,
        stands in the way of no other share of the same payment.
        """
        return f"transaction-{transaction}/{due.installment_no}/{share}"

    def _share(self, kind: str, transaction: str, due: Due, minor: int) -> Event:
        """A part of a payment; its sequence is fixed, since payments are not ordered and may be told of twice."""
        suffix = "" if kind == "installment.paid" else "/reversed"
        return self.event(
            kind,
            due.installment_no,
            self._payment_id(transaction, due, minor) + suffix,
            amount=written(Money(minor, due.currency).major()),
            currency=due.currency,
            sequence=0,
        )
