from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.domain import zone as zone_module
from predue.domain.slot import Hours, window
from predue.domain.zone import label, zone, zones_of


@pytest.mark.parametrize(
    "name", ["", "America", "Mars/Olympus", "../../etc/passwd", "America/New York", "x" * 300, "posixrules"]
)
def test_what_is_no_iana_zone_is_none(name: str) -> None:
    assert zone(name) is None


def test_a_known_zone_stands_for_itself() -> None:
    assert label("Asia/Kolkata", "US") == "Asia/Kolkata"
    assert zones_of("Asia/Kolkata") == (ZoneInfo("Asia/Kolkata"),)


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
