import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.domain import zone as zone_module
from predue.domain.slot import Hours, slot_of, window
from predue.domain.zone import label, zone, zones_of


@pytest.mark.parametrize(
    "name", ["", "America", "Mars/Olympus", "../../etc/passwd", "x" * 300, "posixrules", "zone.tab", "America/Newyork"]
)
def test_what_is_no_iana_zone_is_none(name: str) -> None:
    assert zone(name) is None


def test_a_known_zone_stands_for_itself() -> None:
    assert label("Asia/Kolkata", "US") == "Asia/Kolkata"
    assert [found.key for found in zones_of("Asia/Kolkata")] == ["Asia/Kolkata"]


@pytest.mark.parametrize("written", ["america/new_york", " America/New York ", "AMERICA / NEW_YORK"])
def test_a_zone_that_only_lacks_capitals_or_has_blanks_is_understood(written: str) -> None:
    assert label(written, "US-NY") == "America/New_York"


@pytest.mark.parametrize("written", ["us-ny", " US-NY ", "US - NY", "Us Ny", "US_NY"])
def test_a_jurisdiction_that_only_lacks_capitals_or_has_blanks_is_understood(written: str) -> None:
    assert label("", written) == "*US-NY"


def test_the_packaged_rules_of_a_zone_decide_and_not_the_machines(tmp_path: Path) -> None:
    (tmp_path / "America").mkdir()
    stale = (resources.files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes()
    (tmp_path / "America" / "New_York").write_bytes(stale)
    zone.cache_clear()
    zoneinfo.reset_tzpath([str(tmp_path)])
    ZoneInfo.clear_cache()
    try:
        noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
        assert noon.astimezone(ZoneInfo("America/New_York")).hour == 21
        (found,) = zones_of("America/New_York")
        assert noon.astimezone(found).hour == 8
    finally:
        zoneinfo.reset_tzpath()
        ZoneInfo.clear_cache()
        zone.cache_clear()


STANDING_IN = [
    *((name, "US-NY") for name in ("EST", "MST", "Etc/GMT+5", "UTC", "GMT", "Etc/GMT+4", "utc", "America/Panama")),
    ("UTC", "GB"),
    ("Africa/Abidjan", "GB"),
    ("Etc/GMT-10", "AU"),
    ("UTC", "MA"),
    ("America/Bogota", "CA"),
]


@pytest.mark.parametrize(("name", "jurisdiction"), STANDING_IN)
def test_a_zone_without_summer_time_where_the_jurisdiction_has_it_counts_as_unknown(
    name: str, jurisdiction: str
) -> None:
    assert label(name, jurisdiction) == f"*{jurisdiction}"


@pytest.mark.parametrize(
    ("name", "jurisdiction"),
    [
        ("America/Phoenix", "US-AZ"),
        ("US/Arizona", "US-AZ"),
        ("America/Puerto_Rico", "US"),
        ("America/Atikokan", "CA-ON"),
        ("Australia/Queensland", "AU-QLD"),
        ("Asia/Dubai", "GB"),
        ("UTC", "IN"),
        ("UTC", ""),
        ("EST5EDT", "US"),
        ("Atlantic/Reykjavik", "IS"),
    ],
)
def test_a_zone_without_summer_time_is_known_where_it_is_a_place_of_its_own_or_nobody_has_summer_time(
    name: str, jurisdiction: str
) -> None:
    assert label(name, jurisdiction) == name


@given(st.sampled_from(STANDING_IN), st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.times())
def test_who_is_filed_under_a_winters_clock_is_reminded_in_hours_that_are_allowed_on_the_summers_too(
    place: tuple[str, str], day: date, wish: time
) -> None:
    hours, zones = Hours(time(9), time(20)), zones_of(label(*place))
    slot = slot_of(day, wish, hours, zones)
    for found in zones:
        assert slot is not None
        assert slot.astimezone(found).time() in hours
        assert slot.astimezone(found).date() == day


def test_an_unknown_zone_is_labelled_by_its_jurisdiction() -> None:
    assert label("", "US-CA") == "*US-CA"
    assert label("Mars/Olympus", "IN") == "*IN"


def test_an_unknown_zone_means_every_zone_of_the_country_by_tzdata() -> None:
    names = {found.key for found in zones_of("*US-CA")}
    assert {"America/New_York", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu"} <= names
    assert "America/Toronto" not in names
    assert [found.key for found in zones_of("*in")] == ["Asia/Kolkata"]


def test_the_zones_that_a_pack_lists_take_the_place_of_tzdatas() -> None:
    assert [found.key for found in zones_of("*US-CA", ("America/Los_Angeles",))] == ["America/Los_Angeles"]


@pytest.mark.parametrize("place", ["*", "*XX", "*default", "Mars/Olympus"])
def test_nobody_can_tell_the_zone_of_an_unknown_country(place: str) -> None:
    assert zones_of(place) == ()


@pytest.mark.parametrize(
    ("jurisdiction", "names"),
    [
        ("US-GU", {"Pacific/Guam"}),
        ("us-pr", {"America/Puerto_Rico"}),
        ("US-AS", {"Pacific/Pago_Pago"}),
        ("FR-PF", {"Pacific/Tahiti", "Pacific/Marquesas", "Pacific/Gambier"}),
        ("FR-974", {"Indian/Reunion"}),
        ("NL-BQ1", {"America/Kralendijk"}),
    ],
)
def test_a_territory_has_the_zones_of_its_own_code_whatever_a_pack_lists_for_its_country(
    jurisdiction: str, names: set[str]
) -> None:
    assert {found.key for found in zones_of(label("", jurisdiction), ("America/New_York",))} == names


def test_every_territory_is_listed_by_tzdata() -> None:
    assert all(zones_of(label("", code)) for code in zone_module._TERRITORIES)


@given(st.sampled_from(sorted(zone_module._TERRITORIES)), st.dates(date(2026, 1, 1), date(2027, 12, 31)))
def test_where_a_territorys_zone_is_unknown_its_hours_are_kept_in_every_zone_that_it_has(code: str, day: date) -> None:
    hours = Hours(time(9), time(20))
    found = window(day, hours, zones_of(label("", code)))
    for name in zone_module._zones_by_country()[zone_module._TERRITORIES[code]]:
        if found is not None:
            assert found.start.astimezone(ZoneInfo(name)).time() in hours
            assert (found.end - timedelta(seconds=1)).astimezone(ZoneInfo(name)).time() in hours
