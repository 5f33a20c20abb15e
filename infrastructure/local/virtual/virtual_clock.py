"""The injected clock: virtual time, moved only by the stack, or the machine's own."""

from collections.abc import Callable
from datetime import UTC, datetime


class VirtualClock:
    """Tells the instant that it was last set to, in whole milliseconds, which is what the table keeps; never runs
    back.
    """

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
        if self._now.microsecond % 1000:
            self._now = self._now.replace(microsecond=self._now.microsecond // 1000 * 1000)


def machine_time() -> datetime:
    """The machine's instant in whole milliseconds, which is what the table keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class LiveClock(VirtualClock):
    """Virtual at first, so that a stack may catch up with the present; from `go_live` on the machine's time.

    It jumps forward with the machine, as after sleep, and stands still where the machine's clock is set back, since
    claims and caps are ordered by it.
    """

    def __init__(self, start: datetime, machine: Callable[[], datetime] = machine_time) -> None:
        super().__init__(start)
        self._machine = machine
        self._live = False

    def __call__(self) -> datetime:
        """The instant, virtual or the machine's."""
        if self._live:
            self._now = max(self._now, self._machine())
        return self._now

    def go_live(self) -> None:
        """Follow the machine's time from now on."""
        self._live = True
