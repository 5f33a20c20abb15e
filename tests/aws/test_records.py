from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from predue.aws import clients
from predue.aws.plans import TablePlans
from predue.aws.table import Table
from predue.domain.record import Answer, Attempt, Record
from predue.domain.stage import StageKey
from predue.errors import LedgerMoved
from tests.aws.line import DAY, Line, Storage

NOW = datetime(2026, 12, 2, 15, 0, 0, 123000, tzinfo=UTC)
SENT = Record(
    "refrefrefrefrefrabc",
    "b-1",
    NOW,
    "2026-12-02T10:00:00-05:00",
    (StageKey("loan-1", 1, DAY, "T-3"), StageKey("loan-2", 4, DAY, "T-3")),
    "sent",
    "",
    channel="sms",
    policy="default@1",
    pack="default@2021-11-30",
    text="en-US/sms/before@1",
    provider_message_id="m-1",
    attempts=(Attempt(NOW, "email", Answer.read("refused_channel:X")), Attempt(NOW, "sms", Answer.read("accepted"))),
    inputs={"consent": ["sms"], "contacts_7_days": 2, "zones": ["America/New_York"]},
)
UNKNOWN = replace(SENT, outcome="unknown", reason="no_answer", provider_message_id="")


def unresolved(storage: Storage) -> list[str]:
    answer = clients.client("dynamodb").query(
        TableName=storage.table,
        IndexName="unresolved_index",
        KeyConditionExpression="unresolved = :unknown",
        ExpressionAttributeValues={":unknown": {"S": "unknown"}},
    )
    return [item["sk"]["S"] for item in answer["Items"]]


def test_a_record_is_read_back_as_it_was_written(table: Table) -> None:
    assert table.write_record(SENT)
    assert table.record(SENT.reminder_id) == SENT


def test_a_final_record_is_never_replaced(table: Table) -> None:
    table.write_record(SENT)
    assert not table.write_record(replace(SENT, outcome="expired", reason="hours_over"))
    assert not table.write_record(UNKNOWN)
    assert table.record(SENT.reminder_id) == SENT


def test_an_unknown_record_may_be_replaced_by_a_final_one(table: Table) -> None:
    assert table.write_record(UNKNOWN)
    assert table.write_record(SENT)
    assert table.record(SENT.reminder_id) == SENT


def test_an_unknown_record_stands_in_its_sparse_index_until_it_is_settled(table: Table, storage: Storage) -> None:
    table.write_record(replace(SENT, reminder_id="refrefrefrefrefrfinal"))
    table.write_record(UNKNOWN)
    assert unresolved(storage) == [f"R#{UNKNOWN.reminder_id}"]
    table.settle_record(replace(SENT, receipt="delivered"), UNKNOWN)
    assert unresolved(storage) == []


@pytest.mark.parametrize("before", [SENT, replace(SENT, receipt="accepted")])
def test_a_receipt_is_taken_in_when_the_record_stands_as_it_was_read(before: Record, table: Table) -> None:
    table.write_record(before)
    after = replace(before, receipt="delivered")
    table.settle_record(after, before)
    assert table.record(SENT.reminder_id) == after


CHANGES: list[Callable[[Record], Record]] = [
    lambda record: replace(record, receipt="delivered"),
    lambda record: replace(record, receipt="complained"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_of_two_receipts_over_the_same_read_the_second_must_read_again(
    change: Callable[[Record], Record], table: Table
) -> None:
    table.write_record(SENT)
    table.settle_record(replace(SENT, receipt="bounced"), SENT)
    with pytest.raises(LedgerMoved):
        table.settle_record(change(SENT), SENT)
    stored = table.record(SENT.reminder_id)
    assert stored is not None
    assert stored.receipt == "bounced"


def test_a_record_whose_outcome_changed_meanwhile_is_not_settled(table: Table) -> None:
    table.write_record(SENT)
    with pytest.raises(LedgerMoved):
        table.settle_record(replace(UNKNOWN, receipt="delivered"), UNKNOWN)


@pytest.mark.parametrize("before", [SENT, replace(SENT, receipt="accepted"), replace(SENT, provider_message_id="")])
def test_a_receipt_is_noted_unread_where_it_stands_above_the_one_before(before: Record, table: Table) -> None:
    table.write_record(before)
    assert table.raise_receipt(SENT.reminder_id, "delivered", "m-9", ["accepted", "delayed"])
    message_id = before.provider_message_id or "m-9"
    assert table.record(SENT.reminder_id) == replace(SENT, receipt="delivered", provider_message_id=message_id)


def test_the_lowest_receipt_is_noted_unread_only_where_there_is_none(table: Table) -> None:
    table.write_record(SENT)
    assert table.raise_receipt(SENT.reminder_id, "accepted", "m-9", [])
    assert not table.raise_receipt(SENT.reminder_id, "accepted", "m-9", [])


@pytest.mark.parametrize(
    "before", [None, UNKNOWN, replace(SENT, receipt="delivered"), replace(SENT, receipt="bounced")]
)
def test_a_receipt_is_not_noted_unread_on_no_record_an_unknown_one_or_a_higher_one(
    before: Record | None, table: Table
) -> None:
    if before:
        table.write_record(before)
    assert not table.raise_receipt(SENT.reminder_id, "delivered", "m-9", ["accepted", "delayed"])
    assert table.record(SENT.reminder_id) == before


def test_a_record_is_read_strongly_consistent(table: Table, line: Line) -> None:
    table.record("x")
    assert [request["ConsistentRead"] for request in line.of("dynamodb.GetItem")] == [True]


def test_which_records_exist_is_told_without_reading_them_whole(table: Table, plans: TablePlans, line: Line) -> None:
    table.write_record(SENT)
    asked = [SENT.reminder_id, "refrefrefrefrefrother", SENT.reminder_id]
    assert plans.recorded(asked) == {SENT.reminder_id}
    (request,) = line.of("dynamodb.BatchGetItem")
    (keys,) = request["RequestItems"].values()
    assert sorted(keys["ExpressionAttributeNames"].values()) == ["pk", "sk"]
    assert len(keys["Keys"]) == 2


def test_a_record_names_its_contact_point_by_no_more_than_what_the_rules_put_into_it(
    table: Table, storage: Storage
) -> None:
    table.write_record(SENT)
    item: dict[str, Any] = clients.client("dynamodb").scan(TableName=storage.table)["Items"][0]
    assert set(item) == {
        *("pk", "sk", "borrower_id", "at", "local_time", "keys", "outcome", "channel", "policy", "pack", "text"),
        *("provider_message_id", "attempts", "inputs"),
    }
