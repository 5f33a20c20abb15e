import json
from datetime import date
from typing import Any

import pytest

from predue.connectors import MessageSource, Reading, read
from predue.errors import InvalidEvent
from tests.fakes import state_of
from tests.unit.connectors.messages import Lender, bodies, but, kinds, message, source

OPENED, BALANCE = message("mambu/disbursement_with_schedule"), message("mambu/repayment_with_schedule")
REMINDER, PAID, REVERSED = (
    message(f"mambu/{name}") for name in ("repayment_reminder", "repayment", "repayment_reversal")
)
WRITE_OFF, STREAMED = message("mambu/write_off"), message("mambu/streamed_repayment")
FIRST = "schedule__installments__0"


def mambu(told: Any, **settings: Any) -> Reading:
    return read("mambu", told, source(**settings))


def lender(payments: str) -> Lender:
    one = Lender("mambu", "4711", payments=payments)
    one.tell(OPENED if payments == "stated" else REMINDER)
    return one


def test_a_schedule_tells_each_installment_by_what_is_still_due() -> None:
    assert bodies(mambu(OPENED))[0] == {
        "type": "installment.scheduled",
        "event_id": "n-1/1",
        "source": "core",
        "sequence": 1780308000000,
        "loan_id": "LOAN-77",
        "installment_no": 1,
        "borrower_id": "4711",
        "due_date": "2026-06-15",
        "amount": "100",
        "currency": "USD",
    }
    assert kinds(mambu(BALANCE).events) == [("installment.cancelled", 1), ("installment.scheduled", 2)]


def test_a_due_date_is_the_one_that_its_own_offset_shows() -> None:
    told = but(OPENED, **{f"{FIRST}__dueDate": "2026-06-15T00:00:00+13:00"})
    assert bodies(mambu(told))[0]["due_date"] == "2026-06-15"


def test_the_header_of_idempotency_is_the_id_where_there_is_one() -> None:
    reading = read(
        "mambu",
        WRITE_OFF,
        MessageSource("m", lambda _: {1: (date(2026, 6, 15), None)}),
        {"X-Notifications-Idempotency-Key": "k"},
    )
    assert [event.event_id for event in reading.events] == ["k/1"]


def test_a_streamed_event_is_what_its_template_made_and_its_metadata_name_it() -> None:
    one = lender("allotted")
    assert one.read(STREAMED).events == one.read(PAID).events
    opened = but(STREAMED, body=json.dumps(OPENED))
    assert mambu(opened).events[0].event_id == "3fa85f64-5717-4562-b3fc-2c963f66afa6/1"


def test_what_means_nothing_to_us_is_ignored() -> None:
    assert mambu(but(PAID, event="CLIENT_CREATED")).ignored == ("type",)
    assert mambu(but(PAID, event="FEE_APPLIED"), payments="allotted").ignored == ("type",)
    assert mambu(WRITE_OFF).ignored == ("unknown loan",)


@pytest.mark.parametrize(
    ("told", "changes", "names"),
    [
        (OPENED, {"event": ""}, "event"),
        (OPENED, {"event_id": ""}, "event_id"),
        (OPENED, {"at": "2026-06-01 10:00"}, "at"),
        (OPENED, {"at": "1960-06-01T10:00:00Z"}, "at"),
        (OPENED, {"loan_id": "{ACCOUNT_ID}#1"}, "loan_id"),
        (OPENED, {"schedule": None}, "schedule"),
        (OPENED, {"schedule__installments": [{"number": "one"}]}, r"installments\[0\].number"),
        (OPENED, {"loan_id": "{ACCOUNT_ID}"}, "loan_id: holds a placeholder"),
        (OPENED, {"borrower_id": "c-{CLIENT_ID}"}, "borrower_id: holds a placeholder"),
        (OPENED, {"event_id": "{{NOTIFICATION_ID}}"}, "event_id: holds a placeholder"),
        (
            STREAMED,
            {"body": json.dumps({**PAID, "amount": "{TRANSACTION_AMOUNT}"})},
            "body.amount: holds a placeholder",
        ),
        (OPENED, {"cursor": {"offset": "1"}, "events": [STREAMED]}, "events: is a batch of a stream"),
        (OPENED, {"events": []}, "events: is a batch of a stream"),
        (STREAMED, {"body": "{"}, "body"),
        (STREAMED, {"body": "[1]"}, "body"),
        (STREAMED, {"metadata__occurred_at": None}, "metadata.occurred_at"),
    ],
)
def test_a_wrong_field_is_named(told: Any, changes: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidEvent, match=names):
        mambu(but(told, **changes))


def test_a_repayment_without_its_schedule_is_refused_where_schedules_are_what_counts() -> None:
    with pytest.raises(InvalidEvent, match="schedule"):
        mambu(PAID)


@pytest.mark.parametrize("payments", ["stated", "allotted"])
def test_from_due_over_repayment_and_reversal_to_write_off(payments: str) -> None:
    one = lender(payments)
    assert one.owed("LOAN-77")[1] == ("2026-06-15", "100.00")
    one.tell(BALANCE if payments == "stated" else PAID)
    assert 1 not in one.owed("LOAN-77")
    one.tell(
        but(OPENED, event="LOAN_REPAYMENT_REVERSAL", event_id="n-9", at=REVERSED["at"])
        if payments == "stated"
        else REVERSED
    )
    assert one.owed("LOAN-77")[1] == ("2026-06-15", "100.00")
    one.tell(WRITE_OFF)
    assert one.owed("LOAN-77") == {}


def test_a_changed_schedule_moves_the_installment_and_cancels_what_left_it() -> None:
    one = lender("stated")
    moved = but(
        OPENED,
        event="LOAN_ACCOUNT_RESCHEDULED",
        event_id="n-9",
        at="2026-06-05T00:00:00Z",
        **{f"{FIRST}__dueDate": "2026-06-25T00:00:00Z"},
    )
    del moved["schedule"]["installments"][1]
    one.tell(moved)
    assert one.owed("LOAN-77") == {1: ("2026-06-25", "100.00")}


def test_a_reminder_of_a_known_installment_leaves_its_amount_to_the_payments() -> None:
    one = lender("allotted")
    one.tell(but(PAID, amount="30.00"))
    one.tell(but(REMINDER, event_id="n-9", at="2026-06-05T00:00:00Z", due_date="2026-06-16", amount="70.00"))
    assert one.owed("LOAN-77") == {1: ("2026-06-16", "70.00")}


def test_a_rescheduled_account_without_a_schedule_is_silent_since_another_account_goes_on() -> None:
    one = lender("allotted")
    one.tell(but(WRITE_OFF, event="LOAN_ACCOUNT_RESCHEDULED"))
    assert one.owed("LOAN-77") == {}


@pytest.mark.parametrize("payments", ["stated", "allotted"])
def test_messages_that_come_again_change_nothing(payments: str) -> None:
    one = lender(payments)
    told = [BALANCE, WRITE_OFF] if payments == "stated" else [PAID, REVERSED, STREAMED, WRITE_OFF]
    for each in told:
        one.tell(each)
    state = state_of(one.world.store)
    for each in [OPENED if payments == "stated" else REMINDER, *told]:
        one.tell(each)
    assert state_of(one.world.store) == state
