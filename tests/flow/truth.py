"""What the lender's own books say, worked out from the events alone and nothing of predue's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass
class Loan:
    """A loan of one installment."""

    due_date: date
    amount: int
    paid: int = 0
    cancelled: bool = False
    disputed: bool = False

    @property
    def open(self) -> bool:
        return not self.cancelled and self.paid < self.amount


@dataclass
class Truth:
    """One borrower and the loans; every event counts in the order of its sequence."""

    zone: str = ""
    wish: str = ""
    loans: dict[str, Loan] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)

    @classmethod
    def after(cls, events: Iterable[Mapping[str, Any]]) -> "Truth":
        """What is true after some events."""
        truth = cls()
        for event in events:
            truth._take(event)
        return truth

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = str(event["type"]).partition(".")[2]
        match kind:
            case "updated":
                self.zone, self.wish = event.get("time_zone", self.zone), event.get("preferred_time", self.wish)
            case "opted_out":
                self.stopped.add(event["channel"])
            case "opted_in":
                self.stopped.discard(event["channel"])
            case "hold_started":
                self.holds.add(event["reason"])
            case "hold_ended":
                self.holds.clear()
            case "scheduled":
                self.loans[event["loan_id"]] = Loan(
                    date.fromisoformat(event["due_date"]), round(float(event["amount"]) * 100)
                )
            case _:
                self._change(self.loans[event["loan_id"]], kind, event)

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
        barred = bool(self.holds) or bool(self.stopped & {channel, "all"})
        return self.open_at(loan_id, due_date) and not self.loans[loan_id].disputed and not barred
