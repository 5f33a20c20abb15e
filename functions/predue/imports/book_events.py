"""A row of a book told as events: it counts as sequence 0, so that it changes nothing that is known better."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from predue.domain.money import Money, minor_units, written
from predue.events import applying
from predue.events.event_services import Effect, EventServices
from predue.events.models import Event, Scheduled, read_event


def apply_row(event: Event, status: str, at: datetime, services: EventServices) -> Effect:
    """Tell what a row says; of an installment that is paid or cancelled that first, so that it is never open between.

    Raises InvalidEvent.
    """
    if status == "open" or not isinstance(event, Scheduled):
        return applying.apply(event, at, services)
    where = services.dues.pointer(event.loan_id, event.installment_no)
    if where is None:
        applying.apply(_ending(status, event, minor_units(event.amount, event.currency), event.currency), at, services)
        return applying.apply(event, at, services)
    stated = applying.apply(event, at, services)
    due = services.dues.due(*where, event.loan_id, event.installment_no)
    if due is None or due.closed_by is not None:
        return stated
    # What the due has counted is part of the id: once it is opened again, the same row says something new.
    return applying.apply(_ending(status, event, due.missing, due.currency, sorted(due.payments)), at, services)


def _ending(status: str, event: Scheduled, missing: int, currency: str, counted: Sequence[str] = ()) -> Event:
    """The event that a row's status stands for: a payment of what is missing, in minor units, or a cancellation as old
    as the book.
    """
    about = {"source": event.source, "loan_id": event.loan_id, "installment_no": event.installment_no}
    said = {"type": "installment.cancelled"} if status == "cancelled" else {"type": "installment.paid"}
    said |= {"amount": written(Money(missing, currency).major())} if status == "paid" else {}
    digest = hashlib.sha256(json.dumps(about | said | {"counted": list(counted)}, sort_keys=True).encode()).hexdigest()
    return read_event({**said, **about, "event_id": f"book-{digest[:32]}", "sequence": 0})
