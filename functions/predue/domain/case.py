"""Cases: work items for the few borrowers whom a message will not help, opened by rules on what is recorded.

A case keeps what made somebody open it. Whether it is still open is not stored but follows from what it is about, so
that no events have to close it, and none that comes late can leave it open by mistake.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from predue.lifecycle import Lifecycle

if TYPE_CHECKING:
    # Whoever only tells of cases needs neither of them.
    from predue.domain.due import Due
    from predue.domain.ledger import Ledger

Kind = Literal["at_risk", "help"]
Signal = Literal["unreachable", "earlier_overdue", "payment_reversed"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
_HELP = "hardship"
"""The reason of a hold by which a borrower asks for help; sources write it in capitals, too."""


CaseState = Literal["open", "closed"]
CASE: Lifecycle[CaseState] = Lifecycle(
    "case",
    {
        "open": {"closed": "its due is closed or handed over, or its hold has ended"},
        "closed": {"open": "a payment of its due is reversed, or its due is reopened"},
    },
)
"""A case begins `open`. Its state is not stored: it follows from the due or hold that it is about."""


class About(NamedTuple):
    """The due that a case is about; `last_day` ends its window."""

    loan_id: str
    installment_no: int
    due_date: date
    last_day: date


class Hold(NamedTuple):
    """The hold that a case is about: its reason as the ledger knows it, the sequence of the event that began it, and
    whose event that was.
    """

    reason: str
    sequence: int
    source: str


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `at_risk` is about a due, with the instant at which each early warning was seen; `help` about a hold.

    `opened_at` is the first instant at which there was something to open it.
    """

    borrower_id: str
    case_id: str
    opened_at: datetime
    about: About | Hold
    signals: Mapping[Signal, datetime] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """What a case is about."""
        return "help" if isinstance(self.about, Hold) else "at_risk"

    @property
    def reason(self) -> str:
        """The code of what opened it: the first early warning, or the hold's reason."""
        if isinstance(self.about, Hold):
            return self.about.reason.casefold()
        return min(self.signals, key=lambda name: (self.signals[name], name))

    def state(self, due: "Due | None", ledger: "Ledger") -> CaseState:
        """Whether there is still something to do; `due` is the case's due as it stands now, if it has one."""
        if isinstance(self.about, Hold):
            return "open" if _begun(ledger, self.about) else "closed"
        return "open" if due is not None and due.closed_by is None and due.handed_over_at is None else "closed"


def at_risk(due: "Due", signal: Signal, at: datetime) -> Case:
    """The case about a due, as one early warning opens it; others of the same due are the same case."""
    about = About(due.loan_id, due.installment_no, due.due_date, due.last_day)
    case_id = _id("at_risk", due.loan_id, str(due.installment_no), due.due_date.isoformat())
    return Case(due.borrower_id, case_id, at, about, {signal: at})


def asked_for_help(borrower_id: str, hold: Hold, ledger: "Ledger", at: datetime) -> Case | None:
    """The case about a hold by which the borrower asked for help; None for any other, and for one not in force.

    `ledger` is the one in which the hold is noted: what a newer end of it has lifted already opens nothing.
    """
    if hold.reason.casefold() != _HELP or not _begun(ledger, hold):
        return None
    return Case(borrower_id, _id("help", borrower_id, hold.reason, hold.source, str(hold.sequence)), at, hold)


def _begun(ledger: "Ledger", hold: Hold) -> bool:
    """Whether a hold is in force that this very event began."""
    return ledger.hold(hold.reason, hold.source) == hold.sequence


def _id(*parts: str) -> str:
    """The id of a case: the same however often it is opened; ids of loans and borrowers hold no `#`."""
    return hashlib.sha256("#".join(("case", *parts)).encode()).hexdigest()[:32]
