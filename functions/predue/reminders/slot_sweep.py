"""What planner and closing run share: which zone keys and send times a run covers, page by page, with a checkpoint for
each shard.

A run covers what lies between the last covered instant and its own, and one quarter hour before again, since the index
lags. It may run twice, be missed, or stop half-way: the checkpoint moves only when all before it is done, and what is
done twice is harmless.
"""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from predue.borrowers.ports import Checkpoint, IndexEntry, InUse, Plans
from predue.domain import instant, zone
from predue.domain.policy import Rulebook
from predue.domain.slot import QUARTER, Hours
from predue.events.event_services import NO_PREFERENCE
from predue.reminders.volume import Volume

LOOK_BACK = timedelta(days=3)
"""How far a run reaches back when earlier ones were missed."""

ANY_TIME = ""
"""Stands for all send times of a place."""

PAGE = 100
"""Borrowers looked at together: DynamoDB reads at most 100 items a batch."""

Seen = Literal["new", "again", "moved"]
"""How a task stands: it is covered for the first time; once more, since the index lags; or its moment had passed when
the rules changed.
"""

Moment = Callable[[date, time, Hours, tuple[ZoneInfo, ...]], datetime]


class Task(NamedTuple):
    """One place and send time on one local day, whose moment `at` the run covers."""

    at: datetime
    zone_key: str
    send_time: str
    day: date


@dataclass(frozen=True)
class Sweep:
    """One run over one shard up to `target`; `moment` says when a place and time is due on a day.

    `again` is how much of what was covered is covered once more. `by_time` False takes the send times of a place
    together. `volume` counts what a run queues, and holds it. `rules` names what the moments follow from: a run that
    finds others looks back by `look_back`, since a moment may have gone to where all is covered. `failed` tells
    whether `page` had to leave somebody out; then the run goes on with the others, and covers nothing.
    """

    run: str
    shard: int
    target: datetime
    moment: Moment
    plans: Plans
    rulebook: Rulebook
    time_left: Callable[[], float]
    rescan: timedelta = QUARTER
    by_time: bool = True
    enough: float = 20.0
    volume: Volume | None = None
    rules: str = ""
    look_back: timedelta = LOOK_BACK
    failed: Callable[[], bool] = lambda: False

    def through(
        self,
        offsets: Callable[[InUse], Iterable[int]],
        page: Callable[[Task, dict[str, list[IndexEntry]], Seen, str], None],
    ) -> bool:
        """Call `page` with the open dues of every task, grouped by borrower, how it stands, and the rules before.

        False if time ran out and another call must go on. A run that its volume holds is finished; the next goes on.

        `offsets` gives the days from due date to task day that matter. Memory holds one page of borrowers.
        """
        in_use, found = self.plans.start(self.run, self.shard)
        checkpoint = found or Checkpoint(self.target - timedelta(days=1), rules=self.rules)
        after = max(checkpoint.covered - self.rescan, self.target - LOOK_BACK)
        if checkpoint.rules != self.rules:
            after = min(after, self.target - self.look_back)
        tasks = self.tasks(in_use, after)
        if self.volume:
            self.volume.begin(checkpoint)
        goes_on = checkpoint.held or checkpoint.target == self.target
        resume = _Position.read(checkpoint.position) if goes_on else None
        if resume and resume.rules != self.rules:
            resume = None
        for task in tasks:
            if resume and task < resume.task:
                continue
            start = resume.last if resume and task == resume.task else ""
            for borrowers, last in self._pages(task, offsets(in_use), start):
                held = self.volume is not None and self.volume.holds()
                if held or self.time_left() < self.enough:
                    failed = self.failed() or (checkpoint.failed and resume is not None)
                    position = _Position(task, start, self.rules).text()
                    self._save(checkpoint._replace(target=self.target, position=position, held=held, failed=failed))
                    return held
                page(task, borrowers, self._seen(task, checkpoint), checkpoint.rules)
                start = f"{last.send_time}#{last.borrower_id}"
        if self.failed() or (checkpoint.failed and resume is not None):
            self._save(checkpoint._replace(target=self.target, position="", held=False, failed=False))
        elif tasks:
            self._save(Checkpoint(self.target, rules=self.rules))
        return True

    def _seen(self, task: Task, checkpoint: Checkpoint) -> Seen:
        if checkpoint.rules != self.rules and task.at <= self.target - QUARTER:
            return "moved"
        return "again" if task.at <= checkpoint.covered else "new"

    def _save(self, checkpoint: Checkpoint) -> None:
        if self.volume:
            checkpoint = checkpoint._replace(since=self.volume.since, queued=self.volume.queued)
        self.plans.save_checkpoint(self.run, self.shard, checkpoint)

    def tasks(self, in_use: InUse, after: datetime) -> list[Task]:
        """The tasks whose moment lies after `after` and up to the target, in order."""
        found: list[Task] = []
        for day in _days(after, self.target):
            # The same for every quarter hour of the day, and for every shard that a warm function runs.
            known = self.rulebook.followed.get((self.run, day))
            if known is None or known[0] != in_use.pairs:
                known = self.rulebook.followed[self.run, day] = (in_use.pairs, self._tasks_of(day, in_use))
            found += [task for task in known[1] if after < task.at <= self.target]
        return sorted(found)

    def _tasks_of(self, day: date, in_use: InUse) -> frozenset[Task]:
        """The tasks of a local day, whenever they are."""
        pairs = in_use.pairs if self.by_time else {(zone_key, ANY_TIME) for zone_key, _ in in_use.pairs}
        found = set()
        for rules in self.rulebook.every(day):
            for zone_key, send_time in pairs:
                zones = zone.zones_of(zone_key, rules.pack.zones)
                send_at = (
                    rules.policy.default_time
                    if send_time in (NO_PREFERENCE, ANY_TIME)
                    else time.fromisoformat(send_time)
                )
                found.add(Task(self.moment(day, send_at, rules.hours, zones), zone_key, send_time, day))
        return frozenset(found)

    def _pages(
        self, task: Task, offsets: Iterable[int], after: str
    ) -> Iterator[tuple[dict[str, list[IndexEntry]], IndexEntry]]:
        """The task's open dues by borrower, a page of borrowers at a time, and the last entry of each page.

        A borrower whose dues a crash left under two send times comes twice, maybe on one page.
        """
        dates = sorted({task.day - timedelta(days=offset) for offset in offsets})
        streams = [self.plans.entries(due_date, self.shard, task.zone_key, task.send_time, after) for due_date in dates]
        page: dict[str, list[IndexEntry]] = {}
        # As the index sorts them: a borrower's id ends with the "#" that parts the key.
        merged = heapq.merge(*streams, key=lambda entry: (entry.send_time, f"{entry.borrower_id}#"))
        last = None
        for borrower, entries in groupby(merged, key=lambda entry: entry.borrower_id):
            found = page.setdefault(borrower, [])
            found += entries
            last = found[-1]
            if len(page) == PAGE:
                yield page, last
                page = {}
        if page and last is not None:
            yield page, last


class _Position(NamedTuple):
    """Where a run stopped, and by which rules: the task, and the last send time and borrower whose page is done."""

    task: Task
    last: str
    rules: str

    def text(self) -> str:
        at, zone_key, send_time, day = self.task
        return json.dumps([instant.to_text(at), zone_key, send_time, day.isoformat(), self.last, self.rules])

    @classmethod
    def read(cls, text: str) -> "_Position | None":
        if not text:
            return None
        at, zone_key, send_time, day, last, rules = json.loads(text)
        return cls(Task(instant.from_text(at), zone_key, send_time, date.fromisoformat(day)), last, rules)


def _days(after: datetime, until: datetime) -> Iterator[date]:
    """Every local day, anywhere on earth, of which some part lies between two instants."""
    day = (after - timedelta(days=1)).astimezone(UTC).date()
    while day <= (until + timedelta(days=1)).astimezone(UTC).date():
        yield day
        day += timedelta(days=1)
