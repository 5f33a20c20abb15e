"""What an installment's own events do to its due: each aspect by its own newest sequence, payments each once."""

from dataclasses import replace
from decimal import Decimal

from predue.domain.due import Due
from predue.domain.ledger import Mark
from predue.domain.money import minor_units
from predue.errors import InvalidEvent
from predue.events import models as ev
from predue.events.models import InstallmentEvent
from predue.events.owners import CREATORS, Group, Owners, newer

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
        arrivals=dict.fromkeys(aspects, event.arrived),
        source=event.source,
    )


def owns(due: Due, event: InstallmentEvent, owners: Owners) -> bool:
    """Whether an event's source owns what it speaks of."""
    return owners.owns(event.source, group_of(event), due.loan_id, due.source)


def group_of(event: InstallmentEvent) -> Group:
    """The group of aspects that an event speaks of, which has one owner."""
    return "payments" if isinstance(event, ev.Paid | ev.PaymentReversed) else "schedule"


def changed_by(due: Due, event: InstallmentEvent, owners: Owners = CREATORS) -> Due:
    """The due after an event; the same due if the event says nothing new, or nothing that its source owns or that
    protects.
    """
    match event:
        case ev.Disputed() | ev.DisputeEnded():
            mark = Mark(event.sequence, isinstance(event, ev.Disputed), event.arrived)
            newer = mark.newer(due.disputes.get(event.source))
            return replace(due, disputes={**due.disputes, event.source: mark}) if newer else due
        case ev.Cancelled() | ev.Scheduled() if not owns(due, event, owners):
            return _cancelled_by_another(due, event)
        case ev.Rescheduled() | ev.PaymentReversed() if not owns(due, event, owners):
            return due
        case ev.Paid():
            return _with_payment(due, event, 1)
        case ev.PaymentReversed():
            return _with_payment(due, event, -1)
        case ev.Scheduled():
            return _restated(due, event)
        case ev.Rescheduled():
            amount = None if event.amount is None else _minor_units(event.amount, due.currency)
            return _renewed(due, _moved(_graced(_priced(due, event, amount, due.currency), event), event), event)
        case ev.Cancelled():
            return _recancelled(_newer(due, "cancelled", event))
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


def _newer(due: Due, aspect: str, event: InstallmentEvent) -> Due:
    """The due with the sequence of an aspect raised; the very same due if the event is not newer. Of equal sequences,
    as those of two moves in one second, the later first arrival counts.
    """
    known = due.sequences.get(aspect, -1), due.arrivals.get(aspect, -1)
    if not newer((event.sequence, event.arrived), known):
        return due
    return replace(
        due,
        sequences={**due.sequences, aspect: event.sequence},
        arrivals={**due.arrivals, aspect: event.arrived},
    )


def _recancelled(due: Due) -> Due:
    """Cancelled by its owner unless the newest schedule is newer than the newest cancellation, or by another source
    unless the owner's schedule said something new since.
    """
    cancelled, stated = ((due.sequences.get(one, -1), due.arrivals.get(one, -1)) for one in ("cancelled", "scheduled"))
    own = "cancelled" in due.sequences and cancelled >= stated
    others = any(mark.on and mark.at >= due.arrivals.get("renewed", 0) for mark in due.cancels.values())
    return replace(due, cancelled=own or others)


def _cancelled_by_another(due: Due, event: ev.Cancelled | ev.Scheduled) -> Due:
    """With the cancellation of a source that does not own the schedule; a later schedule of that source only lifts
    it.
    """
    known = due.cancels.get(event.source)
    mark = Mark(event.sequence, isinstance(event, ev.Cancelled), event.arrived)
    if not mark.newer(known) or (known is None and not mark.on):
        return due
    return _recancelled(replace(due, cancels={**due.cancels, event.source: mark}))


def _renewed(before: Due, after: Due, event: InstallmentEvent) -> Due:
    """With the time of a schedule that said something new, which lifts the cancellations of others before it."""
    said = [(due.amount, due.grace_days, due.moved_to) for due in (before, after)]
    if said[0] == said[1] or event.time <= after.arrivals.get("renewed", 0):
        return after
    return _recancelled(replace(after, arrivals={**after.arrivals, "renewed": event.time}))


def _restated(due: Due, event: ev.Scheduled) -> Due:
    if event.currency != due.currency:
        raise InvalidEvent(f"currency: the installment is in {due.currency}")
    stated = _graced(_priced(due, event, minor_units(event.amount, event.currency), event.currency), event)
    return _renewed(due, _moved(_recancelled(_newer(stated, "scheduled", event)), event), event)


def _priced(due: Due, event: ev.Scheduled | ev.Rescheduled, amount: int | None, currency: str) -> Due:
    newer = due if amount is None else _newer(due, "amount", event)
    return due if newer is due or amount is None else replace(newer, amount=amount, currency=currency)


def _graced(due: Due, event: ev.Scheduled | ev.Rescheduled) -> Due:
    newer = due if event.grace_days is None else _newer(due, "grace_days", event)
    return due if newer is due or event.grace_days is None else replace(newer, grace_days=event.grace_days)


def _moved(due: Due, event: ev.Scheduled | ev.Rescheduled) -> Due:
    """With its new due date noted as `moved_to`; the due at that date is written by `_arrive`."""
    newer = _newer(due, "due_date", event)
    if newer is due:
        return due
    return replace(newer, moved_to=None if event.due_date == due.due_date else event.due_date)
