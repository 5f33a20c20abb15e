"""What a batch of changes becomes on the bus, and which change Lambda is told to bring again."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from predue.aws import clients, items
from predue.aws.bus import EventBus
from predue.aws.publishing import events_of, publish
from predue.errors import Unusable
from predue.record import Outcome, Record
from predue.stage import StageKey
from tests.aws.line import Line

AT = datetime(2026, 12, 2, 15, tzinfo=UTC)
RECORDED = Path(__file__).parents[1] / "events/publish_events.json"
PUT = "eventbridge.PutEvents"


def record(number: int, outcome: Outcome = "sent") -> Record:
    key = StageKey(f"loan-{number}", 1, date(2026, 12, 5), "T-3")
    return Record(f"r{number:031}", "b-1", AT, "2026-12-02T10:00:00-05:00", (key,), outcome, "no_answer", "sms")


def change(number: int, outcome: Outcome = "sent", before: Outcome | None = None) -> dict[str, Any]:
    new = items.wire(items.record_item(record(number, outcome)))
    images = {"NewImage": new, "Keys": {"pk": new["pk"], "sk": new["sk"]}, "SequenceNumber": str(number)}
    if before:
        images["OldImage"] = items.wire(items.record_item(record(number, before)))
    return {"eventName": "MODIFY" if before else "INSERT", "dynamodb": images}


def told(line: Line) -> list[str]:
    """The loans of every event that was put, in order."""
    return [
        json.loads(entry["Detail"])["dues"][0]["loan_id"] for request in line.of(PUT) for entry in request["Entries"]
    ]


def answer(*changes: dict[str, Any], left: Callable[[], int] = lambda: 30_000) -> list[str]:
    found = publish(changes, EventBus("predue"), left)
    return [one["itemIdentifier"] for one in found["batchItemFailures"]]


@pytest.fixture
def bus(line: Line) -> Line:
    clients.client("events").create_event_bus(Name="predue")
    return line


def test_ten_events_share_a_call_in_the_order_of_the_stream(bus: Line) -> None:
    assert answer(*map(change, range(23))) == []
    assert [len(request["Entries"]) for request in bus.of(PUT)] == [10, 10, 3]
    assert told(bus) == [f"loan-{number}" for number in range(23)]


def test_the_first_event_that_the_bus_did_not_take_is_named_and_nothing_after_its_call_is_told(bus: Line) -> None:
    failed = {"ErrorCode": "ThrottlingException"}
    bus.reply(PUT, {"FailedEntryCount": 2, "Entries": [{}, {}, failed, {}, failed, *[{}] * 5]})
    assert answer(*map(change, range(23))) == ["2"]
    assert len(bus.of(PUT)) == 1


def test_a_call_that_fails_is_told_again_whole(bus: Line) -> None:
    bus.say(PUT, "AccessDeniedException")
    assert answer(*map(change, range(12))) == ["0"]


def test_what_there_is_no_time_for_is_left_for_the_next_call(bus: Line) -> None:
    left = iter([30_000, 5_000])
    assert answer(*map(change, range(12)), left=lambda: next(left)) == ["10"]
    assert len(told(bus)) == 10


@pytest.mark.parametrize(
    "spoiled",
    [
        {"outcome": {"S": "lost"}},
        {"keys": {"L": [{"S": "x"}]}},
        {"at": {"S": "x"}},
        {"borrower_id": {"N": "1"}},
        {"sk": {"S": "S#1"}, "said": {"S": "["}},
        {"sk": {"S": "S#1"}, "said": {"S": '{"type": "borrower.opted_out"}'}},
        {"keys": {"L": []}},
    ],
)
def test_a_change_that_cannot_be_read_keeps_no_other_from_being_told(spoiled: dict[str, Any], bus: Line) -> None:
    poison = change(1)
    poison["dynamodb"]["NewImage"] |= spoiled
    with pytest.raises(Unusable):
        events_of(poison)
    assert answer(change(0), poison, change(2)) == []
    assert told(bus) == ["loan-0", "loan-2"]


@pytest.mark.parametrize(
    ("outcome", "before", "tells"),
    [
        ("sent", None, True),
        ("unknown", None, True),
        ("sent", "unknown", True),
        ("failed", "unknown", True),
        ("sent", "sent", False),
        ("unknown", "unknown", False),
    ],
)
def test_a_record_tells_when_its_outcome_is_new(outcome: Outcome, before: Outcome | None, tells: bool) -> None:  # noqa: FBT001 - a table
    assert bool(events_of(change(1, outcome, before))) is tells


@pytest.mark.parametrize("kind", ["borrower.opted_in", "borrower.updated"])
def test_consent_that_is_no_stop_tells_nothing(kind: str) -> None:
    stop = json.loads(RECORDED.read_text(encoding="utf-8"))["Records"][2]
    assert events_of(stop)
    stop["dynamodb"]["NewImage"]["said"]["S"] = stop["dynamodb"]["NewImage"]["said"]["S"].replace(
        "borrower.opted_out", kind
    )
    assert not events_of(stop)


def test_what_is_deleted_and_what_is_no_outcome_tells_nothing() -> None:
    deleted = change(1)
    del deleted["dynamodb"]["NewImage"]
    assert not events_of(deleted | {"eventName": "REMOVE"})
    ledger = change(1)
    ledger["dynamodb"]["NewImage"] |= {"pk": {"S": "B#b-1"}, "sk": {"S": "A#ledger"}}
    assert not events_of(ledger)
