"""A loan book's rows, the state from which events go on: they count as sequence 0 and change nothing that is known
already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from predue.domain.due import Due
from predue.domain.profile import Profile
from predue.events import profile_changes
from predue.events.applying import EventServices, create_due, store_profile


@dataclass(frozen=True, slots=True)
class InstallmentRow:
    """An installment as a book has it; `amount` in minor units, `due_date` local to the borrower, `status` one of open,
    paid, cancelled.
    """

    loan_id: str
    installment_no: int
    borrower_id: str
    due_date: date
    amount: int
    currency: str
    grace_days: int
    status: str


def put_borrower(borrower_id: str, fields: Mapping[str, Any], services: EventServices) -> Profile:
    """Store a borrower's row unless the borrower is known; returns the profile that stands."""
    known = services.dues.profile(borrower_id)
    if known is not None:
        return known
    profile = profile_changes.with_fields(
        Profile(borrower_id, services.keys().borrower_ref(borrower_id), sequences=dict.fromkeys(fields, 0)),
        fields,
        services.keys(),
    )
    store_profile(None, profile, services)
    return profile


def put_installment(row: InstallmentRow, profile: Profile, at: datetime, services: EventServices) -> None:
    """Store an installment's row unless the installment is known."""
    where = services.dues.pointer(row.loan_id, row.installment_no)
    if where and (
        where != (row.borrower_id, row.due_date) or services.dues.due(*where, row.loan_id, row.installment_no)
    ):
        return
    cancelled = row.status == "cancelled"
    due = Due(
        borrower_id=row.borrower_id,
        loan_id=row.loan_id,
        installment_no=row.installment_no,
        due_date=row.due_date,
        amount=row.amount,
        currency=row.currency,
        grace_days=row.grace_days,
        changes=(),
        payments={"book": row.amount} if row.status == "paid" else {},
        sequences={"due_date": 0, "amount": 0, "grace_days": 0, "scheduled": 0}
        | ({"cancelled": 0} if cancelled else {}),
        cancelled=cancelled,
    )
    services.dues.point(row.loan_id, row.installment_no, row.borrower_id, row.due_date, None)
    create_due(due, profile, at, services)
