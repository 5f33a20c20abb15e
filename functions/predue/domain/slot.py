"""Slots and hours: when, on a local day, a reminder may go out.

Everything takes the tuple of zones in which the borrower may be (one, when the zone is known) and holds in all of
them at once. Hours are compared on the wall clock, so a change of clocks needs no special case; only turning a wall
time into an instant does, where clocks jump.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Allowed local hours: at or after `start` and before `end`, every day."""

    start: time
    end: time

    def __contains__(self, wall: time) -> bool:
        return self.start <= wall < self.end

    def narrowed(self, other: "Hours") -> "Hours":
        """The hours that both allow; empty when `start` is not before `end`."""
        return Hours(max(self.start, other.start), min(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.start.isoformat('minutes')}-{self.end.isoformat('minutes')}"


@dataclass(frozen=True, slots=True)
class Window:
    """The instants of a local day in which reminders may go out: at or after `start` and before `end`."""

    start: datetime
    end: datetime


@lru_cache(maxsize=1 << 14)
def instant_of(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall time: the first of two where clocks go back, the first existing minute where it is
    skipped.
    """
    naive = datetime.combine(day, wall)
    moment = naive.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == naive:
        return moment
    # The wall time does not exist. Read with the offset after the jump it lies before the jump: walk to the first
    # minute after.
    moment = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) < naive:
        moment += _MINUTE
    return moment


def window(day: date, hours: Hours, zones: Sequence[ZoneInfo]) -> Window | None:
    """The instants of local day `day` that lie inside `hours` in every zone; None where there are none."""
    return _window(day, hours.start, hours.end, tuple(zones))


@lru_cache(maxsize=1 << 14)
def _window(day: date, opens: time, closes: time, zones: tuple[ZoneInfo, ...]) -> Window | None:
    if not zones:
        return None
    start = max(instant_of(day, opens, zone) for zone in zones)
    end = min(instant_of(day, closes, zone) for zone in zones)
    return Window(start, end) if start < end else None


def _rounded_up(wall: time) -> time:
    """A wall time rounded up to a quarter hour; the last quarter of the day stays inside the day."""
    minutes = wall.hour * 60 + wall.minute + (wall.second > 0 or wall.microsecond > 0)
    minutes = min(-(-minutes // 15) * 15, 23 * 60 + 45)
    return time(minutes // 60, minutes % 60)


def _floor(moment: datetime) -> datetime:
    """The quarter hour at or before an instant; every zone's offset is a whole number of quarters."""
    return moment - timedelta(minutes=moment.minute % 15, seconds=moment.second, microseconds=moment.microsecond)


def slot_of(day: date, send_time: time, hours: Hours, zones: Sequence[ZoneInfo]) -> datetime | None:
    """The slot on a local day for a wished wall time; None when the zones share no allowed time on that day.

    The wish is rounded up to a quarter hour; outside the allowed hours the nearest allowed slot of that day takes its
    place. Where several zones are possible the wish counts in the one that reaches it last.
    """
    common = window(day, hours, zones)
    if common is None:
        return None
    send_at = max(instant_of(day, _rounded_up(send_time), zone) for zone in zones)
    if send_at < common.start:
        first = -(-(common.start - datetime.min.replace(tzinfo=UTC)) // QUARTER) * QUARTER + datetime.min.replace(
            tzinfo=UTC
        )
        return first if first < common.end else common.start
    if send_at >= common.end:
        return max(common.start, _floor(common.end - timedelta(microseconds=1)))
    return send_at


@lru_cache(maxsize=1 << 14)
def reference_slot(day: date, send_time: time, hours: Hours, zones: tuple[ZoneInfo, ...]) -> datetime:
    """The slot at which a stage is looked at: `slot_of`, or where there is none, that of the zone which reaches it
    last.

    Nothing can be sent at such a slot, but the planned stage still gets its outcome there. No zone at all counts as
    UTC.
    """
    common = slot_of(day, send_time, hours, zones)
    if common is not None:
        return common
    single = [slot_of(day, send_time, hours, (zone,)) for zone in zones or (ZoneInfo("UTC"),)]
    return max(found for found in single if found is not None)


def day_over(day: date, hours: Hours, zones: Sequence[ZoneInfo]) -> datetime:
    """The instant from which nothing more can go out on a local day: the end of its window.

    Zones without a common window, and none at all, count as in `reference_slot`.
    """
    common = window(day, hours, zones)
    if common is not None:
        return common.end
    return max(instant_of(day, hours.end, zone) for zone in zones or (ZoneInfo("UTC"),))
