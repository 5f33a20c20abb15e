"""Events from loan systems and borrowers, applied once each, in any order, any number of times.

Every event is applied in the same order: its id is taken, then the change itself, then the ledger's version (so that
every claim which read before it is lost), then the mark that it is applied, then the acknowledgement, which is the
return. Each step repeats harmlessly, so a sender who repeats an event after a crash completes it; only the mark cuts a
repeat short.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from predue.borrowers import early_warning
from predue.borrowers.ports import Dues
from predue.domain import case
from predue.domain.due import KEEP, Due
from predue.domain.ledger import Ledger, Mark
from predue.domain.profile import Profile
from predue.errors import InvalidEvent, LedgerMoved
from predue.events import models as ev
from predue.events import profile_changes
from predue.events.due_changes import changed_by, scheduled
from predue.events.endings import settle_over, settle_planned
from predue.events.event_services import (
    NO_PREFERENCE,
    EventServices,
    keyed,
    open_case,
    rekey,
    store_due,
    store_new,
    store_profile,
    window_over,
)
from predue.events.models import Event, InstallmentEvent, body_hash, read_event

Effect = Literal["applied", "no_change", "duplicate", "parked"]
"""`no events` was taken, and says nothing that is not known, or known better, already."""

_TRIES = 20


def apply(body: dict[str, Any], at: datetime, services: EventServices) -> Effect:
    """Apply one event that arrived at `at`, and return once it is safe to acknowledge.

    Raises InvalidEvent for a body that cannot be applied as it stands, and EventConflict for one that uses the id of
    another event. The id is taken before anything is applied: of two bodies under one id that come side by side,
    just one counts.
    """
    event = read_event(body)
    digest = body_hash(body)
    progress = services.dues.begin(event.identity, digest, at)
    if progress == "applied":
        return "duplicate"
    try:
        effect = _apply(event, body, at, services, kept=progress == "begun")
    except InvalidEvent:
        services.dues.release(event.identity, digest, at)
        raise
    services.dues.mark_applied(event.identity, digest, at)
    return effect


def _apply(event: Event, body: dict[str, Any], at: datetime, services: EventServices, *, kept: bool = False) -> Effect:
    """Apply an event whether or not it was applied before; `kept` if an earlier try may have kept it aside."""
    for _ in range(_TRIES):
        try:
            effect = _apply_once(event, body, at, services)
        except _Arrived:
            kept = True
            continue
        except LedgerMoved:
            continue
        if kept and effect != "parked" and isinstance(event, InstallmentEvent):
            services.dues.drop_parked(_awaits(event), event.identity)
        # What an earlier try has changed already is nothing new to this one.
        return "applied" if kept and effect == "no_change" else effect
    raise LedgerMoved(f"a borrower's state moved under {_TRIES} tries to apply news")


def _apply_once(event: Event, body: dict[str, Any], at: datetime, services: EventServices) -> Effect:
    match event:
        case ev.Updated():
            return _update(event, body, at, services)
        case ev.OptedOut() | ev.OptedIn() | ev.HoldStarted() | ev.HoldEnded():
            return _mark(event, body, at, services)
        case ev.Scheduled():
            return _schedule(event, body, at, services)
        case _:
            return _installment(event, body, at, services)


# Borrowers


def _update(event: ev.Updated, body: dict[str, Any], at: datetime, services: EventServices) -> Effect:
    """Merge fields into a profile, re-key what its place and time move, and apply what waited for the borrower."""
    old = services.dues.profile(event.borrower_id)
    new = profile_changes.merged(
        old or Profile(event.borrower_id, services.keys().borrower_ref(event.borrower_id)), event, services.keys()
    )
    if "consent" in event.given():
        services.dues.write_consent(event.borrower_id, at, event.identity, body)
    store_profile(old, new, services)
    if event.given().keys() & {"time_zone", "jurisdiction", "preferred_time"}:
        rekey(new, at, services)
        settle_over(new, at, services)
    services.dues.bump(event.borrower_id)
    _apply_kept(f"borrower#{event.borrower_id}", at, services)
    return "applied" if new != old else "no_change"


def _mark(
    event: ev.OptedOut | ev.OptedIn | ev.HoldStarted | ev.HoldEnded,
    body: dict[str, Any],
    at: datetime,
    services: EventServices,
) -> Effect:
    """Set or lift a stop or a hold in the ledger, whose write is itself the new version."""
    changed: Ledger | None
    ledger = services.dues.ledger(event.borrower_id)
    match event:
        case ev.OptedOut() | ev.OptedIn():
            services.dues.write_consent(event.borrower_id, at, event.identity, body)
            changed = ledger.with_opt_out(event.channel, Mark(event.sequence, isinstance(event, ev.OptedOut)))
        case ev.HoldStarted():
            changed = ledger.with_hold(event.reason, Mark(event.sequence, on=True))
        case ev.HoldEnded() if event.reason is None:
            changed = ledger.with_holds_ended(event.sequence)
        case ev.HoldEnded():
            changed = ledger.with_hold(str(event.reason), Mark(event.sequence, on=False))
    if changed is not None:
        services.dues.write_ledger(changed)
    if isinstance(event, ev.HoldStarted):
        # After the hold, which must not wait for it; also where the hold stands since a try that was cut short.
        hold = case.Hold(event.reason, event.sequence)
        if asked := case.asked_for_help(event.borrower_id, hold, changed or ledger, at):
            open_case(asked, services)
    return "applied"


def stop(borrower_id: str, channel: str, event_id: str, source: str, at: datetime, dues: Dues) -> None:
    """A borrower's own stop, by link or reply: it counts now, whatever loan systems said before, until a later opt-in.

    It takes the highest sequence known of the borrower, so that no opt-in lifts it that is older than what is known,
    and the next new one may.
    """
    for _ in range(_TRIES):
        ledger, profile = dues.ledger(borrower_id), dues.profile(borrower_id)
        marks = (*ledger.opt_outs.values(), *ledger.holds.values())
        told = profile.sequences.values() if profile else ()
        sequence = max((0, ledger.holds_ended, *(mark.sequence for mark in marks), *told))
        dues.write_consent(
            borrower_id,
            at,
            f"{source}#{event_id}",
            {"type": "borrower.opted_out", "channel": channel, "source": source, "sequence": sequence},
        )
        changed = ledger.with_opt_out(channel, Mark(sequence, on=True))
        try:
            if changed is not None:
                dues.write_ledger(changed)
        except LedgerMoved:
            continue
        return
    raise LedgerMoved(f"a borrower's state moved under {_TRIES} tries to note a stop")


# Installments


def _schedule(event: ev.Scheduled, body: dict[str, Any], at: datetime, services: EventServices) -> Effect:
    """Create an installment, or state a known one anew."""
    profile = services.dues.profile(event.borrower_id)
    if profile is None:
        return _keep(event, body, at, services, lambda: services.dues.profile(event.borrower_id) is not None)
    where = services.dues.pointer(event.loan_id, event.installment_no)
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
        create_due(created, profile, at, services)
        _installment(event, body, at, services)
        effect: Effect = "applied"
    else:
        effect = _installment(event, body, at, services)
    _apply_kept(_about(event), at, services)
    return effect


def create_due(due: Due, profile: Profile, at: datetime, services: EventServices) -> None:
    """Write a due whose pointer stands already, with all that was parked about it taken in: never open without.

    Whoever parks events looks for the pointer after, and this reads what was kept after the pointer was
    written: one of the two always sees the other.
    """
    for body in services.dues.parked(f"installment#{due.loan_id}#{due.installment_no}"):
        with suppress(InvalidEvent):
            event = read_event(body)
            if isinstance(event, InstallmentEvent) and event.borrower_id in (None, due.borrower_id):
                due = changed_by(due, event)
    due = due.noted(at)
    store_new(due, profile, at, services)
    if due.moved_to is not None:
        _arrive(due, profile, at, services)


def _installment(event: InstallmentEvent, body: dict[str, Any], at: datetime, services: EventServices) -> Effect:
    """Change a known installment; park the event while it is unknown."""
    where = services.dues.pointer(event.loan_id, event.installment_no)
    if where is None:
        return _keep(event, body, at, services, lambda: _pointed(event, services))
    due = services.dues.due(where[0], where[1], event.loan_id, event.installment_no)
    _same_borrower(event, where[0])
    if due is None:
        if not _gone(where[1], at):
            raise LedgerMoved("the installment is just being created; read again")
        return _keep(event, body, at, services, lambda: _there(event, where, services), awaited=False)
    profile = services.dues.profile(where[0])
    if profile is None:
        raise InvalidEvent("borrower_id: the installment's borrower has no profile")
    if due.moved_to is not None:
        _arrive(due, profile, at, services)
        raise LedgerMoved("a move that was cut short is completed; read again")
    changed = changed_by(due, event)
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
    return "applied" if changed != due else "no_change"


def _gone(last_day: date, at: datetime) -> bool:
    """Whether a due of that last day may have gone from the table."""
    return at.date() - last_day > KEEP


def _there(event: InstallmentEvent, where: tuple[str, date], services: EventServices) -> bool:
    return services.dues.due(*where, event.loan_id, event.installment_no) is not None


def _pointed(event: InstallmentEvent, services: EventServices) -> bool:
    return services.dues.pointer(event.loan_id, event.installment_no) is not None


def _about(event: InstallmentEvent) -> str:
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


# Events about what is not known yet


class _Arrived(LedgerMoved):
    """What an event is about came at the moment at which the event was parked."""


def _awaits(event: InstallmentEvent) -> str:
    """What must come before an event can be applied."""
    return f"borrower#{event.borrower_id}" if isinstance(event, ev.Scheduled) else _about(event)


def _keep(
    event: InstallmentEvent,
    body: dict[str, Any],
    at: datetime,
    services: EventServices,
    known: Callable[[], bool],
    *,
    awaited: bool = True,
) -> Effect:
    """Keep an event aside; if what it is about arrived at that moment, apply it after all.

    Not awaited is events of a due that is gone: should its creation have been cut short after all, it takes this in.
    """
    services.dues.park(_awaits(event), event.identity, body, at, awaited=awaited)
    if known():
        raise _Arrived("what the event is about has just arrived; look again")
    return "parked"


def _apply_kept(about: str, at: datetime, services: EventServices) -> None:
    """Apply what waited, in the order of its sequences; what turns out wrong is dropped as it would have been
    refused, and somebody hears of it, since its sender was told that it is kept.
    """
    for body in services.dues.parked(about):
        try:
            effect = _apply(read_event(body), body, at, services)
        except InvalidEvent as error:
            services.dropped(error)
            effect = "applied"
        if effect != "parked":
            services.dues.drop_parked(about, f"{body['source']}#{body['event_id']}")


__all__ = [
    "NO_PREFERENCE",
    "Effect",
    "EventServices",
    "apply",
    "create_due",
    "keyed",
    "stop",
    "store_due",
    "store_profile",
]
