"""The planner: finds whom a slot concerns, and queues one job for each borrower.

It writes nothing per due and may run twice: duplicates die at the claim. Borrowers whom no channel can reach get
their outcome at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from predue import settle
from predue.errors import LedgerMoved
from predue.gate import Switches, decide, left_out, unreachable_by
from predue.job import Job
from predue.news import keyed
from predue.policy import Rulebook
from predue.ports import Borrowers, Brief, IndexEntry, Plans, Queues
from predue.record import most_urgent
from predue.slot import reference_slot
from predue.stage import StageKey
from predue.sweep import Sweep, Task
from predue.view import View, look

RUN = "plan"
_BATCH = 10


@dataclass(frozen=True)
class PlanDesk:
    """All that the planner works with; `time_left` is in seconds."""

    plans: Plans
    borrowers: Borrowers
    queues: Queues
    rulebook: Rulebook
    switches: Switches
    time_left: Callable[[], float]


@dataclass
class Tally:
    """What a run did."""

    queued: int = 0
    settled: int = 0
    dropped: int = 0
    waiting: dict[str, list[Job]] = field(default_factory=dict)


def plan(shard: int, now: datetime, desk: PlanDesk) -> tuple[Tally, bool]:
    """Queue the jobs of every slot up to `now` that the shard has not covered; False if time ran out and the run must
    go on.
    """
    tally = Tally()
    sweep = Sweep(RUN, shard, now, reference_slot, desk.plans, desk.rulebook, desk.time_left)

    def page(task: Task, borrowers: dict[str, list[IndexEntry]]) -> None:
        _page(task, borrowers, now, desk, tally)
        for channel in list(tally.waiting):
            _flush(channel, desk, tally)

    finished = sweep.through(lambda _in_use: {setting.stage().offset for setting in desk.rulebook.policy.stages}, page)
    return tally, finished


def _page(task: Task, borrowers: dict[str, list[IndexEntry]], now: datetime, desk: PlanDesk, tally: Tally) -> None:
    """One page of borrowers: leave out whom nothing concerns, settle whom nothing can reach, queue the rest."""
    briefs = desk.plans.briefs(sorted(borrowers))
    for borrower_id, entries in borrowers.items():
        brief = briefs.get(borrower_id)
        view = _belongs(task, brief, desk.rulebook)
        keys = view and _keys(task.day, entries, view)
        if view is None or not keys:
            tally.dropped += 1
            continue
        job = Job(borrower_id, task.day, task.at, keys)
        channel = None if left_out(view) else _route(view, keys)
        if channel is None and _settled(job, now, desk):
            tally.settled += 1
            continue
        _queue(channel or _any_channel(view), job, desk, tally)


def _belongs(task: Task, brief: Brief | None, rulebook: Rulebook) -> View | None:
    """The borrower's view if this slot is the borrower's own; the index may lag behind a change of place, time or
    rules.
    """
    if brief is None or keyed(brief.profile) != (task.place, task.wish) or not rulebook.policy.allows(task.day):
        return None
    view = View(brief.profile, brief.ledger, {}, rulebook.rules(brief.profile.jurisdiction, task.at.date()))
    return view if view.slot(task.day) == task.at else None


def _keys(day: date, entries: Sequence[IndexEntry], view: View) -> tuple[StageKey, ...]:
    """The stages that meet on the day and have no outcome yet."""
    by_offset = {stage.offset: stage for stage in view.rules.stages.values()}
    found = []
    for entry in entries:
        stage = by_offset.get((day - entry.due_date).days)
        if stage is not None:
            key = StageKey(entry.loan_id, entry.installment_no, entry.due_date, stage.name)
            if not view.ledger.answered(key):
                found.append(key)
    return tuple(sorted(found))


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


def _settled(job: Job, now: datetime, desk: PlanDesk) -> bool:
    """Decide at once for a borrower who seems out of reach; False if a consistent read says otherwise."""
    try:
        view = look(job, desk.borrowers, desk.rulebook, now)
        verdict = decide(view, job, now, desk.switches)
        if verdict.action is not None or verdict.calling:
            return False
        settle.settle(view, verdict.settled, now, desk.borrowers, verdict.inputs)
    except LedgerMoved:
        return False
    return True


def _queue(channel: str, job: Job, desk: PlanDesk, tally: Tally) -> None:
    waiting = tally.waiting.setdefault(channel, [])
    waiting.append(job)
    if len(waiting) == _BATCH:
        _flush(channel, desk, tally)


def _flush(channel: str, desk: PlanDesk, tally: Tally) -> None:
    if jobs := tally.waiting.pop(channel, []):
        desk.queues.send(channel, jobs)
        tally.queued += len(jobs)
