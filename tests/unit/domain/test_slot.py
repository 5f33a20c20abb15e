from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predue.domain.slot import Hours, day_over, instant_of, reference_slot, slot_of, window
from predue.domain.zone import zones_of

HOURS = Hours(time(9), time(20))
NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
DAY = date(2026, 6, 15)
ALL_ZONES = sorted(name for name in available_timezones() if "/" in name)


def wall(moment: datetime | None, zone: ZoneInfo = NEW_YORK) -> str:
    assert moment is not None
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("send_time", "slot"),
    [
        (time(10), "10:00"),
        (time(10, 1), "10:15"),
        (time(10, 15), "10:15"),
        (time(10, 15, 1), "10:30"),
        (time(9), "09:00"),
        (time(8, 59), "09:00"),
        (time(8), "09:00"),
        (time(0), "09:00"),
        (time(19, 45), "19:45"),
        (time(19, 46), "19:45"),
        (time(20), "19:45"),
        (time(23, 59), "19:45"),
    ],
)
def test_a_send_time_is_rounded_up_to_a_quarter_hour_and_brought_inside_the_hours(send_time: time, slot: str) -> None:
    assert wall(slot_of(DAY, send_time, HOURS, [NEW_YORK])) == f"2026-06-15 {slot}"


@pytest.mark.parametrize(
    ("day", "at", "name", "utc"),
    [
        # Clocks skip from 00:00 to 01:00.
        (date(2026, 4, 24), time(0), "Africa/Cairo", "2026-04-23 22:00"),
        (date(2026, 4, 24), time(0, 30), "Africa/Cairo", "2026-04-23 22:00"),
        # Clocks skip from 02:00 to 03:00.
        (date(2026, 3, 8), time(1, 45), "America/New_York", "2026-03-08 06:45"),
        (date(2026, 3, 8), time(2), "America/New_York", "2026-03-08 07:00"),
        (date(2026, 3, 8), time(2, 45), "America/New_York", "2026-03-08 07:00"),
        (date(2026, 3, 8), time(3), "America/New_York", "2026-03-08 07:00"),
        # Clocks go back from 02:00 to 01:00: the first of the two counts.
        (date(2026, 11, 1), time(1, 30), "America/New_York", "2026-11-01 05:30"),
        (date(2026, 11, 1), time(2), "America/New_York", "2026-11-01 07:00"),
        # Half an hour is skipped.
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", "2026-10-03 15:30"),
        # Zones of 30 and 45 minutes.
        (DAY, time(10), "Asia/Kolkata", "2026-06-15 04:30"),
        (DAY, time(10), "Asia/Kathmandu", "2026-06-15 04:15"),
        (DAY, time(10), "Australia/Eucla", "2026-06-15 01:15"),
        (DAY, time(10), "Pacific/Kiritimati", "2026-06-14 20:00"),
        # The whole of 2011-12-30 was skipped.
        (date(2011, 12, 30), time(10), "Pacific/Apia", "2011-12-30 10:00"),
    ],
)
def test_a_wall_time_is_its_first_instant_or_the_first_minute_after_a_gap(
    day: date, at: time, name: str, utc: str
) -> None:
    assert wall(instant_of(day, at, ZoneInfo(name)), ZoneInfo("UTC")) == utc


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1), DAY])
def test_a_day_on_which_clocks_change_keeps_its_wall_clock_hours(day: date) -> None:
    found = window(day, HOURS, [NEW_YORK])
    assert found is not None
    assert (wall(found.start), wall(found.end)) == (f"{day} 09:00", f"{day} 20:00")
    assert day_over(day, HOURS, [NEW_YORK]) == found.end


def test_the_last_slot_of_a_day_without_quiet_hours_is_its_last_quarter() -> None:
    assert wall(slot_of(DAY, time(23, 50), Hours(time(0), time(23, 59)), [NEW_YORK])) == "2026-06-15 23:45"


@pytest.mark.parametrize(("end", "slot"), [(time(20), "09:15"), (time(9, 14), "09:10")])
def test_an_early_wish_in_hours_that_begin_between_quarters_is_their_first_quarter_or_start(
    end: time, slot: str
) -> None:
    assert wall(slot_of(DAY, time(8), Hours(time(9, 10), end), [NEW_YORK])) == f"2026-06-15 {slot}"


def test_hours_include_their_start_and_not_their_end() -> None:
    assert time(9) in HOURS
    assert time(19, 59, 59) in HOURS
    assert time(20) not in HOURS
    assert time(8, 59, 59) not in HOURS


def test_narrowed_hours_are_what_both_allow() -> None:
    assert HOURS.narrowed(Hours(time(8), time(19))) == Hours(time(9), time(19))
    assert str(HOURS) == "09:00-20:00"


def test_several_zones_share_only_the_hours_that_all_of_them_allow() -> None:
    found = window(DAY, HOURS, [NEW_YORK, LOS_ANGELES])
    assert found is not None
    assert (wall(found.start), wall(found.end)) == ("2026-06-15 12:00", "2026-06-15 20:00")


def test_the_send_time_counts_in_the_zone_that_reaches_it_last() -> None:
    zones = [NEW_YORK, LOS_ANGELES]
    assert wall(slot_of(DAY, time(10), HOURS, zones), LOS_ANGELES) == "2026-06-15 10:00"
    assert wall(slot_of(DAY, time(6), HOURS, zones), LOS_ANGELES) == "2026-06-15 09:00"
    assert wall(slot_of(DAY, time(19), HOURS, zones), LOS_ANGELES) == "2026-06-15 16:45"


def test_zones_without_a_common_hour_have_no_slot_but_still_a_time_to_look() -> None:
    far = ZoneInfo("Pacific/Midway"), ZoneInfo("Pacific/Wake")
    assert window(DAY, HOURS, far) is None
    assert slot_of(DAY, time(10), HOURS, far) is None
    assert wall(reference_slot(DAY, time(10), HOURS, far), far[0]) == "2026-06-15 10:00"
    assert wall(day_over(DAY, HOURS, far), far[0]) == "2026-06-15 20:00"


def test_no_zone_at_all_has_no_slot_and_is_looked_at_in_utc() -> None:
    assert window(DAY, HOURS, []) is None
    assert slot_of(DAY, time(10), HOURS, []) is None
    assert reference_slot(DAY, time(10), HOURS, ()) == datetime(2026, 6, 15, 10, tzinfo=UTC)
    assert day_over(DAY, HOURS, []) == datetime(2026, 6, 15, 20, tzinfo=UTC)


days = st.dates(date(2024, 1, 1), date(2030, 12, 31))
quarters = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
some_hours = st.tuples(quarters, quarters).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Hours(*pair))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    day=days,
    send_time=st.times(),
    hours=st.one_of(st.just(HOURS), some_hours),
    names=st.lists(st.sampled_from(ALL_ZONES), min_size=1, max_size=4),
)
def test_a_slot_lies_on_its_day_and_inside_the_hours_of_every_zone(
    day: date, send_time: time, hours: Hours, names: list[str]
) -> None:
    zones = [ZoneInfo(name) for name in names]
    slot = slot_of(day, send_time, hours, zones)
    if slot is None:
        assert window(day, hours, zones) is None
        return
    for zone in zones:
        local = slot.astimezone(zone)
        assert local.date() == day
        assert local.time() in hours


@settings(max_examples=300, deadline=None, derandomize=True)
@given(day=days, send_time=st.times(), name=st.sampled_from(ALL_ZONES))
def test_with_one_zone_there_is_a_slot_every_day_and_it_falls_on_a_quarter_hour(
    day: date, send_time: time, name: str
) -> None:
    slot = slot_of(day, send_time, HOURS, [ZoneInfo(name)])
    assert slot is not None
    local = slot.astimezone(ZoneInfo(name))
    assert (local.minute % 15, local.second) == (0, 0)
    assert reference_slot(day, send_time, HOURS, (ZoneInfo(name),)) == slot
    assert slot < day_over(day, HOURS, [ZoneInfo(name)])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(day=days, at=st.times(), name=st.sampled_from(ALL_ZONES))
def test_no_earlier_minute_reaches_the_wall_time_first(day: date, at: time, name: str) -> None:
    zone, naive = ZoneInfo(name), datetime.combine(day, at.replace(second=0, microsecond=0))
    moment = instant_of(day, naive.time(), zone)
    assert moment.astimezone(zone).replace(tzinfo=None) >= naive
    assert (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None) < naive


def test_an_unknown_zone_stands_for_all_of_its_country() -> None:
    zones = zones_of("*US-CA")
    slot = slot_of(DAY, time(10), HOURS, zones)
    assert slot is not None
    assert wall(slot, ZoneInfo("Pacific/Honolulu")) == "2026-06-15 10:00"
    assert all(slot.astimezone(zone).time() in HOURS for zone in zones)
