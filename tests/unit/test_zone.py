from zoneinfo import ZoneInfo

import pytest

from predue.zone import label, zone, zones_of


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
