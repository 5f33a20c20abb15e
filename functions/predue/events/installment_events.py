"""Events about an installment, applied; what is about one that is not known yet is parked."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta

from predue.borrowers import early_warning
from predue.domain import case
from predue.domain.due import KEEP, Due
from predue.domain.profile import Profile
from predue.errors import InvalidEvent, LedgerMoved
from predue.events import models as ev
from predue.events.due_changes import changed_by, owns, scheduled
from predue.events.endings import settle_planned
from predue.events.event_services import (
    Effect,
    EventServices,
    Waiting,
    open_case,
    store_due,
    store_new,
    window_over,
)
from predue.events.models import InstallmentEvent, read_event
from predue.events.standing import keep_unused


def schedule(event: ev.Scheduled, at: datetime, services: EventServices, waiting: Waiting) -> Effect:
    """Create an installment, or state a known one anew."""
    profile = services.dues.profile(event.borrower_id)
    if profile is None:
        return _keep(event, at, services, lambda: services.dues.profile(event.borrower_id) is not None)
    where = services.dues.pointer(event.loan_id, event.installment_no)
    if where is None and not services.owners.owns(event.source, "schedule", event.loan_id, _creator(event, services)):
        keep_unused(event, at, services)
        return "not_owner"
    if where is None:
        services.dues.point(event.loan_id, event.installment_no, event.borrower_id, event.due_date, None)
        where = (event.borrower_id, event.due_date)
    _same_borrower(event, where[0])
    if services.dues.due(where[0], where[1], event.loan_id, event.installment_no) is None:
        if _gone(where[1], at) and _gone(event.due_date + timedelta(days=event.grace_days or 0), at):
            # What was owed and paid is forgotten by now: told anew it would be handed over as if all of it were open.
            return "applied"
        # The pointer may be that of a creation which was cut short, with another date: then this due moves at once.
        moved_to = None if where[1] == event.due_date else event.due_date
        created = replace(scheduled(event), due_date=where[1], moved_to=moved_to, stated_at=at)
        _create_due(created, profile, at, services)
        change(event, at, services)
        effect: Effect = "applied"
    else:
        effect = change(event, at, services)
    waiting(_awaited_by(event))
    return effect


def _creator(event: ev.Scheduled, services: EventServices) -> str:
    """The source that created the loan of a new installment, "" for a new loan; looked up only where it may be
    another.
    """
    known = services.dues.installments(event.loan_id).values() if services.owners.several else ()
    return next((due.source for _, due in known if due is not None), "")


def _create_due(due: Due, profile: Profile, at: datetime, services: EventServices) -> None:
    """Write a due whose pointer stands already, with all that was parked about it taken in: never open without.

    Whoever parks events looks for the pointer after, and this reads what was kept after the pointer was
    written: one of the two always sees the other.
    """
    for body in services.dues.parked(f"installment#{due.loan_id}#{due.installment_no}"):
        with suppress(InvalidEvent):
            event = read_event(body)
            if isinstance(event, InstallmentEvent) and event.borrower_id in (None, due.borrower_id):
                due = changed_by(due, event, services.owners)
    due = due.noted(at)
    store_new(due, profile, at, services)
    if due.moved_to is not None:
        _arrive(due, profile, at, services)


def change(event: InstallmentEvent, at: datetime, services: EventServices) -> Effect:
    """Change a known installment; park the event while it is unknown."""
    where = services.dues.pointer(event.loan_id, event.installment_no)
    if where is None:
        return _keep(event, at, services, lambda: _pointed(event, services))
    due = services.dues.due(where[0], where[1], event.loan_id, event.installment_no)
    _same_borrower(event, where[0])
    if due is None:
        if not _gone(where[1], at):
            raise LedgerMoved("the installment is just being created; read again")
        return _keep(event, at, services, lambda: _is_stored(event, where, services), awaited=False)
    profile = services.dues.profile(where[0])
    if profile is None:
        raise InvalidEvent("borrower_id: the installment's borrower has no profile")
    if due.moved_to is not None:
        _arrive(due, profile, at, services)
        raise LedgerMoved("a move that was cut short is completed; read again")
    changed = changed_by(due, event, services.owners)
    if changed != due:
        if isinstance(event, ev.Scheduled | ev.Rescheduled):
            changed = replace(changed, stated_at=at)
        changed = changed.noted(at)
        settle_planned(due, changed, at, services)
        store_due(changed, profile, at, services)
    if changed.moved_to is not None:
        changed = _arrive(changed, profile, at, services)
    services.dues.bump(where[0])
    if early_warning.payment_reversed(changed) and not window_over(changed, profile, at, services):
        open_case(case.at_risk(changed, "payment_reversed", at), services)
    return "applied" if changed != due else _passed_over(due, event, at, services)


def _passed_over(due: Due, event: InstallmentEvent, at: datetime, services: EventServices) -> Effect:
    """What an event is told that changed nothing."""
    protects = isinstance(event, ev.Cancelled | ev.Disputed | ev.DisputeEnded | ev.Paid)
    if protects or owns(due, event, services.owners):
        return "no_change"
    keep_unused(event, at, services)
    return "not_owner"


def _gone(last_day: date, at: datetime) -> bool:
    """Whether a due of that last day may have gone from the table."""
    return at.date() - last_day > KEEP


def _is_stored(event: InstallmentEvent, where: tuple[str, date], services: EventServices) -> bool:
    return services.dues.due(*where, event.loan_id, event.installment_no) is not None


def _pointed(event: InstallmentEvent, services: EventServices) -> bool:
    return services.dues.pointer(event.loan_id, event.installment_no) is not None


def _awaited_by(event: InstallmentEvent) -> str:
    return f"installment#{event.loan_id}#{event.installment_no}"


def _same_borrower(event: InstallmentEvent, borrower_id: str) -> None:
    if event.borrower_id not in (None, borrower_id):
        raise InvalidEvent("borrower_id: does not match the installment")


def _arrive(left: Due, profile: Profile, at: datetime, services: EventServices) -> Due:
    """Write the due at the date that it moved to, then the pointer; whoever finds a move cut short completes it so.
    Returns the due at that date.
    """
    assert left.moved_to is not None, "only a due that moved arrives"
    there = services.dues.due(left.borrower_id, left.moved_to, left.loan_id, left.installment_no)
    if there is not None and there.moved_to is not None and not _newer_move(left, there):
        raise LedgerMoved("somebody completed this move, and the installment went on from there; read again")
    if there is None or there.moved_to is not None:
        arrived = replace(
            left,
            due_date=left.moved_to,
            moved_to=None,
            handed_over_at=None,
            changes=there.changes if there else (),
            version=there.version if there else 0,
        )
        there = arrived.noted(at)
        store_new(there, profile, at, services)
    services.dues.point(left.loan_id, left.installment_no, left.borrower_id, left.moved_to, left.due_date)
    return there


def _newer_move(left: Due, there: Due) -> bool:
    """Whether a due left for a date after the one that stood there left that date itself."""
    return left.sequences.get("due_date", -1) > there.sequences.get("due_date", -1)


# What is not known yet


class Arrived(LedgerMoved):
    """What an event is about came at the moment at which the event was parked."""


def awaits(event: InstallmentEvent) -> str:
    """What must come before an event can be applied."""
    return f"borrower#{event.borrower_id}" if isinstance(event, ev.Scheduled) else _awaited_by(event)


def _keep(
    event: InstallmentEvent,
    at: datetime,
    services: EventServices,
    known: Callable[[], bool],
    *,
    awaited: bool = True,
) -> Effect:
    """Keep an event aside; if what it is about arrived at that moment, apply it after all.

    Not awaited is events of a due that is gone: should its creation have been cut short after all, it takes this in.
    """
    services.dues.park(awaits(event), event.identity, event.body(), at, awaited=awaited)
    if known():
        raise Arrived("what the event is about has just arrived; look again")
    return "parked"
