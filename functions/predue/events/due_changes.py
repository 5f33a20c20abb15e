"""What an installment's own events do to its due: each aspect by its own newest sequence, payments each once."""

from dataclasses import replace
from decimal import Decimal

from predue.domain.due import Due
from predue.domain.money import minor_units
from predue.errors import InvalidEvent
from predue.events import models as ev
from predue.events.models import InstallmentEvent

MOST_PAYMENTS = 200
"""Of one installment, reversals among them: each stands in the due, and an item of the table holds 400 KB."""


def scheduled(event: ev.Scheduled) -> Due:
    """The due that an event states, not open yet."""
    aspects = ["due_date", "amount", "scheduled"] + (["grace_days"] if event.grace_days is not None else [])
    return Due(
        borrower_id=event.borrower_id,
        loan_id=event.loan_id,
        installment_no=event.installment_no,
        due_date=event.due_date,
        amount=minor_units(event.amount, event.currency),
        currency=event.currency,
        grace_days=event.grace_days or 0,
        changes=(),
        sequences=dict.fromkeys(aspects, event.sequence),
        source=event.source,
    )


def changed_by(due: Due, event: InstallmentEvent) -> Due:
    """The due after an event; the same due if the event says nothing new."""
    match event:
        case ev.Paid():
            return _with_payment(due, event, 1)
        case ev.PaymentReversed():
            return _with_payment(due, event, -1)
        case ev.Scheduled():
            return _restated(due, event)
        case ev.Rescheduled():
            amount = None if event.amount is None else _minor_units(event.amount, due.currency)
            return _moved(_graced(_priced(due, event, amount, due.currency), event), event)
        case ev.Cancelled():
            return _recancelled(_newer(due, "cancelled", event.sequence))
        case ev.Disputed() | ev.DisputeEnded():
            newer = _newer(due, "disputed", event.sequence)
            return due if newer is due else replace(newer, disputed=isinstance(event, ev.Disputed))
    raise InvalidEvent("type: not about an installment")


def _with_payment(due: Due, event: ev.Paid | ev.PaymentReversed, sign: int) -> Due:
    """With one payment counted, by its event, so that a repeat counts nothing."""
    if event.currency not in (None, due.currency):
        raise InvalidEvent(f"currency: the installment is in {due.currency}")
    if len(due.payments) >= MOST_PAYMENTS and event.identity not in due.payments:
        raise InvalidEvent(f"event_id: the installment has {MOST_PAYMENTS} payments already")
    amount = sign * _minor_units(event.amount, due.currency)
    return replace(due, payments={**due.payments, event.identity: amount})


def _minor_units(amount: Decimal, currency: str) -> int:
    """An amount in the installment's currency, which the event itself need not name; raises InvalidEvent."""
    try:
        return minor_units(amount, currency)
    except ValueError as error:
        raise InvalidEvent(f"amount: {error}") from None


def _newer(due: Due, aspect: str, sequence: int) -> Due:
    """The due with the sequence of an aspect raised; the very same due if the events are not newer."""
    if sequence <= due.sequences.get(aspect, -1):
        return due
    return replace(due, sequences={**due.sequences, aspect: sequence})


def _recancelled(due: Due) -> Due:
    """Cancelled unless the newest schedule is newer than the newest cancellation."""
    if "cancelled" not in due.sequences:
        return due
    return replace(due, cancelled=due.sequences.get("cancelled", -1) >= due.sequences.get("scheduled", -1))


def _restated(due: Due, event: ev.Scheduled) -> Due:
    if event.currency != due.currency:
        raise InvalidEvent(f"currency: the installment is in {due.currency}")
    stated = _graced(_priced(due, event, minor_units(event.amount, event.currency), event.currency), event)
    newer = _newer(stated, "scheduled", event.sequence)
    owned = newer if newer is stated else replace(newer, source=event.source)
    return _moved(_recancelled(owned), event)


def _priced(due: Due, event: ev.Scheduled | ev.Rescheduled, amount: int | None, currency: str) -> Due:
    newer = due if amount is None else _newer(due, "amount", event.sequence)
    return due if newer is due or amount is None else replace(newer, amount=amount, currency=currency)


def _graced(due: Due, event: ev.Scheduled | ev.Rescheduled) -> Due:
    newer = due if event.grace_days is None else _newer(due, "grace_days", event.sequence)
    return due if newer is due or event.grace_days is None else replace(newer, grace_days=event.grace_days)


def _moved(due: Due, event: ev.Scheduled | ev.Rescheduled) -> Due:
    """With its new due date noted as `moved_to`; the due at that date is written by `_arrive`."""
    newer = _newer(due, "due_date", event.sequence)
    if newer is due:
        return due
    return replace(newer, moved_to=None if event.due_date == due.due_date else event.due_date)
