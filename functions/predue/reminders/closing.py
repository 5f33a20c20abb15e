"""The closing run: after the allowed hours of a local day every planned stage of it has an outcome.

What left its grace unpaid is handed over to collections, once.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from predue.borrowers import early_warning, settle
from predue.borrowers.ports import Bus, IndexEntry, InUse, Plans
from predue.borrowers.retrying import until_it_stands
from predue.borrowers.settle import settled_as
from predue.borrowers.view import View
from predue.domain.case import at_risk
from predue.domain.due import Due
from predue.domain.ledger import Ledger
from predue.domain.record import reminder_id
from predue.domain.slot import Hours, day_over
from predue.domain.stage import StageKey
from predue.events.event_services import EventServices, keyed, open_case, store_due
from predue.reminders.slot_sweep import LOOK_BACK, Seen, Sweep, Task

RUN = "close"
WAIT = timedelta(minutes=10)
"""How long after the hours the run looks: longer than any claim's lease, so that what is calling then is known or
unknown.
"""

NEXT = timedelta(days=100)
"""How far behind an overdue due its loan's next one is looked for: a quarter and some days. Each month's due costs a
few hundred bytes of the one read.
"""


def _ignore(_error: Exception) -> None:
    """Nobody asked to be told."""


@dataclass(frozen=True)
class ClosingServices:
    """All that the closing run works with; `time_left` is in seconds, `failed` hears of what one borrower met."""

    plans: Plans
    events: EventServices
    bus: Bus
    time_left: Callable[[], float]
    failed: Callable[[Exception], None] = _ignore


@dataclass
class CloseTally:
    """What a run did; `failed` counts what it had to leave to the next one."""

    expired: int = 0
    unknown: int = 0
    handed_over: int = 0
    failed: int = 0


def close(shard: int, now: datetime, services: ClosingServices) -> tuple[CloseTally, bool]:
    """Close every local day whose hours ended up to `now`; False if time ran out and the run must go on."""
    tally = CloseTally()
    for entry in services.plans.overdue(shard):
        with _apart(tally, services):
            _hand_over(entry, now, services, tally)
    # Nothing is covered twice: the wait after the hours is longer than the index ever lags.
    sweep = Sweep(
        RUN,
        shard,
        now,
        _moment,
        services.plans,
        services.events.rulebook,
        services.time_left,
        rescan=timedelta(0),
        by_time=False,
        rules=services.events.rulebook.label(now.date()),
        failed=lambda: tally.failed > 0,
    )

    graces: set[int] = set()

    def offsets(in_use: InUse) -> set[int]:
        graces.update(in_use.graces)
        return _offsets(services) | graces

    def page(task: Task, borrowers: dict[str, list[IndexEntry]], _seen: Seen, _rules: str) -> None:
        _close_page(task, borrowers, now, services, tally)
        for entry in (entry for entries in borrowers.values() for entry in entries):
            if (task.day - entry.due_date).days in graces:
                with _apart(tally, services):
                    _hand_over(entry, now, services, tally)

    return tally, sweep.through(offsets, page)


@contextmanager
def _apart(tally: CloseTally, services: ClosingServices) -> Iterator[None]:
    """One borrower at a time: who fails is left to the next run, and keeps no other from an outcome."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it was, it concerns this borrower alone
        tally.failed += 1
        services.failed(error)


def _moment(day: date, _send_time: time, hours: Hours, zones: tuple[ZoneInfo, ...]) -> datetime:
    return day_over(day, hours, zones) + WAIT


def _close_page(
    task: Task, borrowers: dict[str, list[IndexEntry]], now: datetime, services: ClosingServices, tally: CloseTally
) -> None:
    """One page of borrowers: open ends are found in one batch of ledgers and one of records, and only those cost
    more.
    """
    found = services.plans.ledgers_of(sorted(borrowers))
    ledgers = {borrower_id: found.get(borrower_id) or Ledger(borrower_id) for borrower_id in borrowers}
    unrecorded = _unrecorded(task.day, list(ledgers.values()), services)
    watched = early_warning.watched(services.events.rulebook.policy)
    for borrower_id, entries in borrowers.items():
        keys = [
            StageKey(e.loan_id, e.installment_no, e.due_date, name)
            for e in entries
            for name in _stages_on(task.day, e, services)
        ]
        with _apart(tally, services):
            if borrower_id in unrecorded or any(not ledgers[borrower_id].answered(key) for key in keys):
                _finish(borrower_id, task, now, services, tally)
            # What `_finish` settles has expired, which warns of nothing: the ledger as it was read tells all.
            ledger = ledgers[borrower_id]
            silent = [key for key in keys if key.stage in watched and early_warning.unreachable(ledger, key)]
            if silent:
                _warn(borrower_id, silent, now, services)


def _warn(borrower_id: str, keys: Sequence[StageKey], now: datetime, services: ClosingServices) -> None:
    """Open cases about dues that no message reaches, by the ends of their stages, as a strongly consistent read shows
    them: index and batches may still show a due that was paid a moment ago.
    """
    state = services.events.borrowers.load(borrower_id, max(key.due_date for key in keys))
    if state.profile is None:
        return
    view = View.of(state.profile, state.ledger, state.dues, services.events.rulebook, now)
    for key in keys:
        due = view.due(key)
        if due and early_warning.early(due, view, now) and early_warning.unreachable(view.ledger, key):
            open_case(at_risk(due, "unreachable", now), services.events)


def _offsets(services: ClosingServices) -> set[int]:
    return {setting.stage().offset for setting in services.events.rulebook.policy.stages}


def _stages_on(day: date, entry: IndexEntry, services: ClosingServices) -> list[str]:
    """The names of the stages of a due that fall on a day."""
    offset = (day - entry.due_date).days
    return [setting.name for setting in services.events.rulebook.policy.stages if setting.stage().offset == offset]


def _unrecorded(day: date, ledgers: Sequence[Ledger], services: ClosingServices) -> set[str]:
    """The borrowers with a claim or a settled stage of the day that has no record."""
    owner = {
        contact.reminder_id: ledger.borrower_id
        for ledger in ledgers
        for contact in ledger.contacts
        if contact.counts and contact.day == day
    }
    settled = {
        ledger.borrower_id: [one.keys for one in ledger.settled if one.keys[0].day() == day] for ledger in ledgers
    }
    # A settled stage leads to its record by the borrower's ref, which stands in the profile.
    profiles = services.plans.profiles_of(sorted(name for name, keys in settled.items() if keys))
    for borrower_id, profile in profiles.items():
        owner |= {reminder_id(profile.ref, keys): borrower_id for keys in settled[borrower_id]}
    recorded = services.plans.recorded(sorted(owner))
    return {borrower_id for reminder, borrower_id in owner.items() if reminder not in recorded}


def _finish(borrower_id: str, task: Task, now: datetime, services: ClosingServices, tally: CloseTally) -> None:
    """Give every planned stage of a borrower's closed day its outcome and its record.

    The index may lag behind a borrower who moved, and whose day ends at another time.
    """
    day = task.day

    def finish_once() -> None:
        state = services.events.borrowers.load(borrower_id, day - timedelta(days=min(_offsets(services))))
        if state.profile is None or keyed(state.profile)[0] != task.zone_key:
            return
        view = View.of(state.profile, state.ledger, state.dues, services.events.rulebook, now)
        open_ends = [
            key
            for due in view.dues.values()
            for key, stage in view.unanswered(due, now, day)
            if stage.day(due.due_date) == day
        ]
        settled = [settled_as(view, open_ends, now, "expired", "no_run")] if open_ends else []
        settle.settle(view, settled, now, services.events.borrowers, {})
        tally.expired += len(open_ends)
        _record_day(view, day, now, services, tally)

    until_it_stands(finish_once, "close a day")


def _record_day(view: View, day: date, now: datetime, services: ClosingServices, tally: CloseTally) -> None:
    """Make sure of the records of a day's settled stages, and record claims that never got theirs as unknown."""
    settle.record_known(
        view, [one for one in view.ledger.settled if one.keys[0].day() == day], services.events.borrowers, {}
    )
    for contact in view.ledger.contacts:
        if contact.counts and contact.day == day and now - contact.at >= WAIT:
            tally.unknown += settle.record_unknown(view, contact, services.events.borrowers)


def _hand_over(entry: IndexEntry, now: datetime, services: ClosingServices, tally: CloseTally) -> None:
    """Emit InstallmentOverdue for a due whose window is over unpaid, then take it out of the index; repeats carry the
    same id.
    """

    def hand_over_once() -> None:
        state = services.events.borrowers.load(entry.borrower_id, entry.due_date + NEXT)
        due = next((due for due in state.dues if _is(due, entry)), None)
        if state.profile is None or due is None or due.closed_by or due.handed_over_at:
            return
        view = View.of(state.profile, state.ledger, state.dues, services.events.rulebook, now)
        if now < view.day_over(due.last_day):
            return
        # Its last stages may still lack their outcome, and nobody finds them once it has left the index.
        keys = [key for key, _ in view.unanswered(due, now, due.last_day - LOOK_BACK)]
        ends = [settled_as(view, (key,), now, "expired", "no_run") for key in keys]
        settle.settle(view, ends, now, services.events.borrowers, {})
        _record_ends(due, view, now, services)
        services.bus.overdue(due, overdue_id(due), now)
        if warned := early_warning.earlier_overdue(due, view, now):
            open_case(at_risk(warned, "earlier_overdue", now), services.events)
        store_due(replace(due, handed_over_at=now), state.profile, now, services.events)
        tally.handed_over += 1

    until_it_stands(hand_over_once, "hand a due over")


def _record_ends(due: Due, view: View, now: datetime, services: ClosingServices) -> None:
    """Make sure of the records of a due's last stages, whose day may have been closed only half: no run meets them once
    the due has left the index.
    """
    about = (due.loan_id, due.installment_no, due.due_date)
    last = now - LOOK_BACK
    ended = [one for one in view.ledger.settled if one.at > last and any(key[:3] == about for key in one.keys)]
    settle.record_known(view, ended, services.events.borrowers, {})
    for contact in view.ledger.contacts:
        if contact.counts and contact.at > last and any(key[:3] == about for key in contact.keys):
            settle.record_unknown(view, contact, services.events.borrowers)


def _is(due: Due, entry: IndexEntry) -> bool:
    return (due.loan_id, due.installment_no, due.due_date) == (entry.loan_id, entry.installment_no, entry.due_date)


def overdue_id(due: Due) -> str:
    """The id of a due's hand-over: the same however often it is emitted."""
    return hashlib.sha256(
        f"overdue#{due.loan_id}#{due.installment_no}#{due.due_date.isoformat()}".encode()
    ).hexdigest()[:32]
