"""Where a borrower's clock may stand: one known time zone, or every zone that it could be."""

import re
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UNKNOWN = "*"
_NO_CODE = re.compile(r"[^A-Za-z0-9-]")
"""What no ISO 3166 code holds, and what would break the keys of the index."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The IANA time zone of that name, or None if there is none."""
    try:
        return ZoneInfo(name) if name in _names() else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
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
def zones_of(place: str, listed: tuple[str, ...] = ()) -> tuple[ZoneInfo, ...]:
    """Every zone in which a borrower of that label may be; empty when nobody can tell.

    A known zone stands for itself. Otherwise the zones that the jurisdiction's pack lists, or, if it lists none,
    those that tzdata's zone.tab gives for the country.
    """
    if not place.startswith(UNKNOWN):
        known = zone(place)
        return (known,) if known else ()
    country = place.removeprefix(UNKNOWN).partition("-")[0].upper()
    names = listed or _zones_by_country().get(country, ())
    return tuple(found for name in names if (found := zone(name)))
