"""Early warnings: what is recorded of a due, or of its loan, that makes it likely to go unpaid however often predue
writes.

Rules on records, and no forecast: each is decided from what its caller has read anyway.
"""

from datetime import datetime

from predue.borrowers.view import View
from predue.domain.due import Due
from predue.domain.ledger import Contact, Ledger
from predue.domain.policy import Policy
from predue.domain.stage import StageKey

BEYOND_MESSAGES = frozenset(
    {
        *("no_channel", "no_consent", "opted_out", "no_address", "address_suppressed", "channel_unavailable"),
        *("zone_unknown", "refused_address"),
    }
)
"""Why a stage ended without a message, where the borrower would have to do something before a later one could arrive.

Not among them: what is owed no more or disputed; a hold, of which people know; what ends by itself (caps, a busy
provider); what is the lender's own to mend or to want (a run that was missed, the kill switch, a text, a refused
channel, a stage's channels, shadow, the allow-list).
"""


def watched(policy: Policy) -> frozenset[str]:
    """The stages whose ends tell whether a borrower can be reached: the last before the due date, and those up to the
    due date, which a due has that became known late. Without any such stage the first of all.
    """
    offsets = {setting.name: setting.stage().offset for setting in policy.stages}
    first = max((offset for offset in offsets.values() if offset < 0), default=min(offsets.values(), default=0))
    return frozenset(name for name, offset in offsets.items() if first <= offset <= max(first, 0))


def unreachable(ledger: Ledger, key: StageKey) -> bool:
    """Whether the end of a due's stage tells that no message reaches the borrower, and none did before.

    Contacts are those that the ledger remembers, 31 days of them.
    """
    settled = ledger.settled_for(key)
    if settled is None or settled.reason not in BEYOND_MESSAGES:
        return False
    about = [contact for contact in ledger.contacts if any(one[:3] == key[:3] for one in contact.keys)]
    return not any(_arrived(contact, ledger) for contact in about)


def _arrived(contact: Contact, ledger: Ledger) -> bool:
    """Whether a contact may have reached the borrower: none did that went to a contact point which failed for good."""
    failed = ledger.suppressed.get(contact.channel, ())
    return contact.counts and not any(contact.address and ref.startswith(contact.address) for ref in failed)


def earlier_overdue(overdue: Due, view: View, now: datetime) -> Due | None:
    """The next due of a loan that is warned of since an earlier one left its grace unpaid; None if none is known."""
    place = (overdue.due_date, overdue.installment_no)
    later = (
        due
        for due in view.dues.values()
        if due.loan_id == overdue.loan_id and (due.due_date, due.installment_no) > place and early(due, view, now)
    )
    return min(later, key=lambda due: (due.due_date, due.installment_no), default=None)


def early(due: Due, view: View, now: datetime) -> bool:
    """Whether there is still time for a warning: the due is open and its window not over."""
    return due.closed_by is None and due.handed_over_at is None and now < view.day_over(due.last_day)


def payment_reversed(due: Due) -> bool:
    """Whether a payment was taken back and the due is open, whichever of its events made it so: events come in any
    order, and again.
    """
    return due.closed_by is None and due.handed_over_at is None and min(due.payments.values(), default=0) < 0
