"""Where a borrower's clock may stand: one known time zone, or every zone that it could be."""

import re
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
_NO_CODE = re.compile(r"[^A-Za-z0-9-]")
"""What no ISO 3166 code holds, and what would break the keys of the index."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, or None if there is none."""
    try:
        return ZoneInfo(name) if name in _iana_names() else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _iana_names() -> frozenset[str]:
    """The IANA names that tzdata lists; a machine's own database may hold files that are no zones of IANA's."""
    return frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    """IANA zone names by ISO 3166 country, from tzdata's own zone.tab."""
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            found.setdefault(country, []).append(name)
    return {country: tuple(names) for country, names in found.items()}


def label(time_zone: str, jurisdiction: str) -> str:
    """How the index names a borrower's place: the zone, or `*` and the jurisdiction while the zone is unknown."""
    return time_zone if zone(time_zone) else f"{UNKNOWN}{_NO_CODE.sub('', jurisdiction)[:10]}"


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
