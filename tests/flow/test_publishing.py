"""From the table's stream to the bus: what is told of reminders and stops, and that it is told whatever fails."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for

from infrastructure.local.chaos.faults import Chaos, Rates, no_waiting
from infrastructure.openapi.event_schemas import FOLDER
from predue import wiring
from predue.borrowers import own_stop
from tests.flow.small import Book, Standing, standing, utc

LATER = utc(11, 6)
NONE = dict.fromkeys(Rates.__slots__, 0.0)


def schemas() -> dict[str, Draft202012Validator]:
    """The published schemas by type, as they are shipped, and strict: no event holds what they do not name."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        text = json.loads(path.read_text(encoding="utf-8"))
        assert validator_for(text) is Draft202012Validator
        for one in (text, *text.get("$defs", {}).values()):
            one["additionalProperties"] = False
        checker = Draft202012Validator.FORMAT_CHECKER
        found[path.name.removesuffix(".v1.json")] = Draft202012Validator(text, format_checker=checker)
    return found


def emitted(stand: Standing) -> list[dict[str, Any]]:
    return stand.stack.bus.emitted


def told(stand: Standing) -> Counter[str]:
    """How many different events of each type the bus has."""
    return Counter(kind for kind, _ in {(one["detail-type"], one["detail"]["event_id"]) for one in emitted(stand)})


def outcomes(stand: Standing) -> dict[str, set[str]]:
    """The outcomes that were told of each reminder."""
    found: dict[str, set[str]] = {}
    for one in emitted(stand):
        if "reminder_id" in one["detail"]:
            found.setdefault(one["detail"]["reminder_id"], set()).add(one["detail"]["outcome"])
    return found


def book() -> Book:
    """Borrowers of whom each outcome but unknown becomes."""
    made = Book()
    for number in range(12):
        made.borrower(f"sent-{number}", channels="sms|email").installment(f"sent-{number}", loan_id=f"s-{number}")
    made.borrower("held").installment("held").borrower("stopped").installment("stopped")
    made.event(utc(10, 12), "borrower.hold_started", borrower_id="held", reason="hardship")
    made.event(utc(10, 12, 1), "borrower.opted_out", borrower_id="stopped", channel="all")
    made.event(
        utc(10, 12, 2), "borrower.opted_in", borrower_id="stopped", channel="all", occurred_at="2026-12-10T12:02:00Z"
    )
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything that a run of three days told, and its records."""
    with standing(tmp_path_factory.mktemp("whole"), book(), utc(10, 3), Publish="bus") as stand:
        stand.switch(utc(10, 15, 5), "all")
        stand.until(LATER)
        with stand.stack.feeding():
            own_stop.stop("sent-1", "email", "one-click-x", "one-click", stand.stack.clock(), wiring.table())
        stand.settle()
        return emitted(stand), stand.contacts, told(stand), outcomes(stand)


def test_every_outcome_is_told_once_by_its_own_reminder(whole: Any) -> None:
    _, contacts, _, by_reminder = whole
    assert by_reminder == {line["reminder_id"]: {line["outcome"]} for line in contacts}
    assert Counter(line["outcome"] for line in contacts).keys() >= {"sent", "suppressed"}


def test_an_event_tells_what_the_record_says(whole: Any) -> None:
    events, contacts, _, _ = whole
    lines = {line["reminder_id"]: line for line in contacts}
    for detail in (one["detail"] for one in events if "reminder_id" in one["detail"]):
        line = lines[detail["reminder_id"]]
        for field in detail.keys() & line.keys():
            assert detail[field] == line[field], field
        assert {"borrower_id", "dues", "outcome", "at"} <= detail.keys() & line.keys()


def test_a_stop_is_told_whoever_heard_it_and_an_opt_in_is_not(whole: Any) -> None:
    events, _, _, _ = whole
    stops = [one["detail"] for one in events if one["detail-type"] == "BorrowerOptedOut"]
    assert [(one["borrower_id"], one["channel"], one["source"], one["sequence"]) for one in stops] == [
        ("stopped", "all", "core", 2),
        ("sent-1", "email", "one-click", 1_796_968_800_000),
    ]


def test_what_the_emitters_tell_is_as_the_published_schemas_say(whole: Any) -> None:
    events, _, _, _ = whole
    checked = schemas()
    for one in events:
        checked[one["detail-type"]].validate(one["detail"])
    kinds = {"ReminderSent", "ReminderSuppressed", "BorrowerOptedOut", "InstallmentOverdue", "CaseOpened"}
    assert {one["detail-type"] for one in events} == kinds
    assert {one["source"] for one in events} == {"predue"}
    assert len(events) == len({one["detail"]["event_id"] for one in events})


def test_what_expired_is_told_as_suppressed_with_its_reason(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14), Publish="bus") as stand:
        stand.switch(utc(10, 14, 30), "all")
        stand.until(utc(11, 4))
        (detail,) = [one["detail"] for one in emitted(stand) if one["detail-type"] == "ReminderSuppressed"]
        assert (detail["outcome"], detail["reason"]) == ("expired", "paused")
        schemas()["ReminderSuppressed"].validate(detail)


def test_what_was_unknown_and_is_known_later_is_told_twice_in_that_order(tmp_path: Path) -> None:
    chaos = Chaos(1, Rates(**NONE | {"provider_unheard": 1.0}))
    made = Book().borrower().installment()
    with no_waiting(), standing(tmp_path, made, utc(10, 14), chaos=chaos, Publish="bus") as stand:
        stand.until(utc(10, 23))
        found = [(one["detail-type"], one["detail"]["outcome"]) for one in emitted(stand)]
        assert found == [("ReminderUnknown", "unknown"), ("ReminderSent", "sent")]
        checked = schemas()
        for one in emitted(stand):
            checked[one["detail-type"]].validate(one["detail"])
        assert len({one["detail"]["reminder_id"] for one in emitted(stand)}) == 1
        assert len({one["detail"]["event_id"] for one in emitted(stand)}) == 2


def test_a_receipt_starts_no_publishing_and_tells_nothing(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14), Publish="bus") as stand:
        stand.until(utc(10, 15, 1))
        before = stand.stack.meter.invocations["predue-publish-events"]
        stand.until(utc(10, 23))
        assert [line["receipt"] for line in stand.contacts] == ["delivered"]
        # The consent in the borrower's row was one change, the outcome the other.
        assert (before, stand.stack.meter.invocations["predue-publish-events"]) == (2, 2)


def test_where_nothing_is_published_the_same_calls_are_made_as_if_it_did_not_exist(tmp_path: Path) -> None:
    calls = []
    for publish in ("no", "bus"):
        with standing(tmp_path, book(), utc(10, 14), Publish=publish) as stand:
            stand.until(utc(10, 17))
            calls.append(dict(stand.stack.meter.calls))
    without, with_bus = ({name: count for name, count in one.items() if name != "sqs.CreateQueue"} for one in calls)
    assert with_bus.pop("events.PutEvents") > 0
    assert with_bus == without


def test_whatever_goes_wrong_every_outcome_and_stop_is_told_in_the_end(tmp_path: Path) -> None:
    chaos = Chaos(1)
    with no_waiting(), standing(tmp_path, book(), utc(10, 3), chaos=chaos, Publish="bus") as stand:
        stand.until(utc(11, 12))
        chaos.stop()
        while stand.stack.redrive():
            stand.settle()
        stand.until(utc(12))
        checked = schemas()
        for one in emitted(stand):
            checked[one["detail-type"]].validate(one["detail"])
        by_reminder = outcomes(stand)
        assert by_reminder.keys() == {line["reminder_id"] for line in stand.contacts}
        for line in stand.contacts:
            assert by_reminder[line["reminder_id"]] - {line["outcome"]} <= {"unknown"}
            assert line["outcome"] in by_reminder[line["reminder_id"]]
        assert told(stand)["BorrowerOptedOut"] == 1
        assert chaos.counted["killed"] > 0
