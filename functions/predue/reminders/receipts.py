"""What the providers say afterwards, and what it does to a record: a status only ever rises, in whatever order events
come.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from predue.borrowers import own_stop, settle
from predue.borrowers.ports import Addresses, Borrowers, Dues
from predue.borrowers.retrying import until_it_stands
from predue.domain.record import RECORD, Answer, Record
from predue.errors import NotRecordedYet, Unusable

_RANK = {
    status: rank
    for rank, status in enumerate(
        ("", "accepted", "delayed", "expired", "blocked", "undelivered", "bounced", "delivered", "complained")
    )
}
"""The lattice: a later event of a lower rank changes nothing; a complaint stands above all."""

# SES event types (SES developer guide, "Contents of event data published to SNS").
_SES = {
    "Send": "accepted",
    "Delivery": "delivered",
    "DeliveryDelay": "delayed",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "blocked",
    "Rendering Failure": "blocked",
}
# Event types for SMS (AWS End User Messaging SMS user guide, "Event types for SMS, MMS and voice").
_SMS = {
    "TEXT_QUEUED": "accepted",
    "TEXT_PENDING": "accepted",
    "TEXT_SENT": "accepted",
    "TEXT_SUCCESSFUL": "delivered",
    "TEXT_DELIVERED": "delivered",
    "TEXT_BLOCKED": "blocked",
    "TEXT_CARRIER_BLOCKED": "blocked",
    "TEXT_SPAM": "blocked",
    "TEXT_INVALID": "bounced",
    "TEXT_INVALID_MESSAGE": "blocked",
    "TEXT_CARRIER_UNREACHABLE": "undelivered",
    "TEXT_UNREACHABLE": "undelivered",
    "TEXT_UNKNOWN": "undelivered",
    "TEXT_TTL_EXPIRED": "expired",
}


class Receipt(NamedTuple):
    """One provider's event about one reminder; `permanent` tells that the contact point will never work."""

    reminder_id: str
    provider_message_id: str
    status: str
    permanent: bool = False

    @property
    def calls_for_more(self) -> bool:
        """Whether more is to be done about it than to note it."""
        return self.permanent or self.status == "complained"


def _below(status: str) -> list[str]:
    """The statuses that a status replaces."""
    return [other for other, rank in _RANK.items() if other and rank < _RANK[status]]


def read_receipt(event: Mapping[str, Any]) -> Receipt | None:
    """The receipt that an SES or SMS event is, or None for one that says nothing about delivery; raises Unusable for no
    event.
    """
    kind = str(event.get("eventType", ""))
    try:
        if kind in _SMS:
            return Receipt(
                event["context"]["reminder_id"], str(event["messageId"]), _SMS[kind], permanent=kind == "TEXT_INVALID"
            )
        if kind in _SES:
            mail = event["mail"]
            permanent = kind == "Bounce" and event["bounce"]["bounceType"] == "Permanent"
            status = "undelivered" if kind == "Bounce" and not permanent else _SES[kind]
            return Receipt(mail["tags"]["reminder_id"][0], str(mail["messageId"]), status, permanent)
    except (KeyError, IndexError, TypeError) as error:
        raise Unusable(f"an event of type {kind[:40]!r} lacks {error}") from error
    if not kind:
        raise Unusable("a message on the receipts queue is no provider's event")
    return None


def merged(record: Record, receipt: Receipt) -> Record:
    """The record with a receipt taken in; an unknown outcome is known by it, since the provider had the message."""
    status = max(record.receipt, receipt.status, key=lambda status: _RANK.get(status, 0))
    settled = replace(
        record, receipt=status, provider_message_id=record.provider_message_id or receipt.provider_message_id
    )
    if not RECORD.allows(record.outcome, "sent"):
        return settled
    attempts = tuple(
        attempt._replace(answer=Answer("accepted")) if attempt.answer.kind == "no_answer" else attempt
        for attempt in record.attempts
    )
    return replace(settled, outcome="sent", reason="", attempts=attempts)


def note(receipt: Receipt, now: datetime, borrowers: Borrowers, addresses: Addresses, dues: Dues) -> None:
    """Take a receipt into its record, then act on what it says of the contact point.

    Raises NotRecordedYet if the record is not written yet: the event came first, and must be kept.
    """
    if not receipt.calls_for_more and borrowers.raise_receipt(
        receipt.reminder_id, receipt.status, receipt.provider_message_id, _below(receipt.status)
    ):
        return

    def note_once() -> None:
        record = borrowers.record(receipt.reminder_id)
        if record is None:
            raise NotRecordedYet("a receipt came before the record of its reminder, or names none of ours")
        changed = merged(record, receipt)
        # Acted on first, so that a crash repeats the act; once the record says it, a repeat stops nothing again.
        _suppress(receipt, record, now, borrowers, addresses)
        if changed != record:
            _stop_after_complaint(receipt, record, now, dues)
            borrowers.settle_record(changed, record)

    until_it_stands(note_once, "note a receipt")


def _suppress(receipt: Receipt, record: Record, now: datetime, borrowers: Borrowers, addresses: Addresses) -> None:
    """A contact point that failed for good is used no more, whatever the record says already: a mail server may take a
    message, which is a delivery, and return it later (SES developer guide, "Contents of SNS notifications").
    """
    address = str(record.inputs.get("address", ""))
    if receipt.permanent and address:
        settle.suppress_address(address, record.channel, receipt.status, now, addresses, borrowers)


def _stop_after_complaint(receipt: Receipt, record: Record, now: datetime, dues: Dues) -> None:
    """A complaint is a stop."""
    if receipt.status == "complained":
        own_stop.stop(record.borrower_id, record.channel, f"complaint-{receipt.reminder_id}", "provider", now, dues)
