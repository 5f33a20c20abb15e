"""The injected clock: virtual time, moved only by the stack."""

from datetime import UTC, datetime


class VirtualClock:
    """Tells the instant that it was last set to; never runs back."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        """The virtual instant."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Move forward to an instant; raises ValueError for one that is past."""
        if moment < self._now:
            raise ValueError(f"the clock stands at {self._now.isoformat()} and cannot go back to {moment.isoformat()}")
        self._now = moment.astimezone(UTC)
