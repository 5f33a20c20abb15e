"""What the gate looks at: a borrower's live state as one strongly consistent read shows it, and the planned stages in
it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from predue.borrowers.ports import Borrowers
from predue.domain import zone
from predue.domain.due import Due
from predue.domain.job import Job
from predue.domain.ledger import Ledger
from predue.domain.policy import Rulebook, Rules
from predue.domain.profile import Profile
from predue.domain.slot import Window, day_over, reference_slot, window
from predue.domain.stage import Stage, StageKey
from predue.errors import Unusable

MEMORY = timedelta(days=31)
"""How long the ledger remembers; no cap may look back further."""

OLDEST_STAGE = timedelta(days=28)
"""Stages older than this are decided already, and the ledger may have forgotten so: they are left alone."""


@dataclass(frozen=True)
class View:
    """A borrower's profile, ledger and dues, under the rules of the borrower's place."""

    profile: Profile
    ledger: Ledger
    dues: Mapping[tuple[str, int, date], Due]
    rules: Rules

    @classmethod
    def of(cls, profile: Profile, ledger: Ledger, dues: Iterable[Due], rulebook: Rulebook, now: datetime) -> "View":
        """The view of one borrower at an instant."""
        by_key = {(due.loan_id, due.installment_no, due.due_date): due for due in dues}
        return cls(profile, ledger, by_key, rulebook.rules(profile.jurisdiction, now.date()))

    @cached_property
    def zones(self) -> tuple[ZoneInfo, ...]:
        """Every zone in which the borrower may be."""
        return zone.zones_of(zone.label(self.profile.time_zone, self.profile.jurisdiction), self.rules.pack.zones)

    def slot(self, day: date) -> datetime:
        """The slot of a local day."""
        send_time = self.profile.preferred_time or self.rules.policy.default_time
        return reference_slot(day, send_time, self.rules.hours, self.zones)

    def window(self, day: date) -> Window | None:
        """The instants of a local day in which reminders may go out."""
        return window(day, self.rules.hours, self.zones)

    def day_over(self, day: date) -> datetime:
        """The instant from which nothing more can go out on a local day."""
        return day_over(day, self.rules.hours, self.zones)

    def local_time(self, now: datetime) -> str:
        """The borrower's wall time with its offset; of the first possible zone while it is unknown."""
        return now.astimezone(self.zones[0] if self.zones else ZoneInfo("UTC")).isoformat(
            timespec="milliseconds" if now.microsecond else "seconds"
        )

    def due(self, key: StageKey) -> Due | None:
        """The due of a key."""
        return self.dues.get((key.loan_id, key.installment_no, key.due_date))

    def planned(self, key: StageKey) -> bool:
        """Whether a stage was planned: the installment known and open at the stage's slot, the stage inside policy and
        window.
        """
        stage, due = self.rules.stages.get(key.stage), self.due(key)
        if stage is None or due is None or not due.has_stage(stage):
            return False
        day = stage.day(key.due_date)
        return self.rules.policy.allows(day) and due.open_at(self.slot(day))

    def unanswered(self, due: Due, now: datetime, since: date) -> Iterator[tuple[StageKey, Stage]]:
        """The planned stages of a due from local day `since` on whose slot has passed and that have no outcome yet."""
        for stage in self.rules.stages.values():
            key = due.key(stage)
            day = stage.day(due.due_date)
            if day >= since and self.slot(day) <= now and self.planned(key) and not self.ledger.answered(key):
                yield key, stage


def look(job: Job, borrowers: Borrowers, rulebook: Rulebook, now: datetime) -> View:
    """The borrower's state as one strongly consistent read shows it; raises Unusable for a borrower without a
    profile.

    The dues ahead are read with it where a more urgent stage of theirs may need the room of a cap.
    """
    until = max(key.due_date for key in job.keys)
    if min(rulebook.policy.rank(key.stage) for key in job.keys):
        until = max(until, rulebook.ahead(job.day))
    state = borrowers.load(job.borrower_id, until=until)
    if state.profile is None:
        raise Unusable("a job names a borrower who has no profile")
    return View.of(state.profile, state.ledger, state.dues, rulebook, now)
