"""Where a borrower's clock may stand: one known time zone, or every zone that it could be."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

UNKNOWN = "*"
_TERRITORIES = {
    **{f"US-{code}": code for code in ("AS", "GU", "MP", "PR", "UM", "VI")},
    **{f"FR-{code}": code for code in ("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT")},
    "FR-971": "GP",
    "FR-972": "MQ",
    "FR-973": "GF",
    "FR-974": "RE",
    "FR-976": "YT",
    "NL-AW": "AW",
    "NL-CW": "CW",
    "NL-SX": "SX",
    "NL-BQ1": "BQ",
    "NL-BQ2": "BQ",
    "NL-BQ3": "BQ",
    "CN-HK": "HK",
    "CN-MO": "MO",
    "CN-TW": "TW",
    "FI-01": "AX",
    "NO-21": "SJ",
    "NO-22": "SJ",
}
"""Subdivisions with a country code of their own (ISO 3166-2), by which zone.tab lists them: Guam keeps the time of no
state.
"""
_NO_CODE = re.compile(r"[^A-Z0-9-]")
"""What no ISO 3166 code holds, and what would break the keys of the index."""
_SEASONS = tuple(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(weeks=week) for week in range(52 * 12))
"""The weeks in which a change of clocks shows: tzdata knows those of Morocco, which follow the moon, year by year."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, whatever its capitals and blanks, or None if there is none.

    Its rules are those of the tzdata package, so that a machine's own, older or newer, never decide.
    """
    known = _iana_names().get("/".join("_".join(part.split()) for part in name.lower().split("/")))
    if known is None:
        return None
    with (_tzdata() / known).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=known)


def _tzdata() -> Traversable:
    return resources.files("tzdata") / "zoneinfo"


@lru_cache(maxsize=1)
def _iana_names() -> dict[str, str]:
    """The IANA names that tzdata lists, by the same without capitals."""
    names = (resources.files("tzdata") / "zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    """IANA zone names by ISO 3166 country, from tzdata's own zone.tab."""
    table = (_tzdata() / "zone.tab").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            found.setdefault(country, []).append(name)
    return {country: tuple(names) for country, names in found.items()}


def jurisdiction_code(written: str) -> str:
    """A jurisdiction as ISO 3166 writes it, from one that only lacks capitals or has blanks."""
    return _NO_CODE.sub("", re.sub(r"[\s_-]+", "-", written.strip()).upper())[:10]


@lru_cache(maxsize=4096)
def label(time_zone: str, jurisdiction: str) -> str:
    """How the index names a borrower's place: the zone, or `*` and the jurisdiction while the zone is unknown.

    A zone that stands in for a part of the jurisdiction that changes its clocks counts as unknown.
    """
    code = jurisdiction_code(jurisdiction)
    found = zone(time_zone)
    return found.key if found and not _stands_in(found, code) else f"{UNKNOWN}{code}"


@lru_cache(maxsize=1024)
def _offsets(found: ZoneInfo) -> frozenset[timedelta]:
    """The offsets from UTC that a zone has through the years."""
    return frozenset(moment.astimezone(found).utcoffset() or timedelta() for moment in _SEASONS)


def _stands_in(found: ZoneInfo, code: str) -> bool:
    """Whether a zone without summer time says no more than the winter's clock of a jurisdiction that has it, such as
    `EST` or `America/Panama` in New York; `UTC` and its like name no place at all.

    A place of the jurisdiction's own that keeps one time all year, such as Arizona, is known by whatever name.
    """
    if len(_offsets(found)) > 1:
        return False
    places = zones_of(f"{UNKNOWN}{code}")
    seasonal = [place for place in places if len(_offsets(place)) > 1]
    if not seasonal:
        return False
    if "/" not in found.key or found.key.startswith("Etc/"):
        return True
    if any(_rules(found.key) == _rules(place.key) for place in places):
        return False
    return min(_offsets(found)) in {min(_offsets(place)) for place in seasonal}


def _rules(name: str) -> bytes:
    return (_tzdata() / name).read_bytes()


@lru_cache(maxsize=4096)
def zones_of(zone_key: str, listed: tuple[str, ...] = ()) -> tuple[ZoneInfo, ...]:
    """Every zone in which a borrower of that label may be; empty when nobody can tell.

    A known zone stands for itself. Otherwise the zones that the jurisdiction's pack lists, or, if it lists none,
    those that tzdata's zone.tab gives for the country. A territory with a country code of its own has that one's.
    """
    if not zone_key.startswith(UNKNOWN):
        known = zone(zone_key)
        return (known,) if known else ()
    code = zone_key.removeprefix(UNKNOWN).upper()
    if code in _TERRITORIES:
        names = _zones_by_country()[_TERRITORIES[code]]
    else:
        names = listed or _zones_by_country().get(code.partition("-")[0], ())
    return tuple(found for name in names if (found := zone(name)))
