from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from predue.domain.due import Change, Due
from predue.domain.ledger import Mark
from predue.domain.money import Money
from predue.domain.stage import Stage

AT = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DUE = Due("b-1", "L-1", 1, date(2026, 6, 15), 10000, "USD", 3, (Change(AT, open=True),))


def test_what_is_owed_is_never_negative() -> None:
    assert DUE.outstanding == 10000
    assert replace(DUE, payments={"a": 4000, "b": -1000}).outstanding == 7000
    assert replace(DUE, payments={"a": 15000}).owed == Money(0, "USD")


def test_a_payment_that_was_taken_back_and_never_told_makes_no_more_owed_than_the_installment() -> None:
    back = replace(DUE, payments={"back": -10000})
    assert (back.outstanding, back.missing) == (10000, 20000)
    assert replace(back, payments={"back": -10000, "first": 10000}).outstanding == 10000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"payments": {"a": 9999}}, None),
        ({"payments": {"a": 10000}}, "paid"),
        ({"cancelled": True, "payments": {"a": 10000}}, "cancelled"),
        ({"moved_to": date(2026, 7, 1), "cancelled": True}, "rescheduled"),
        ({"disputes": {"core": Mark(1, on=True)}}, None),
    ],
)
def test_an_installment_is_closed_by_a_move_a_cancellation_or_its_payment(
    fields: dict[str, Any], reason: str | None
) -> None:
    assert replace(DUE, **fields).closed_by == reason


def test_events_of_the_very_instant_counts() -> None:
    assert not DUE.open_at(AT - timedelta(milliseconds=1))
    assert DUE.open_at(AT)
    closed = replace(DUE, cancelled=True).noted(AT + HOUR)
    assert closed.open_at(AT + HOUR - timedelta(milliseconds=1))
    assert not closed.open_at(AT + HOUR)


def test_only_what_changes_is_noted() -> None:
    assert DUE.noted(AT + HOUR) is DUE
    closed = replace(DUE, cancelled=True).noted(AT + HOUR)
    assert closed.changes == (Change(AT, open=True), Change(AT + HOUR, open=False))
    assert closed.noted(AT + 2 * HOUR) is closed


def test_the_window_ends_with_the_grace() -> None:
    assert DUE.last_day == date(2026, 6, 18)
    assert DUE.has_stage(Stage.named("T+3"))
    assert not DUE.has_stage(Stage.named("T+4"))


def test_a_key_names_the_installment_its_due_date_and_the_stage() -> None:
    assert DUE.key("T-3") == DUE.key(Stage.named("T-3")) == ("L-1", 1, date(2026, 6, 15), "T-3")
