"""What is missed, deferred or broken on the way: it is caught up or set aside, and everything is checked again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from predue.aws import clients
from predue.domain.policy import Policy
from tests.flow.small import Book, Standing, standing, told, utc


def one() -> Book:
    return Book().borrower().installment()


def miss(stand: Standing, patch: pytest.MonkeyPatch, handler: str, first: Any, last: Any) -> None:
    """Have the schedule of a function fire into nothing from `first` until `last`."""
    invoke = stand.stack.invoke

    def sometimes(function: Any, event: Any) -> Any:
        if function.name.endswith(handler) and first <= stand.stack.clock() < last:
            return None
        return invoke(function, event)

    patch.setattr(stand.stack, "invoke", sometimes)


def test_missed_runs_of_the_planner_are_caught_up_the_same_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        miss(stand, monkeypatch, "plan-reminders", utc(10, 14, 40), utc(10, 16, 40))
        stand.until(utc(10, 17))
        assert told(stand.contacts) == {("T0", "sent", "")}
        assert [line["at"] for line in stand.wire] == ["2026-12-10T16:45:00Z"]


def test_a_planner_that_comes_back_after_the_hours_sends_nothing_and_the_stage_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        miss(stand, monkeypatch, "plan-reminders", utc(10, 14, 40), utc(11, 1, 5))
        stand.until(utc(11, 2))
        ((stage, outcome, _),) = told(stand.contacts)
        assert (stage, outcome) == ("T0", "expired")
        assert stand.wire == []


def test_a_planner_that_runs_twice_sends_once(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        planner = stand.stack.functions["predue-plan-reminders"]
        for minute in (0, 1, 14):
            stand.stack.at(utc(10, 15, minute), 2, lambda: stand.stack.invoke(planner, {}))
        stand.until(utc(10, 16))
        assert len(stand.wire) == len(stand.contacts) == 1


@pytest.mark.parametrize(("shards", "borrowers"), [(5, 8)])
def test_every_shard_is_planned_by_a_call_of_its_own(shards: int, borrowers: int, tmp_path: Path) -> None:
    book = Book()
    for number in range(borrowers):
        book.borrower(f"b-{number}", channels="email").installment(f"b-{number}")
    with standing(tmp_path, book, utc(10, 14, 50), Shards=shards) as stand:
        stand.until(utc(10, 15, 4))
        assert stand.stack.meter.invocations["predue-plan-reminders"] == shards
        assert {line["borrower_id"] for line in stand.contacts} == {f"b-{number}" for number in range(borrowers)}


ROLLING = Policy.model_validate({"caps": [{"count": 1, "per": "1 days"}], "stages": [{"name": "T-1"}, {"name": "T0"}]})


@pytest.mark.parametrize(("held_until", "later", "schedules"), [((15, 10), "15:15", 0), ((15, 20), "15:30", 1)])
def test_a_cap_that_frees_later_today_puts_the_job_off_until_then(
    held_until: tuple[int, int], later: str, schedules: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifteen minutes fit into the queue; longer needs a one-off schedule."""
    with standing(tmp_path, one(), utc(9, 14, 30), policy=ROLLING) as stand:
        stand.switch(utc(9, 14, 50), "all")
        stand.switch(utc(9, *held_until))
        stand.until(utc(9, 16))
        # Nothing can be due in the night.
        for name in ("plan-reminders", "close-day"):
            miss(stand, monkeypatch, name, utc(9, 16), utc(10, 14, 40))
        before = stand.stack.meter.calls["scheduler.CreateSchedule"]
        stand.until(utc(10, 16))
        assert [line["at"] for line in stand.wire] == [f"2026-12-{day}T{later}:00Z" for day in ("09", "10")]
        assert stand.stack.meter.calls["scheduler.CreateSchedule"] - before == schedules
        assert told(stand.contacts) == {("T-1", "sent", ""), ("T0", "sent", "")}


@pytest.fixture
def broken_texts() -> Iterator[pytest.MonkeyPatch]:
    """A defect in our own code that lasts until it is mended by `undo`."""

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("predue.reminders.deliver.render", broken)
        yield patch


def redrive(stand: Standing) -> None:
    """Move what lies in the SMS dead letters back to its queue, as an operator does."""
    sqs = clients.client("sqs")
    urls = {url.rpartition("/")[2]: url for url in stand.stack.queue_arns.values()}
    messages = sqs.receive_message(QueueUrl=urls["predue-sms-dead-letters"], MaxNumberOfMessages=10).get("Messages", [])
    assert messages
    for message in messages:
        sqs.send_message(QueueUrl=urls["predue-sms"], MessageBody=message["Body"])


def test_a_job_that_keeps_failing_becomes_a_dead_letter_after_five_receives(
    tmp_path: Path, broken_texts: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing(tmp_path, one(), utc(10, 14, 50)) as stand:
        miss(stand, monkeypatch, "plan-reminders", utc(10, 15, 1), utc(10, 18))
        stand.until(utc(10, 15, 11))
        assert stand.stack.dead_letters() == {}
        stand.until(utc(10, 15, 14))
        assert stand.stack.dead_letters() == {"predue-sms-dead-letters": 1}
        assert stand.stack.meter.invocations["predue-deliver-sms"] == 5
        assert stand.contacts == stand.wire == []
        broken_texts.undo()
        stand.stack.at(utc(10, 15, 30), 2, lambda: redrive(stand))
        stand.until(utc(10, 15, 40))
        assert told(stand.contacts) == {("T0", "sent", "")}


def test_a_dead_letter_that_is_redriven_finds_the_world_as_it_is_now(
    tmp_path: Path, broken_texts: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing(tmp_path, one().paid(utc(10, 15, 20)), utc(10, 14, 50)) as stand:
        miss(stand, monkeypatch, "plan-reminders", utc(10, 15, 1), utc(10, 18))
        stand.until(utc(10, 15, 14))
        broken_texts.undo()
        stand.stack.at(utc(10, 15, 30), 2, lambda: redrive(stand))
        stand.until(utc(10, 15, 40))
        assert told(stand.contacts) == {("T0", "suppressed", "paid")}
        assert stand.wire == []


@pytest.mark.parametrize("value", ["off", '{"paused": ["everything"]}'])
def test_a_kill_switch_that_cannot_be_read_sends_nothing_until_it_can(value: str, tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 50)) as stand:
        stand.put(utc(10, 14, 55), "SWITCH_PARAMETER", value)
        stand.switch(utc(10, 15, 40))
        stand.until(utc(10, 15, 40))
        assert stand.contacts == stand.wire == []
        assert any("FailedClosed" in line for line in stand.log)
        stand.until(utc(10, 16, 10))
        assert told(stand.contacts) == {("T0", "sent", "")}
