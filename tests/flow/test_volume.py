"""An import that makes everything due at once, on the stack."""

from datetime import timedelta
from pathlib import Path

import pytest

from predue.domain.policy import Policy
from predue.reminders import slot_sweep
from tests.flow.published import counted
from tests.flow.small import Book, standing, told, utc

SLOT = utc(10, 15)
"""Ten o'clock in New York on the due date."""


def crowd(size: int = 7) -> Book:
    book = Book()
    for number in range(size):
        book.borrower(f"b-{number}").installment(f"b-{number}")
    return book


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_sweep, "PAGE", 2)


def test_what_goes_beyond_the_days_volume_is_held_alarmed_and_gets_its_outcome(tmp_path: Path) -> None:
    with standing(tmp_path, crowd(), utc(10, 14, 30), policy=Policy(max_reminders_per_day=4)) as stand:
        stand.until(SLOT + timedelta(minutes=40))
        assert len(stand.wire) == 4
        assert counted(stand, "VolumeHeld") == 3
        stand.until(utc(11, 2))
        assert len(stand.wire) == 4
        assert told(stand.contacts) == {("T0", "sent", ""), ("T0", "expired", "no_run")}
        assert sorted(one["outcome"] for one in stand.contacts) == ["expired"] * 3 + ["sent"] * 4
        stand.until(utc(11, 15, 5))
        held = counted(stand, "VolumeHeld")
        stand.until(utc(11, 17))
        assert counted(stand, "VolumeHeld") == held


def test_who_raises_the_limit_in_time_loses_nothing(tmp_path: Path) -> None:
    with standing(tmp_path, crowd(), utc(10, 14, 30), policy=Policy(max_reminders_per_day=4)) as stand:
        stand.put(utc(10, 17), "POLICY_PARAMETER", Policy(max_reminders_per_day=100).model_dump_json())
        stand.until(utc(10, 18))
        assert told(stand.contacts) == {("T0", "sent", "")}
        assert len(stand.wire) == len(stand.contacts) == 7
