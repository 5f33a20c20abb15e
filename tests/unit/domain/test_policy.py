from datetime import date, time, timedelta

import pytest

from predue.domain.policy import (
    Cap,
    HoursSetting,
    Pack,
    Policy,
    Rulebook,
    Rules,
    StageSetting,
    pack_for,
    packs,
    read_policy,
)
from predue.domain.slot import Hours
from predue.errors import BadPolicy

DAY = date(2026, 6, 15)


def pack(name: str = "default", **fields: object) -> Pack:
    usual = {"id": name, "jurisdictions": [name], "effective_from": "2020-01-01", "source": "a test"}
    return Pack.model_validate({**usual, **fields})


def test_an_empty_policy_is_the_default_one() -> None:
    assert read_policy("") == read_policy("{}") == Policy()
    assert [stage.name for stage in Policy().stages] == ["T-7", "T-3", "T-1", "T0", "T+1"]
    assert [cap.name for cap in Policy().caps] == ["cap_day", "cap_7_days", "cap_30_days", "cap_sms_7_days"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("shadwo = true", "shadwo"),
        ("[hours]\nstrat = '09:00'", "hours.strat"),
        ("[[caps]]\ncount = 1\nper = '7 days'\nchanel = 'sms'", "caps.0.chanel"),
        ("[[caps]]\ncount = -1\nper = 'day'", "caps.0.count"),
        ("[[caps]]\ncount = 1\nper = '31 days'", "caps.0.per"),
        ("[[caps]]\ncount = 1\nper = '7 days'\nchannel = 'fax'", "caps.0.channel"),
        ("[[stages]]\nname = 'T3'", "stages.0.name"),
        ("[[stages]]\nname = 'T-3'\n[[stages]]\nname = 'T-3'", "twice"),
        ("[hours]\nstart = '20:00'\nend = '09:00'", "before they end"),
        ("[hours]\nstart = '09:00'\nend = '09:00'", "before they end"),
        ("default_time = '25:00'", "default_time"),
        ("version = 'a b'", "version"),
        ('{"shadow": "perhaps"}', "shadow"),
        ("no toml", "neither"),
        ("{no json", "neither"),
    ],
)
def test_a_wrong_policy_is_refused_and_the_wrong_key_named(text: str, names: str) -> None:
    with pytest.raises(BadPolicy, match=names):
        read_policy(text)


def test_the_label_changes_with_any_setting_but_the_version() -> None:
    one, other = read_policy("version = 'a'"), read_policy("version = 'a'\nshadow = true")
    assert one.label.startswith("a@")
    assert one.label != other.label
    assert read_policy("version = 'b'").label.partition("@")[2] == one.label.partition("@")[2]


def test_the_stricter_hours_win_at_either_end() -> None:
    late = pack(hours={"start": "10:00", "end": "21:00"})
    early = pack(hours={"start": "08:00", "end": "19:00"})
    assert Rules(Policy(), late).hours == Hours(time(10), time(20))
    assert Rules(Policy(), early).hours == Hours(time(9), time(19))


def test_hours_that_policy_and_pack_do_not_share_are_refused() -> None:
    with pytest.raises(BadPolicy, match="no allowed hour"):
        _ = Rules(Policy(hours=HoursSetting(start=time(9), end=time(10))), pack(hours={"start": "10:00"})).hours


def test_the_caps_of_policy_and_pack_both_hold() -> None:
    rules = Rules(Policy(), pack(caps=[{"count": 2, "per": "7 days"}, {"count": 1, "per": "day"}]))
    assert set(rules.caps) == {*Policy().caps, Cap(count=2, per="7 days")}


def test_a_jurisdiction_has_its_own_pack_else_its_countrys_else_the_default() -> None:
    known = [pack(), pack("US"), pack("US-NY")]
    found = [pack_for(name, DAY, known).id for name in ("US-NY", "US-CA", "US", "IN", "", "us", " us - ca ")]
    assert found == ["US-NY", "US", "US", "default", "default", "US", "US"]


def test_a_pack_holds_between_its_dates_both_inclusive() -> None:
    old = pack(effective_to="2026-06-15")
    new = pack(effective_from="2026-06-16")
    assert pack_for("US", DAY, [old, new]) == old
    assert pack_for("US", DAY + timedelta(days=1), [old, new]) == new


def test_without_a_pack_in_force_nothing_is_decided() -> None:
    with pytest.raises(BadPolicy, match="no pack"):
        pack_for("US", DAY, [pack("IN")])


def test_every_pack_that_ships_leaves_the_default_policy_an_hour_and_names_its_source() -> None:
    for shipped in packs():
        assert shipped.source
        assert Rules(Policy(), shipped).hours.start < Rules(Policy(), shipped).hours.end


def test_the_bounds_of_the_planned_days_are_inclusive() -> None:
    policy = Policy(first_day=DAY, last_day=DAY)
    assert policy.allows(DAY)
    assert not policy.allows(DAY - timedelta(days=1))
    assert not policy.allows(DAY + timedelta(days=1))


def test_a_stage_may_be_bound_to_channels() -> None:
    rules = Rulebook(Policy(stages=(StageSetting(name="T-2", channels=("email",)),))).rules("US", DAY)
    assert rules.stages["T-2"].takes("email")
    assert not rules.stages["T-2"].takes("sms")
