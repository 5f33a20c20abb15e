"""What the lender's own books say, worked out from the events alone and nothing of predue's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any


@dataclass
class Loan:
    """A loan of one installment."""

    borrower_id: str
    due_date: date
    amount: int
    paid: int = 0
    cancelled: bool = False
    disputed: bool = False

    @property
    def open(self) -> bool:
        return not self.cancelled and self.paid < self.amount


@dataclass
class Person:
    """A borrower's place and time, and on which channels contact is allowed."""

    zone: str = ""
    send_time: str = ""
    consent: set[str] = field(default_factory=set)
    stopped: dict[tuple[str, str], datetime] = field(default_factory=dict)
    holds: set[str] = field(default_factory=set)

    def allows(self, channel: str) -> bool:
        """Whether the borrower may be contacted on the channel at all."""
        return channel in self.consent and not self.holds and not {name for name, _ in self.stopped} & {channel, "all"}


@dataclass
class Truth:
    """Borrowers and their loans; every event counts in the order of its sequence."""

    people: dict[str, Person] = field(default_factory=dict)
    loans: dict[str, Loan] = field(default_factory=dict)

    @classmethod
    def after(cls, events: Iterable[Mapping[str, Any]]) -> "Truth":
        """What is true after some events."""
        truth = cls()
        for event in events:
            truth._take(event)
        return truth

    def _take(self, event: Mapping[str, Any]) -> None:
        about, _, kind = str(event["type"]).partition(".")
        if about == "borrower":
            self._tell(self.people.setdefault(event["borrower_id"], Person()), kind, event)
        elif kind == "scheduled":
            self.loans[event["loan_id"]] = Loan(
                event["borrower_id"], date.fromisoformat(event["due_date"]), round(float(event["amount"]) * 100)
            )
        else:
            self._change(self.loans[event["loan_id"]], kind, event)

    def _tell(self, person: Person, kind: str, event: Mapping[str, Any]) -> None:
        match kind:
            case "updated":
                person.zone = event.get("time_zone", person.zone)
                person.send_time = event.get("preferred_time", person.send_time)
                if "consent" in event:
                    person.consent = set(event["consent"].split("|"))
            case "opted_out":
                person.stopped[event["channel"], event["source"]] = event["at"]
            case "opted_in":
                person.stopped = {
                    (channel, source): at
                    for (channel, source), at in person.stopped.items()
                    if channel != event["channel"]
                    or (source != event["source"] and event["at"] < at + timedelta(minutes=5))
                }
            case "hold_started":
                person.holds.add(event["reason"])
            case "hold_ended":
                person.holds.clear()

    def _change(self, loan: Loan, kind: str, event: Mapping[str, Any]) -> None:
        match kind:
            case "paid":
                loan.paid += round(float(event["amount"]) * 100)
            case "payment_reversed":
                loan.paid -= round(float(event["amount"]) * 100)
            case "rescheduled":
                loan.due_date = date.fromisoformat(event["due_date"])
            case "cancelled":
                loan.cancelled = True
            case "disputed" | "dispute_ended":
                loan.disputed = kind == "disputed"

    def open_at(self, loan_id: str, due_date: date) -> bool:
        """Whether money is owed at that due date."""
        loan = self.loans.get(loan_id)
        return loan is not None and loan.open and loan.due_date == due_date

    def allows(self, channel: str, loan_id: str, due_date: date) -> bool:
        """Whether the borrower may be reminded of that installment on the channel."""
        loan = self.loans[loan_id]
        return self.open_at(loan_id, due_date) and not loan.disputed and self.people[loan.borrower_id].allows(channel)
