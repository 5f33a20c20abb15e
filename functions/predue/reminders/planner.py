"""The planner: finds whom a slot concerns, and queues one job for each borrower.

It writes nothing per due and may run twice: duplicates die at the claim. Borrowers whom no channel can reach get
their outcome at once.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from predue.borrowers import settle
from predue.borrowers.ports import Borrowers, IndexEntry, Plans, Queues
from predue.borrowers.view import View, look
from predue.domain.channel import Switches
from predue.domain.job import Job
from predue.domain.ledger import Ledger
from predue.domain.policy import Rulebook
from predue.domain.profile import Profile
from predue.domain.record import most_urgent
from predue.domain.slot import QUARTER, reference_slot
from predue.domain.stage import StageKey
from predue.errors import LedgerMoved
from predue.events.event_services import keyed
from predue.reminders.gate import decide, unreachable_by
from predue.reminders.slot_sweep import Seen, Sweep, Task
from predue.reminders.volume import Volume

RUN = "plan"
_STAGES = "#"
"""Parts the rules' label from the stages that they have, in the checkpoint."""
LONGEST_LAG = timedelta(hours=1)
"""Far longer than an index lags behind its table: a fraction of a second, as a rule (DynamoDB developer guide, "Data
synchronization between tables and global secondary indexes").
"""


@dataclass(frozen=True)
class PlannerServices:
    """All that the planner works with; `time_left` is in seconds, `shards` how many plan side by side."""

    plans: Plans
    borrowers: Borrowers
    queues: Queues
    rulebook: Rulebook
    switches: Switches
    time_left: Callable[[], float]
    shards: int = 1


@dataclass
class PlanTally:
    """What a run did; `held` if it may queue no more today."""

    queued: int = 0
    settled: int = 0
    dropped: int = 0
    held: bool = False


def plan(shard: int, now: datetime, services: PlannerServices) -> tuple[PlanTally, bool]:
    """Queue the jobs of every slot up to `now` that the shard has not covered; False if time ran out and the run must
    go on.
    """
    tally = PlanTally()
    volume = Volume.of(services.rulebook.policy.max_reminders_per_day, services.shards, now)
    stages = ",".join(setting.name for setting in services.rulebook.policy.stages)
    sweep = Sweep(
        RUN,
        shard,
        now,
        reference_slot,
        services.plans,
        services.rulebook,
        services.time_left,
        volume=volume,
        rules=f"{services.rulebook.label(now.date())}{_STAGES}{stages}",
        look_back=timedelta(days=1),
    )

    def page(task: Task, borrowers: dict[str, list[IndexEntry]], seen: Seen, rules: str) -> None:
        keys = _keys(task, borrowers, services, seen, rules)
        tally.dropped += len(borrowers) - len(keys)
        before = tally.queued
        _plan_page(task, keys, now, services, tally, moved=seen == "moved")
        volume.queued += tally.queued - before

    finished = sweep.through(
        lambda _in_use: {setting.stage().offset for setting in services.rulebook.policy.stages}, page
    )
    tally.held = volume.held
    return tally, finished


def _keys(
    task: Task, borrowers: dict[str, list[IndexEntry]], services: PlannerServices, seen: Seen, rules: str
) -> dict[str, tuple[StageKey, ...]]:
    """By borrower the stages that fall on the day. Of a slot that is looked at again, only those of borrowers about
    whom something was written shortly before, which the index may have shown too late, and that have no outcome yet.

    Of one that had passed when the `rules` before changed, all without an outcome but the stages that were added: they
    begin the next day.
    """
    by_offset = {setting.stage().offset: setting.name for setting in services.rulebook.policy.stages}
    if seen == "again":
        borrowers = {name: entries for name, entries in borrowers.items() if _lagged(task, entries)}
    if seen == "moved":
        before = rules.partition(_STAGES)[2].split(",")
        by_offset = {offset: name for offset, name in by_offset.items() if name in before}
    ledgers = services.plans.ledgers_of(sorted(borrowers)) if seen != "new" and borrowers else {}
    found = {}
    for borrower_id, entries in borrowers.items():
        keys = [
            StageKey(entry.loan_id, entry.installment_no, entry.due_date, by_offset[offset])
            for entry in entries
            if (offset := (task.day - entry.due_date).days) in by_offset
        ]
        if ledger := ledgers.get(borrower_id):
            keys = [key for key in keys if not ledger.answered(key)]
        if keys:
            found[borrower_id] = tuple(sorted(keys))
    return found


def _lagged(task: Task, entries: Sequence[IndexEntry]) -> bool:
    """Whether the run of the slot itself may have missed an entry."""
    return any(task.at - entry.written_at < LONGEST_LAG for entry in entries)


def _plan_page(
    task: Task,
    keys: dict[str, tuple[StageKey, ...]],
    now: datetime,
    services: PlannerServices,
    tally: PlanTally,
    *,
    moved: bool,
) -> None:
    """One page of borrowers: leave out whom the slot is not for, settle whom nothing can reach, queue the rest.

    Whose day is over is left out, too: the closing run gives those stages their outcome, and of the volume of a new day
    they would take their part for nothing.
    """
    waiting: dict[str, list[Job]] = {}
    profiles = services.plans.profiles_of(sorted(keys)) if keys else {}
    for borrower_id, stages in keys.items():
        view = _belongs(task, profiles.get(borrower_id), services.rulebook)
        if view is None or now >= view.day_over(task.day):
            tally.dropped += 1
            continue
        job = Job(borrower_id, task.day, task.at, stages, not_before=_share(view, task.day, now) if moved else None)
        channel = _route(view, stages)
        if channel is None and _settled(job, now, services):
            tally.settled += 1
            continue
        waiting.setdefault(channel or _any_channel(view), []).append(job)
    for channel, jobs in waiting.items():
        services.queues.send(channel, jobs)
        tally.queued += len(jobs)


def _share(view: View, day: date, now: datetime) -> datetime | None:
    """When a borrower whose slot had passed gets the reminder: by a hash, so that all spread over what is left of the
    day's hours.
    """
    window = view.window(day)
    left = window.end - QUARTER - now if window else timedelta(0)
    if left <= timedelta(0):
        return None
    digest = hashlib.sha256(view.profile.borrower_id.encode()).digest()
    return now + timedelta(seconds=int(left.total_seconds()) * int.from_bytes(digest[:4]) // 2**32)


def _belongs(task: Task, profile: Profile | None, rulebook: Rulebook) -> View | None:
    """The borrower's view if this slot is the borrower's own; the index may lag behind a change of place, time or
    rules. What the ledger says is left to the gate.
    """
    if profile is None or keyed(profile) != (task.zone_key, task.send_time) or not rulebook.policy.allows(task.day):
        return None
    view = View(profile, Ledger(profile.borrower_id), {}, rulebook.rules(profile.jurisdiction, task.at.date()))
    return view if view.slot(task.day) == task.at else None


def _route(view: View, keys: Sequence[StageKey]) -> str | None:
    """The channel whose queue the job goes to: the first that may carry the most urgent stage; None if there is
    none.
    """
    urgent = view.rules.stages[most_urgent(keys).stage]
    return next(
        (
            channel
            for channel in view.profile.channels
            if urgent.takes(channel) and unreachable_by(view, channel) is None
        ),
        None,
    )


def _any_channel(view: View) -> str:
    """A queue for a borrower who could be reached after all, as the consistent read says; any deliver function finds
    the way.
    """
    return next((channel for channel in view.profile.channels if channel in ("sms", "email")), "email")


def _settled(job: Job, now: datetime, services: PlannerServices) -> bool:
    """Decide at once for a borrower who seems out of reach; False if a consistent read says otherwise."""
    try:
        view = look(job, services.borrowers, services.rulebook, now)
        decision = decide(view, job, now, services.switches)
        if decision.action is not None or decision.calling:
            return False
        settle.settle(view, decision.settled, now, services.borrowers, decision.inputs)
    except LedgerMoved:
        return False
    return True
