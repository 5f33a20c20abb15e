"""Which stages a run owed an outcome: found anew from the replayed history, whether or not anything ran."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from infrastructure.local.audit.days import Days, LocalSlot, Whereabouts
from infrastructure.local.audit.history import History
from infrastructure.local.audit.replay import Owed, Person, Timeline
from infrastructure.local.audit.terms import AuditKey, StageTerm, days_from_due

# A slot that had passed when the borrower's zone or wish changed may still be what the day is closed by. Days differ
# between zones by 26 hours at most, and the closing run of a day comes some hours after its slot.
_STILL_CLOSING = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage of an installment that must have exactly one outcome; `reachable` is False where no hour is allowed."""

    key: AuditKey
    borrower_id: str
    slot: datetime
    reachable: bool


@dataclass(frozen=True, slots=True)
class Planned:
    """The stages that must have an outcome, and those that may have one.

    A stage is in `either` when the borrower's zone or preferred time changed on its day, so that it has several slots,
    and these disagree: the installment was open at one and not at another, or the new slot was past before the change.
    """

    required: dict[AuditKey, PlannedStage]
    either: frozenset[AuditKey]


def planned_stages(
    history: History, days: Days, stages: Sequence[StageTerm], first_day: date, last_day: date
) -> Planned:
    """List the planned stages whose local day lies between two days, both included."""
    required: dict[AuditKey, PlannedStage] = {}
    either: set[AuditKey] = set()
    places: dict[str, list[tuple[datetime, datetime, Whereabouts]]] = {}
    for loan_id, number, owner, timeline in history.installments():
        if owner not in places:
            places[owner] = _places(history.person(owner))
        for due_date in {state.due_date for _, _, state in timeline}:
            for stage in stages:
                key = AuditKey(loan_id, number, due_date, stage.name)
                if not first_day <= key.day() <= last_day:
                    continue
                slots = list(_slots(days, places[owner], key.day()))
                opened = [[_open(timeline, key, moment) for moment in _moments(slot)] for slot, _ in slots]
                reached = next((slot for slot, in_force in slots if in_force), None)
                if reached and all(map(all, opened)):
                    required[key] = PlannedStage(key, owner, reached.at, any(slot.reachable for slot, _ in slots))
                elif any(map(any, opened)):
                    either.add(key)
    return Planned(required, frozenset(either))


def _places(person: Timeline[Person]) -> list[tuple[datetime, datetime, Whereabouts]]:
    """Merge neighbours in which the borrower's place is the same."""
    merged: list[tuple[datetime, datetime, Whereabouts]] = []
    for begin, end, state in person:
        if merged and merged[-1][2] == state.place:
            merged[-1] = (merged[-1][0], end, state.place)
        else:
            merged.append((begin, end, state.place))
    return merged


def _slots(
    days: Days, places: Sequence[tuple[datetime, datetime, Whereabouts]], day: date
) -> Iterator[tuple[LocalSlot, bool]]:
    """Find the slots that the day had, each with whether its place was in force then; one never reached is none."""
    for begin, end, place in places:
        slot = days.slot(place, day)
        if slot.at < end and slot.at > begin - _STILL_CLOSING:
            yield slot, slot.at >= begin


def _moments(slot: LocalSlot) -> tuple[datetime, ...]:
    """List the instants at which an installment must be open to count as open at the slot."""
    return (slot.at,) if slot.reachable else (slot.earliest, slot.at, slot.latest)


def _open(timeline: Timeline[Owed], key: AuditKey, moment: datetime) -> bool:
    """Tell whether the installment was known, open, due on that date, and the stage inside its window."""
    state = timeline.at(moment)
    return (
        state is not None
        and state.open
        and state.due_date == key.due_date
        and days_from_due(key.stage) <= state.grace_days
    )
