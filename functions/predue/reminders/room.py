"""Room under the caps: a contact leaves what the borrower's more urgent stages of the days ahead will need.

Which stages those are, the policy's `urgency` says. The most urgent ones get their places first, then the next; whoever
finds no place after them gives way.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from predue.borrowers.view import View
from predue.domain.policy import Cap
from predue.domain.record import most_urgent
from predue.domain.slot import QUARTER
from predue.domain.stage import StageKey


class DueAhead(NamedTuple):
    """One contact of a day ahead, for all the stages that meet on it; `channels` are those that could carry it.

    `at` is the last quarter hour of its day: what frees until then costs it some hours, and not the day.
    """

    rank: int
    at: datetime
    day: date
    keys: tuple[StageKey, ...]
    channels: frozenset[str]


def kept_for(
    view: View, channel: str, now: datetime, keys: Sequence[StageKey], barred: Mapping[str, str | None]
) -> tuple[StageKey, ...]:
    """The stages ahead that a contact about `keys` on a channel would take the room of; none if there is room for all.

    `barred` says why a channel cannot reach the borrower.
    """
    ahead = _ahead(view, now, keys, barred)
    caps = [cap for cap in view.rules.caps if cap.channel in (None, channel)] if ahead else []
    return tuple(
        dict.fromkeys(key for cap in caps for one in _in_the_way(view, cap, now, keys, ahead) for key in one.keys)
    )


def _ahead(view: View, now: datetime, keys: Sequence[StageKey], barred: Mapping[str, str | None]) -> list[DueAhead]:
    """The contacts ahead that are more urgent than one about `keys`, the most urgent first; a digest counts once."""
    policy = view.rules.policy
    own = min(map(policy.rank, (key.stage for key in keys)))
    by_day: dict[date, list[StageKey]] = {}
    for due in view.dues.values() if own else ():
        if due.closed_by or due.disputed:
            continue
        for stage in view.rules.stages.values():
            key, day = due.key(stage), stage.day(due.due_date)
            if policy.rank(stage.name) >= own or day < keys[0].day() or key in keys or not due.has_stage(stage):
                continue
            planned = policy.allows(day) if now < view.slot(day) else view.planned(key)
            if planned and not view.ledger.answered(key):
                by_day.setdefault(day, []).append(key)
    found = []
    for day, meeting in by_day.items():
        window, urgent = view.window(day), view.rules.stages[most_urgent(meeting).stage]
        channels = frozenset(name for name, bar in barred.items() if not bar and urgent.takes(name))
        if window and now < window.end and channels:
            rank = min(policy.rank(key.stage) for key in meeting)
            found.append(DueAhead(rank, max(now, window.end - QUARTER), day, tuple(sorted(meeting)), channels))
    return sorted(found)


def _in_the_way(
    view: View, cap: Cap, now: datetime, keys: Sequence[StageKey], ahead: Sequence[DueAhead]
) -> list[DueAhead]:
    """The contacts ahead that leave no room for one now, each given its place while the cap has one."""
    counted = (one for one in view.ledger.contacts if one.counts and cap.channel in (None, one.channel))
    taken = [(one.at, one.day) for one in counted]
    placed = []
    for one in ahead:
        if cap.channel and one.channels != {cap.channel}:
            continue  # it could go out on another channel
        if _fits(cap, taken, one.at, one.day):
            taken.append((one.at, one.day))
            placed.append(one)
    if _fits(cap, taken, now, keys[0].day()):
        return []
    return [one for one in placed if (one.day == keys[0].day() if cap.rolling is None else one.at - now < cap.rolling)]


def _fits(cap: Cap, taken: Sequence[tuple[datetime, date]], at: datetime, day: date) -> bool:
    """Whether a cap allows one more contact among those taken, in every window that it would stand in."""
    length = cap.rolling
    if length is None:
        return sum(other == day for _, other in taken) < cap.count
    moments = [other for other, _ in taken if abs(other - at) < length]
    ends = [at, *(moment for moment in moments if moment > at)]
    return all(sum(end - length < moment <= end for moment in moments) < cap.count for end in ends)
