from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.local.audit.days import Days, Whereabouts, first_instant
from infrastructure.local.audit.terms import PackTerm, Terms
from predue.domain.zone import label, zones_of

DAY = date(2026, 12, 10)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def slot_of(place: Whereabouts, terms: Terms | None = None, day: date = DAY) -> datetime:
    return Days(terms or Terms()).slot(place, day).at


@pytest.mark.parametrize(
    ("send_time", "at"),
    [
        (None, "10:00"),
        (time(12, 30), "12:30"),
        (time(12, 31), "12:45"),
        (time(6), "09:00"),
        (time(19, 45), "19:45"),
        (time(19, 46), "19:45"),
        (time(20), "19:45"),
        (time(23, 59), "19:45"),
    ],
)
def test_the_slot_is_the_send_time_rounded_up_and_moved_into_the_hours(send_time: time | None, at: str) -> None:
    assert slot_of(Whereabouts("America/New_York", "US", send_time)) == utc(f"2026-12-10T{at}:00-05:00")


def test_the_default_moves_into_the_hours_of_a_pack_too() -> None:
    narrow = Terms(packs=(PackTerm(("US",), date.min, date.max, (time(11), time(18, 50))),))

    assert slot_of(Whereabouts("America/New_York", "US-NY", None), narrow) == utc("2026-12-10T11:00:00-05:00")
    assert slot_of(Whereabouts("America/New_York", "US-NY", time(19)), narrow) == utc("2026-12-10T18:45:00-05:00")


def test_an_unknown_zone_takes_the_latest_slot_of_all_the_zones_of_its_country() -> None:
    # China has Shanghai (UTC+8) and Urumqi (UTC+6): the hours shared are 11:00 to 20:00 in Shanghai.
    assert slot_of(Whereabouts("", "CN", None)) == utc("2026-12-10T12:00:00+08:00")
    assert slot_of(Whereabouts("Not/A_Zone", "CN", time(9)), Terms()) == utc("2026-12-10T11:00:00+08:00")
    assert slot_of(Whereabouts("", "CN-31", time(19))) == utc("2026-12-10T19:45:00+08:00")


def test_a_jurisdiction_has_the_zones_that_the_rules_give_it() -> None:
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8").splitlines()
    countries = {line.split("\t")[0] for line in table if line and not line.startswith("#")}
    parts = "US-GU US-CA US-PR FR-RE FR-974 FR-976 FR-75C NL-CW NL-BQ2 CN-HK CN-31 FI-01 NO-21 NO-03 us-gu U.S ZZ"
    days = Days(Terms())
    for place in (*countries, *parts.split(), ""):
        found = {zone.key for zone in days.zones(Whereabouts("", place, None), DAY)}
        assert found == {zone.key for zone in zones_of(label("", place))}, place


def test_a_zone_and_a_jurisdiction_mean_what_they_mean_to_the_rules_however_they_are_written() -> None:
    days, names = Days(Terms()), (resources.files("tzdata") / "zones").read_text("utf-8").split()
    for place in ("US-NY", "us - ny", "GB", "CA-ON", "AU-QLD", "MA", "IN", "IS", "MX", "ID", "US-PR", ""):
        for name in (*names, " america/new york ", "Mars/Olympus"):
            found = {zone.key for zone in days.zones(Whereabouts(name, place, None), DAY)}
            assert found == {zone.key for zone in zones_of(label(name, place))}, (name, place)


def test_who_is_filed_under_a_winters_clock_may_be_anywhere_in_the_country() -> None:
    days = Days(Terms())
    for name in ("EST", "Etc/GMT+5", "UTC", "America/Panama"):
        zones = {zone.key for zone in days.zones(Whereabouts(name, "US-NY", None), DAY)}
        assert {"America/New_York", "Pacific/Honolulu"} < zones
        assert days.fault(Whereabouts(name, "US-NY", None), date(2026, 7, 10), utc("2026-07-10T20:45:00-04:00"))
    assert [zone.key for zone in days.zones(Whereabouts("MST", "MX-SON", None), DAY)] != ["MST"]
    assert [zone.key for zone in days.zones(Whereabouts("us/arizona", "us az", None), DAY)] == ["US/Arizona"]


def test_the_pack_of_a_jurisdiction_is_found_however_its_code_is_written() -> None:
    narrow = Terms(packs=(PackTerm(("US-NY",), date.min, date.max, (time(11), time(18, 50))),))

    assert narrow.pack(" us - ny", DAY) == narrow.packs[0]


def test_a_pack_may_name_the_zones_of_a_jurisdiction() -> None:
    terms = Terms(packs=(PackTerm(("US-CA",), date.min, date.max, (time(0), time(23)), (), ("America/Los_Angeles",)),))

    assert slot_of(Whereabouts("", "US-CA", None), terms) == utc("2026-12-10T10:00:00-08:00")


def test_zones_without_a_common_hour_and_unknown_countries_have_no_reachable_slot() -> None:
    days = Days(Terms(hours=(time(9), time(12))))

    assert not days.slot(Whereabouts("", "US", None), DAY).reachable
    assert not days.slot(Whereabouts("", "", None), DAY).reachable
    assert (
        days.fault(Whereabouts("", "ZZ", None), DAY, datetime(2026, 12, 10, 12, tzinfo=UTC))
        == "no possible zone is known"
    )


@pytest.mark.parametrize(
    ("zone", "day", "clock", "at"),
    [
        ("America/New_York", date(2026, 3, 8), time(2, 30), "2026-03-08T03:00:00-04:00"),
        ("America/New_York", date(2026, 11, 1), time(1, 30), "2026-11-01T01:30:00-04:00"),
        ("Africa/Cairo", date(2026, 4, 24), time(0), "2026-04-24T01:00:00+03:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), time(2, 15), "2026-10-04T02:30:00+11:00"),
    ],
)
def test_a_time_that_is_skipped_is_the_first_after_the_gap_and_one_that_comes_twice_the_first(
    zone: str, day: date, clock: time, at: str
) -> None:
    assert first_instant(day, clock, ZoneInfo(zone)) == utc(at)


def by_walking(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Walk minute by minute from the day before until the wall clock has reached the time."""
    moment = datetime.combine(day, time(), UTC) - timedelta(hours=15)
    wall = datetime.combine(day, clock)
    while moment.astimezone(zone).replace(tzinfo=None) < wall:
        moment += timedelta(minutes=1)
    return moment


@given(
    day=st.sampled_from(
        [date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 24), date(2026, 10, 4), date(2026, 4, 5), DAY]
    ),
    clock=st.times().map(lambda t: t.replace(second=0, microsecond=0, fold=0)),
    zone=st.sampled_from(
        ["America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "Antarctica/Troll"]
    ),
)
def test_the_first_instant_is_the_one_that_walking_finds(day: date, clock: time, zone: str) -> None:
    assert first_instant(day, clock, ZoneInfo(zone)) == by_walking(day, clock, ZoneInfo(zone))


@given(
    zone=st.sampled_from(["", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Nowhere"]),
    country=st.sampled_from(["US-CA", "CN", "NP", "FR", "AU"]),
    send_time=st.none() | st.times(),
    day=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
)
def test_every_reachable_slot_is_an_allowed_quarter_hour(
    zone: str, country: str, send_time: time | None, day: date
) -> None:
    days, place = Days(Terms()), Whereabouts(zone, country, send_time)
    slot = days.slot(place, day)

    if slot.reachable:
        assert days.fault(place, day, slot.at) is None
        assert slot.at.timestamp() % 900 == 0
