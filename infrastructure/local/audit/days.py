"""Local days for the auditor: the zones a borrower may be in, the hours they share, and the slot of a day.

Derived a second time from the promises and the zone data, and shared with nothing that decides what is sent.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from io import BytesIO
from typing import NamedTuple
from zoneinfo import ZoneInfo

from infrastructure.local.audit.terms import Terms, place_code

QUARTER = 15 * 60
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Parts of countries that ISO 3166-1 gives a code of their own, under which zone.tab lists them.
_TERRITORIES = {
    "US": "AS GU MP PR UM VI",
    "FR": "BL GF GP MF MQ NC PF PM RE TF WF YT",
    "NL": "AW CW SX",
    "CN": "HK MO TW",
}
_RENAMED_TERRITORIES = {
    "FR-971": "GP", "FR-972": "MQ", "FR-973": "GF", "FR-974": "RE", "FR-976": "YT", "FI-01": "AX", "NO-21": "SJ",
    "NL-BQ1": "BQ", "NL-BQ2": "BQ", "NL-BQ3": "BQ",
}  # fmt: skip


class Whereabouts(NamedTuple):
    """What decides a borrower's slots; all as the profile has it, so zone and jurisdiction may be empty or unknown."""

    time_zone: str
    jurisdiction: str
    preferred_time: time | None


@dataclass(frozen=True, slots=True)
class LocalSlot:
    """The slot of a local day; `reachable` is False when no instant is an allowed hour in all possible zones.

    `earliest` and `latest` bound the slot: they differ from `at` only where it is no more than a reference.
    """

    at: datetime
    earliest: datetime
    latest: datetime
    reachable: bool = True


class Days:
    """Zones, hours and slots under some terms; answers are remembered, since borrowers share places."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._zones: dict[tuple[str, str, tuple[str, ...]], tuple[ZoneInfo, ...]] = {}
        self._slots: dict[tuple[Whereabouts, date], LocalSlot] = {}

    def zones(self, place: Whereabouts, day: date) -> tuple[ZoneInfo, ...]:
        """List the zones that the borrower may be in on a day, the westmost first; none for an unknown country."""
        pack = self._terms.pack(place.jurisdiction, day)
        key = place.time_zone, place.jurisdiction, pack.zones if pack else ()
        if key not in self._zones:
            named, possible = _named(place.time_zone), _possible_zones(*key[1:])
            names = [named] if named and not _winter_only(named, place.jurisdiction) else possible
            self._zones[key] = tuple(sorted(map(packaged, names), key=_offset))
        return self._zones[key]

    def hours(self, place: Whereabouts, day: date) -> tuple[time, time]:
        """Give the allowed hours of the place on a day, the stricter of policy and pack."""
        (opens, closes), pack = self._terms.hours, self._terms.pack(place.jurisdiction, day)
        return (max(opens, pack.hours[0]), min(closes, pack.hours[1])) if pack else (opens, closes)

    def fault(self, place: Whereabouts, day: date, moment: datetime) -> str | None:
        """Tell why an instant is no allowed hour of the local day in every possible zone; None when it is."""
        opens, closes = self.hours(place, day)
        zones = self.zones(place, day)
        for zone in zones:
            local = moment.astimezone(zone)
            if local.date() != day:
                return f"it is {local.date()} in {zone.key}, not {day}"
            if not opens <= local.time() < closes:
                return f"it is {local:%H:%M:%S} in {zone.key}, outside {opens:%H:%M} to {closes:%H:%M}"
        return None if zones else "no possible zone is known"

    def slot(self, place: Whereabouts, day: date) -> LocalSlot:
        """Find the slot of a local day: the wish, or the default, moved into the hours that all zones share."""
        key = place, day
        if key not in self._slots:
            self._slots[key] = self._find_slot(place, day)
        return self._slots[key]

    def _find_slot(self, place: Whereabouts, day: date) -> LocalSlot:
        opens, closes = self.hours(place, day)
        zones = self.zones(place, day)
        send_time = _rounded_up(place.preferred_time or self._terms.default_time)
        begin = max((first_instant(day, opens, zone) for zone in zones), default=None)
        end = min((first_instant(day, closes, zone) for zone in zones), default=None)
        if begin and end and begin < end:
            at = max(first_instant(day, send_time, zone) for zone in zones)
            at = min(max(at, begin), max(begin, _quarter_before(end)))
            return LocalSlot(at, at, at)
        send_time = min(max(send_time, opens), closes)
        anywhere = datetime.combine(day, send_time, UTC)
        each = [first_instant(day, send_time, zone) for zone in zones]
        bounds = each or [anywhere - timedelta(hours=14), anywhere + timedelta(hours=12)]
        return LocalSlot(each[0] if each else anywhere, min(bounds), max(bounds), reachable=False)


def first_instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Find when a wall clock first shows a time of day (UTC); for a time skipped, the first instant after."""
    wall = datetime.combine(day, clock)
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(found, zone) == wall:
        return found
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        before, after = (before, middle) if _wall(middle, zone) >= wall else (middle, after)
    return after


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """Show an instant on the zone's wall clock, without its offset."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _rounded_up(clock: time) -> time:
    """Round up to a quarter hour, to the day's last quarter at most."""
    seconds = -(-(clock.hour * 3600 + clock.minute * 60 + clock.second) // QUARTER) * QUARTER
    seconds = min(seconds, 24 * 3600 - QUARTER)
    return time(seconds // 3600, seconds % 3600 // 60)


def _quarter_before(moment: datetime) -> datetime:
    """Find the last quarter hour that begins before an instant."""
    return moment - timedelta(seconds=moment.timestamp() % QUARTER or QUARTER)


def _offset(zone: ZoneInfo) -> timedelta:
    """Give a zone's offset from UTC, for ordering from west to east."""
    return _ANY_DAY.astimezone(zone).utcoffset() or timedelta()


def _possible_zones(jurisdiction: str, listed: tuple[str, ...]) -> tuple[str, ...]:
    """Name the zones of a jurisdiction: a territory's own, else those that its pack lists, else its country's."""
    code = place_code(jurisdiction)
    country, _, part = code.partition("-")
    if part in _TERRITORIES.get(country, "").split():
        return _zones_by_country()[part]
    if code in _RENAMED_TERRITORIES:
        return _zones_by_country()[_RENAMED_TERRITORIES[code]]
    return listed or _zones_by_country().get(country, ())


def _named(written: str) -> str | None:
    """Find the zone that somebody meant, with its capitals and underscores put right."""
    return _known_zones().get(re.sub(r"\s+", "_", re.sub(r"\s*/\s*", "/", written.strip())).casefold())


@cache
def _winter_only(name: str, jurisdiction: str) -> bool:
    """Tell whether a zone keeps one time all year where the jurisdiction's clocks change, and is no place there.

    A place abroad with another time than theirs in winter is believed.
    """
    places = _possible_zones(jurisdiction, ())
    changing = [_year(place) for place in places if len(_year(place)) > 1]
    if len(_year(name)) > 1 or not changing:
        return False
    if name.startswith("Etc/") or "/" not in name:
        return True
    own = any(_rules(name) == _rules(place) for place in places)
    return not own and any(_year(name) == {min(offsets)} for offsets in changing)


@cache
def _year(name: str) -> frozenset[timedelta]:
    """List a zone's offsets on the first days of the months of some years: tzdata has Ramadan's one by one."""
    firsts = (datetime(year, month, 1, tzinfo=UTC) for year in range(2025, 2037) for month in range(1, 13))
    return frozenset(first.astimezone(packaged(name)).utcoffset() or timedelta() for first in firsts)


@cache
def packaged(name: str) -> ZoneInfo:
    """Read a zone from the tzdata package: the machine's own may be another edition."""
    return ZoneInfo.from_file(BytesIO(_rules(name)), key=name)


def _rules(name: str) -> bytes:
    return resources.files("tzdata").joinpath("zoneinfo", name).read_bytes()


@cache
def _known_zones() -> Mapping[str, str]:
    """List the zone names of the tzdata package, by the same in small letters."""
    names = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    return {name.casefold(): name for name in names}


@cache
def _zones_by_country() -> Mapping[str, tuple[str, ...]]:
    """Read the tzdata package's zone.tab: country code, coordinates, zone, comments, separated by tabs."""
    found: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found[country] += (zone,)
    return dict(found)
