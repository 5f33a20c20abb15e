"""Each fault does to a call, or to a function, what it says: a chaos that only counts would prove nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.local.chaos.faults import Chaos, Rates, RunningFunction, no_waiting
from predue.aws.clients import client
from tests.flow.small import DUE, Book, Line, Standing, standing, utc

ONE = Book().borrower()
NONE = dict.fromkeys(Rates.__slots__, 0.0)
START, SLOT = utc(10, 14, 50), utc(10, 15)


@contextmanager
def under(folder: Path, book: Book = ONE, **rates: float) -> Iterator[tuple[Standing, Chaos]]:
    """A stack on which only these faults strike, once `rates` are in force: from its start on."""
    chaos = Chaos(1, Rates(**NONE))
    with no_waiting(), standing(folder, book, START, chaos=chaos) as stand:
        chaos.rates = Rates(**(NONE | rates))
        yield stand, chaos


class Item:
    """One item of the table, written as a handler writes and read from outside of any."""

    def __init__(self, stand: Standing, chaos: Chaos, name: str = "x") -> None:
        self.table, self.chaos = stand.environment["TABLE_NAME"], chaos
        self.key = {"pk": {"S": name}, "sk": {"S": name}}

    def write(self, value: str) -> None:
        with self.chaos.around(RunningFunction()):
            client("dynamodb").put_item(TableName=self.table, Item={**self.key, "value": {"S": value}})

    def stored(self) -> str | None:
        found = client("dynamodb").get_item(TableName=self.table, Key=self.key, ConsistentRead=True).get("Item")
        return None if found is None else str(found["value"]["S"])

    def read(self, *, consistent: bool) -> str | None:
        wanted = {self.table: {"Keys": [self.key], "ConsistentRead": consistent}}
        with self.chaos.around(RunningFunction()):
            found = client("dynamodb").batch_get_item(RequestItems=wanted)["Responses"][self.table]
        return str(found[0]["value"]["S"]) if found else None


@pytest.mark.parametrize(
    ("fault", "stored"), [("throttled", None), ("failed", None), ("failed_after", "new"), ("lost_answer", "new")]
)
def test_a_call_that_fails_took_effect_or_not_as_the_fault_says(fault: str, stored: str | None, tmp_path: Path) -> None:
    with under(tmp_path, ONE, **{fault: 1.0}) as (stand, chaos):
        item = Item(stand, chaos)
        with pytest.raises((ClientError, BotoCoreError)):
            item.write("new")
        assert item.stored() == stored
        assert chaos.counted[fault] == 4  # the SDK tries four times


def test_a_service_that_is_away_does_nothing_until_it_is_back(tmp_path: Path) -> None:
    with under(tmp_path) as (stand, chaos):
        chaos._away["dynamodb"] = START + timedelta(minutes=5)
        item = Item(stand, chaos)
        with pytest.raises(ClientError):
            item.write("new")
        assert item.stored() is None
        stand.until(START + timedelta(minutes=5))
        item.write("new")
        assert item.stored() == "new"


def test_a_stale_read_misses_what_was_written_within_a_minute_and_a_consistent_one_misses_nothing(
    tmp_path: Path,
) -> None:
    with under(tmp_path, stale_read=1.0) as (stand, chaos):
        item = Item(stand, chaos)
        item.write("old")
        stand.until(START + timedelta(seconds=61))
        item.write("new")
        assert {item.read(consistent=False) for _ in range(20)} == {"old", "new"}
        assert {item.read(consistent=True) for _ in range(20)} == {"new"}
        assert item.stored() == "new"
        stand.until(START + timedelta(seconds=130))
        assert {item.read(consistent=False) for _ in range(20)} == {"new"}


def test_of_a_batch_in_part_what_is_told_as_failed_is_not_queued(tmp_path: Path) -> None:
    with under(tmp_path, answered_in_part=1.0) as (stand, chaos):
        url = stand.environment["EMAIL_QUEUE_URL"]
        entries = [{"Id": str(number), "MessageBody": "{}"} for number in range(10)]
        with chaos.around(RunningFunction()):
            said = client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        count = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        failed = [one["Id"] for one in said["Failed"]]
        assert 0 < len(failed) < 10
        assert int(count["Attributes"]["ApproximateNumberOfMessages"]) == 10 - len(failed)


def test_of_a_batch_read_in_part_every_key_is_read_or_left_over(tmp_path: Path) -> None:
    with under(tmp_path, answered_in_part=1.0) as (stand, chaos):
        found = [Item(stand, chaos, name) for name in "abcdefgh"]
        for item in found:
            item.write(item.key["pk"]["S"])
        table = found[0].table
        with chaos.around(RunningFunction()):
            said = client("dynamodb").batch_get_item(RequestItems={table: {"Keys": [item.key for item in found]}})
        read = {item["value"]["S"] for item in said["Responses"][table]}
        left = {key["pk"]["S"] for key in said["UnprocessedKeys"][table]["Keys"]}
        assert read
        assert left
        assert sorted([*read, *left]) == list("abcdefgh")


def test_an_event_that_the_bus_did_not_take_was_not_emitted(tmp_path: Path) -> None:
    with under(tmp_path, answered_in_part=1.0) as (stand, chaos), chaos.around(RunningFunction()):
        entry = {"Source": "predue", "DetailType": "x", "Detail": "{}", "EventBusName": stand.environment["BUS_NAME"]}
        assert client("events").put_events(Entries=[entry])["FailedEntryCount"] == 1
        assert stand.stack.handed_over == []


def test_a_short_page_tells_where_to_go_on(tmp_path: Path) -> None:
    book = Book().borrower()
    for _ in range(5):
        book.installment()
    with under(tmp_path, book, short_page=1.0) as (stand, chaos), chaos.around(RunningFunction()):
        names = {":pk": {"S": "B#b-1"}}
        given = {"TableName": stand.environment["TABLE_NAME"], "KeyConditionExpression": "pk = :pk"}
        page = client("dynamodb").query(**given, ExpressionAttributeValues=names)
        assert page["Count"] <= 3
        assert page["LastEvaluatedKey"]


@pytest.mark.parametrize(
    ("fault", "wire", "outcome"),
    [
        ("provider_unheard", 1, "unknown"),
        ("provider_failed_after", 1, "unknown"),
        ("provider_timeout", 0, "unknown"),
        ("provider_failed", 0, "unknown"),
    ],
)
def test_a_provider_that_is_not_heard_is_called_once_and_its_outcome_stays_open(
    fault: str, wire: int, outcome: str, tmp_path: Path
) -> None:
    with under(tmp_path, Book().borrower(channels="email").installment(), **{fault: 1.0}) as (stand, chaos):
        stand.until(SLOT + timedelta(seconds=1))
        assert [line["outcome"] for line in stand.contacts] == [outcome]
        assert len(stand.wire) == wire
        assert chaos.counted[fault] == 1


def test_a_busy_provider_is_asked_again_and_the_reminder_expires_if_it_stays_busy(tmp_path: Path) -> None:
    with under(tmp_path, Book().borrower(channels="email").installment(), provider_busy=1.0) as (stand, chaos):
        stand.until(utc(11, 3))
        assert [line["outcome"] for line in stand.contacts] == ["expired"]
        assert stand.wire == []
        assert chaos.counted["provider_busy"] > 3


def once(chaos: Chaos, applies: Callable[[frozenset[str]], bool], seconds: float) -> None:
    """Let time pass once, at the next call of a function that `applies`; told by the names that its jobs are about."""
    left = [seconds]

    def happen(about: frozenset[str]) -> bool:
        if not left or not applies(about):
            return False
        chaos.pass_time(timedelta(seconds=left.pop()))
        return True

    chaos.happenings = {"planned_between": happen}
    chaos.rates = Rates(**(NONE | {"planned_between": 1.0}))


def said(stand: Standing, message: str) -> list[Line]:
    return [line for line in stand.log if line.get("message") == message]


def test_a_planner_that_runs_out_of_time_saves_its_position_and_goes_on(tmp_path: Path) -> None:
    with under(tmp_path, Book().borrower().installment()) as (stand, chaos):
        once(chaos, lambda about: not about and stand.stack.clock() >= SLOT, 290)
        stand.until(SLOT + timedelta(minutes=6))
        finished = [line["finished"] for line in said(stand, "planned") if line["queued"] or not line["finished"]]
        assert finished == [False, True]
        assert [line["answer"] for line in stand.wire] == ["accepted"]


def test_a_closing_run_that_runs_out_of_time_goes_on_and_every_stage_has_its_outcome(tmp_path: Path) -> None:
    book = Book().borrower().installment()
    with under(tmp_path, book) as (stand, chaos):
        stand.switch(START, "all")
        first_close = utc(11, 1, 16)  # the planner's run of the quarter hour is past
        once(chaos, lambda about: not about and stand.stack.clock() >= first_close, 290)
        stand.until(utc(11, 2))
        assert False in [line["finished"] for line in said(stand, "closed")]
        assert [line["outcome"] for line in stand.contacts] == ["expired"]


def test_a_deliver_function_that_runs_out_of_time_leaves_the_rest_to_the_queue(tmp_path: Path) -> None:
    due = DUE + timedelta(days=3)  # of yesterday's stages, which the first run covers too, it has none
    book = Book().borrower("b-1").borrower("b-2").installment("b-1", due).installment("b-2", due)
    with under(tmp_path, book) as (stand, chaos):
        once(chaos, bool, 20)
        stand.until(SLOT + timedelta(minutes=10))
        reasons = [line["error"] for line in said(stand, "a job failed")]
        assert reasons == ["OutOfTime"]
        times = [line["at"] for line in stand.wire]
        assert len(times) == 2
        assert times[1] > "2026-12-10T15:01:15"


def test_a_function_that_is_over_its_time_is_killed_and_its_reminder_goes_out_once(tmp_path: Path) -> None:
    with under(tmp_path, Book().borrower().installment()) as (stand, chaos):
        once(chaos, bool, 31)
        stand.until(SLOT + timedelta(minutes=10))
        assert chaos.counted["timed_out"] == 1
        assert [line["error"] for line in said(stand, "a function failed")] == ["Killed"]
        assert [line["answer"] for line in stand.wire] == ["accepted"]


def test_a_call_of_the_stack_itself_meets_no_fault(tmp_path: Path) -> None:
    with under(tmp_path, throttled=1.0) as (stand, chaos):
        body: dict[str, Any] = {"no": "job"}
        client("sqs").send_message(QueueUrl=stand.environment["EMAIL_QUEUE_URL"], MessageBody=json.dumps(body))
        assert chaos.counted.total() == 0
