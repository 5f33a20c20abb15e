"""A due: what predue knows of one installment, and what events do to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from predue.domain.ledger import Mark
from predue.domain.money import Money
from predue.domain.stage import Stage, StageKey

KEEP = timedelta(days=60)
"""How long after its window a due is kept: nothing about it can be decided any more. Its pointer stays."""


@dataclass(frozen=True, slots=True)
class Change:
    """At `at` the installment became open, or ceased to be."""

    at: datetime
    open: bool


@dataclass(frozen=True, slots=True)
class Due:
    """One installment at one due date.

    `amount` is in minor units; `payments` maps each payment's event to its signed minor units, so that counting one
    twice is impossible; `sequences` and `arrivals` hold, by aspect (`due_date`, `amount`, `cancelled`), the sequence of
    its owner's newest event and when that first arrived, in ms; `arrivals["renewed"]` is the time of the owner's last
    schedule that said something new. `disputes`, and `cancels` of those who do not own the schedule, are by source.
    `source` is the one that created it, and `stated_at` when the newest events of its schedule arrived. `changes` tells
    when it was open: what is planned depends on what was known at the slot.
    """

    borrower_id: str
    loan_id: str
    installment_no: int
    due_date: date
    amount: int
    currency: str
    grace_days: int
    changes: tuple[Change, ...]
    payments: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)
    arrivals: Mapping[str, int] = field(default_factory=dict)
    cancelled: bool = False
    cancels: Mapping[str, Mark] = field(default_factory=dict)
    disputes: Mapping[str, Mark] = field(default_factory=dict)
    moved_to: date | None = None
    handed_over_at: datetime | None = None
    source: str = ""
    stated_at: datetime | None = None
    version: int = 0

    @property
    def disputed(self) -> bool:
        """Whether a dispute of any source stands."""
        return any(mark.on for mark in self.disputes.values())

    @property
    def missing(self) -> int:
        """What must still come in until nothing is owed, in minor units: more than `outstanding` while a payment was
        taken back of which nobody has told.
        """
        return max(0, self.amount - sum(self.payments.values()))

    @property
    def outstanding(self) -> int:
        """What is still owed, in minor units; never negative, and never more than the installment."""
        return min(self.amount, self.missing)

    @property
    def owed(self) -> Money:
        """What is still owed."""
        return Money(self.outstanding, self.currency)

    @property
    def closed_by(self) -> str | None:
        """Why nothing more is owed at this due date: `rescheduled`, `cancelled`, `paid`, or None while it is open."""
        if self.moved_to is not None:
            return "rescheduled"
        if self.cancelled:
            return "cancelled"
        return "paid" if self.outstanding == 0 else None

    @property
    def last_day(self) -> date:
        """The last local day of the pre-due window: the end of grace."""
        return self.due_date + timedelta(days=self.grace_days)

    def open_at(self, moment: datetime) -> bool:
        """Whether the installment was known and open at an instant; events of that very instant counts."""
        last = None
        for change in self.changes:
            if change.at <= moment:
                last = change
        return last is not None and last.open

    def key(self, stage: Stage | str) -> StageKey:
        """The key of one of its stages."""
        name = stage if isinstance(stage, str) else stage.name
        return StageKey(self.loan_id, self.installment_no, self.due_date, name)

    def has_stage(self, stage: Stage) -> bool:
        """Whether the stage lies inside the pre-due window."""
        return stage.day(self.due_date) <= self.last_day

    def noted(self, at: datetime) -> "Due":
        """The same due with its open or closed state noted as of `at`, where that is events."""
        is_open = self.closed_by is None
        if self.changes and self.changes[-1].open == is_open:
            return self
        return replace(self, changes=(*self.changes, Change(at, is_open)))
