"""The volume breaker: how many jobs the planner may queue in a day, so that a mistake that makes everything due at once
reaches few.

Each shard keeps count by itself, in the checkpoint that it writes anyway, and stops at its share of the policy's
`max_reminders_per_day`. So all shards together stop within a page each of the limit, however they run side by side, and
nobody waits for a common counter. A shard that is held goes on where it stopped when the limit is raised, or a day
after it began to count; what does not go out on its local day expires.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from predue.borrowers.ports import Checkpoint

_DAY = timedelta(days=1)


@dataclass
class Volume:
    """A shard's count: `queued` jobs `since` an instant, of `share` for a day; no share means no limit."""

    share: int | None
    since: datetime
    queued: int = 0
    held: bool = False
    """Whether something was there to queue and was not."""

    @classmethod
    def of(cls, limit: int | None, shards: int, now: datetime) -> "Volume":
        """The count of one of `shards`, at the beginning of a run."""
        return cls(None if limit is None else -(-limit // shards), now)

    def begin(self, checkpoint: Checkpoint) -> None:
        """Take up what earlier runs counted."""
        if checkpoint.since and checkpoint.queued and self.since - checkpoint.since < _DAY:
            self.since, self.queued = checkpoint.since, checkpoint.queued

    def holds(self) -> bool:
        """Whether a page that is there must not be queued before the day is over."""
        self.held = self.share is not None and self.queued >= self.share
        return self.held
