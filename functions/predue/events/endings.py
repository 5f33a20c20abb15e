"""What events end: planned stages that it takes out of sight get their outcome before it is written."""

from datetime import date, datetime, timedelta

from predue.borrowers import settle
from predue.borrowers.settle import settled_as
from predue.borrowers.view import View
from predue.domain.due import Due
from predue.domain.profile import Profile
from predue.domain.record import Outcome
from predue.errors import InvalidEvent
from predue.events.event_services import EventServices

_LOOK_BACK = timedelta(days=4)
"""How far back a due that closes looks for planned stages without an outcome: a day more, since days begin apart, than
a closing run reaches back that was missed (sweep.LOOK_BACK).
"""


def settle_planned(due: Due, changed: Due, at: datetime, services: EventServices) -> None:
    """Give planned stages whose slot has passed their outcome before events take them out of sight.

    Events of the very instant of a slot comes before the slot, so that stage was never planned.

    That concerns every stage of a due that closes, which leaves the index, and those that a shorter grace cuts off.
    """
    closes = due.closed_by is None and changed.closed_by is not None
    if not closes and changed.grace_days >= due.grace_days:
        return
    view = _look(due.borrower_id, due.due_date, at, services)
    settled = []
    for key, stage in view.unanswered(due, at, at.date() - _LOOK_BACK):
        if view.slot(key.day()) < at and (closes or not changed.has_stage(stage)):
            over = at >= view.day_over(key.day())
            outcome: Outcome = "expired" if over else "suppressed"
            reason = "no_run" if over else changed.closed_by or "rescheduled"
            settled.append(settled_as(view, (key,), at, outcome, reason))
    settle.settle(view, settled, at, services.borrowers, {})
    _record_recent(view, at, services)


def _record_recent(view: View, at: datetime, services: EventServices) -> None:
    """Make sure that what the ledger says of the last days stands in records: an earlier try may have stopped before.

    A claim without one counts as unknown; should its delivery still run, its own record takes the place.
    """
    recent = [one for one in view.ledger.settled if at - one.at < _LOOK_BACK]
    settle.record_known(view, recent, services.borrowers, {})
    for contact in view.ledger.contacts:
        if contact.counts and at - contact.at < _LOOK_BACK:
            settle.record_unknown(view, contact, services.borrowers)


def _look(borrower_id: str, until: date, at: datetime, services: EventServices) -> View:
    """A borrower's state as one strongly consistent read shows it."""
    state = services.borrowers.load(borrower_id, until)
    if state.profile is None:
        raise InvalidEvent("borrower_id: the installment's borrower has no profile")
    return View.of(state.profile, state.ledger, state.dues, services.rulebook, at)


def settle_over(profile: Profile, at: datetime, services: EventServices) -> None:
    """Give stages their outcome whose day a change of place or time has ended: the closing run of it may be past."""
    view = _look(profile.borrower_id, date.max, at, services)
    open_ends = [
        key
        for due in view.dues.values()
        for key, _ in view.unanswered(due, at, at.date() - _LOOK_BACK)
        if at >= view.day_over(key.day())
    ]
    settled = [settled_as(view, (key,), at, "expired", "no_run") for key in open_ends]
    settle.settle(view, settled, at, services.borrowers, {})
    _record_recent(view, at, services)
