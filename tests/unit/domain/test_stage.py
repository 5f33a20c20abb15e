from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.domain.stage import Stage, StageKey


@pytest.mark.parametrize(("name", "offset"), [("T-7", -7), ("T-1", -1), ("T0", 0), ("T+1", 1), ("T+30", 30)])
def test_a_stage_is_a_day_relative_to_the_due_date(name: str, offset: int) -> None:
    stage = Stage.named(name)
    assert stage.offset == offset
    assert (stage.day(date(2026, 3, 1)) - date(2026, 3, 1)).days == offset


@pytest.mark.parametrize("name", ["", "T", "T-0", "T+0", "T-07", "t-7", "T3", "T-1000", "T-7 ", "T\u06607"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="form"):
        Stage.named(name)


def test_a_stage_without_channels_takes_any() -> None:
    assert Stage.named("T-3").takes("sms")
    assert not Stage.named("T-7", ("email",)).takes("sms")


keys = st.builds(
    StageKey,
    st.text(st.characters(blacklist_characters="#", blacklist_categories=("Cc", "Cs")), min_size=1),
    st.integers(1, 10**9),
    st.dates(date(1970, 2, 1), date(2999, 1, 1)),
    st.sampled_from(["T-7", "T0", "T+1"]),
)


@given(keys)
def test_a_key_reads_back_from_its_text(key: StageKey) -> None:
    assert StageKey.read(key.text()) == key


@given(keys, keys)
def test_two_keys_never_share_a_text(one: StageKey, other: StageKey) -> None:
    assert (one.text() == other.text()) == (one == other)


def test_the_due_date_is_part_of_the_key() -> None:
    one, moved = (StageKey("L-1", 1, date(2026, 6, day), "T-3").text() for day in (15, 16))
    assert one != moved


@pytest.mark.parametrize("text", ["", "L-1#1#2026-06-15", "L-1#x#2026-06-15#T0", "L-1#1#2026-13-15#T0"])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        StageKey.read(text)
