"""What a batch of changes becomes on the bus, and which change Lambda is told to bring again."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from predue.aws import clients, items
from predue.aws.bus import EventBus
from predue.aws.case_items import case_item
from predue.aws.stream_changes import events_of
from predue.domain.case import Case, Hold, asked_for_help, at_risk
from predue.domain.due import Change, Due
from predue.domain.ledger import Ledger, Mark
from predue.domain.record import Outcome, Record
from predue.domain.stage import StageKey
from predue.errors import Unusable
from predue.outbound.publishing import publish
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
    found = publish(changes, events_of, EventBus("predue"), left)
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


# Cases

DUE = Due("b-1", "loan-1", 1, date(2026, 12, 5), 100, "USD", 2, (Change(AT, open=True),))
WARNED = at_risk(DUE, "unreachable", AT)
REVERSED = AT + timedelta(hours=1)


def case_change(case: Case, before: Case | None = None, number: int = 1) -> dict[str, Any]:
    new = items.wire(case_item(case))
    images = {"NewImage": new, "Keys": {"pk": new["pk"], "sk": new["sk"]}, "SequenceNumber": str(number)}
    if before:
        images["OldImage"] = items.wire(case_item(before))
    return {"eventName": "MODIFY" if before else "INSERT", "dynamodb": images}


def kinds(change: dict[str, Any]) -> list[str]:
    return [event.type for event in events_of(change)]


def test_a_new_case_is_told_with_the_early_warning_that_opened_it() -> None:
    opened, warned = (event.detail() for event in events_of(case_change(WARNED)))
    assert (opened["kind"], opened["reason"]) == ("at_risk", "unreachable")
    assert warned["signal"] == "unreachable"
    for detail in (opened, warned):
        about = (detail["borrower_id"], detail["loan_id"], detail["installment_no"], detail["due_date"])
        assert about == ("b-1", "loan-1", 1, "2026-12-05")
        assert (detail["case_id"], detail["at"]) == (WARNED.case_id, "2026-12-02T15:00:00Z")


def test_of_a_case_that_is_added_to_only_the_new_early_warning_is_told() -> None:
    more = replace(WARNED, signals={**WARNED.signals, "payment_reversed": REVERSED})
    told = [(event.type, event.detail().get("signal"), event.at) for event in events_of(case_change(more, WARNED))]
    assert told == [("EarlyWarningRaised", "payment_reversed", REVERSED)]
    assert kinds(case_change(more, more)) == []


def test_a_borrower_who_asked_for_help_is_told_as_a_case_without_a_warning() -> None:
    hold = Hold("HARDSHIP", 3, "core")
    asked = asked_for_help("b-1", hold, Ledger("b-1", holds={(hold.reason, "core"): Mark(3, on=True)}), AT)
    assert asked is not None
    (opened,) = events_of(case_change(asked))
    detail = opened.detail()
    assert (opened.type, detail["kind"], detail["reason"]) == ("CaseOpened", "help", "hardship")
    assert not {"loan_id", "installment_no", "due_date", "signal"} & set(detail)


def test_a_case_that_expires_tells_nothing() -> None:
    gone = case_change(WARNED)
    gone["dynamodb"]["OldImage"] = gone["dynamodb"].pop("NewImage")
    assert kinds(gone | {"eventName": "REMOVE"}) == []


def test_both_events_of_a_case_come_again_if_the_second_was_not_taken(bus: Line) -> None:
    bus.reply(PUT, {"FailedEntryCount": 1, "Entries": [{}, {}, {"ErrorCode": "InternalFailure"}]})
    assert answer(change(0), case_change(WARNED, number=7)) == ["7"]
    first = [entry["Detail"] for entry in bus.of(PUT)[0]["Entries"]][1:]
    assert answer(case_change(WARNED, number=7)) == []
    assert [entry["Detail"] for entry in bus.of(PUT)[1]["Entries"]] == first


def test_the_events_of_a_case_that_two_calls_share_are_named_by_their_change(bus: Line) -> None:
    """The tenth event is the first of the case, the eleventh its second."""
    bus.reply(PUT, {"FailedEntryCount": 0, "Entries": [{}] * 10})
    bus.reply(PUT, {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
    assert answer(*map(change, range(9)), case_change(WARNED, number=99)) == ["99"]


@pytest.mark.parametrize("spoiled", [{"about": {"S": "x"}}, {"opened_at": {"S": "x"}}, {"unreachable": {"S": "x"}}])
def test_a_case_that_cannot_be_read_keeps_no_other_change_from_being_told(spoiled: dict[str, Any], bus: Line) -> None:
    poison = case_change(WARNED)
    poison["dynamodb"]["NewImage"] |= spoiled
    with pytest.raises(Unusable):
        events_of(poison)
    assert answer(change(0), poison, change(2)) == []
    assert told(bus) == ["loan-0", "loan-2"]
