from typing import Any

import pytest

from predue.errors import InvalidEvent
from predue.events.models import Paid, Rescheduled, Scheduled, Updated, read_event

FRAME = {"event_id": "e-1", "source": "core", "sequence": 1}
LOAN = {**FRAME, "loan_id": "L-1", "installment_no": 1}
SCHEDULED = {
    **LOAN,
    "type": "installment.scheduled",
    "borrower_id": "b-1",
    "due_date": "2026-06-15",
    "amount": "100.00",
    "currency": "USD",
}
PAID = {**LOAN, "type": "installment.paid", "amount": "12.50"}
UPDATED = {**FRAME, "type": "borrower.updated", "borrower_id": "b-1"}


def test_each_kind_is_read_as_its_own() -> None:
    assert isinstance(read_event(SCHEDULED), Scheduled)
    assert isinstance(read_event(PAID), Paid)
    assert isinstance(read_event(UPDATED), Updated)
    moved = {**LOAN, "type": "installment.rescheduled", "due_date": "2026-06-25"}
    assert isinstance(read_event(moved), Rescheduled)


def test_unknown_extra_fields_change_nothing_and_are_kept() -> None:
    told = read_event({**PAID, "teller": "Ann", "identity": "x", "amounts": [1]})
    assert isinstance(told, Paid)
    assert (told.identity, told.amount) == ("core#e-1", Paid.model_validate(PAID).amount)
    assert told.body() == read_event(PAID).body() | {"teller": "Ann", "identity": "x", "amounts": [1]}


def test_the_identity_is_that_of_source_and_event() -> None:
    assert read_event(PAID).identity == "core#e-1"


@pytest.mark.parametrize(("written", "read"), [("0.1", "0.1"), (0.1, "0.1"), (12, "12"), ("12.50", "12.50")])
def test_an_amount_is_read_exactly(written: object, read: str) -> None:
    event = read_event({**PAID, "amount": written})
    assert isinstance(event, Paid)
    assert str(event.amount) == read


@pytest.mark.parametrize("written", [7, "7", "007", 7.0])
def test_a_whole_number_may_be_written_as_text_or_with_a_point(written: object) -> None:
    assert read_event(
        {**SCHEDULED, "sequence": written, "installment_no": written, "grace_days": written}
    ) == read_event({**SCHEDULED, "sequence": 7, "installment_no": 7, "grace_days": 7})


@pytest.mark.parametrize(
    ("body", "fields", "names"),
    [
        (PAID, {"amount": "0"}, "amount"),
        (PAID, {"amount": "-5"}, "amount"),
        (PAID, {"amount": "NaN"}, "amount"),
        (PAID, {"amount": True}, "amount"),
        (PAID, {"sequence": -1}, "sequence"),
        (PAID, {"sequence": True}, "sequence"),
        (PAID, {"sequence": 1.5}, "sequence"),
        (PAID, {"sequence": float("inf")}, "sequence"),
        (PAID, {"amount": "1_000"}, "amount"),
        (PAID, {"amount": "1e3"}, "amount"),
        (PAID, {"amount": " 1"}, "amount"),
        (PAID, {"amount": "١٢"}, "amount"),
        (PAID, {"amount": "1000000000000001"}, "amount"),
        (PAID, {"sequence": "1e3"}, "sequence"),
        (PAID, {"loan_id": "王" * 43}, "loan_id"),
        (PAID, {"sequence": 2**53}, "sequence"),
        (PAID, {"installment_no": 0}, "installment_no"),
        (PAID, {"loan_id": ""}, "loan_id"),
        (PAID, {"loan_id": "L#1"}, "loan_id"),
        (PAID, {"loan_id": " L-1"}, "loan_id"),
        (PAID, {"loan_id": "L\n1"}, "loan_id"),
        (PAID, {"loan_id": "L-1\n"}, "loan_id"),
        (PAID, {"loan_id": "L\u00a01"}, "loan_id"),
        (PAID, {"loan_id": "L\u200b1"}, "loan_id"),
        (PAID, {"loan_id": "L\u0085"}, "loan_id"),
        (PAID, {"loan_id": "L" * 129}, "loan_id"),
        (PAID, {"event_id": "e#1"}, "event_id"),
        (PAID, {"currency": "dollars"}, "currency"),
        (PAID, {"type": "installment.forgotten"}, "event"),
        (SCHEDULED, {"due_date": "2026-02-30"}, "due_date"),
        (SCHEDULED, {"due_date": "15.06.2026"}, "due_date"),
        (SCHEDULED, {"amount": "100.001"}, "^amount: .*digits"),
        (SCHEDULED, {"amount": "100.50", "currency": "JPY"}, "digits"),
        (SCHEDULED, {"grace_days": 366}, "grace_days"),
        (SCHEDULED, {"grace_days": True}, "grace_days"),
        (UPDATED, {"preferred_time": "25:00"}, "preferred_time"),
        (UPDATED, {"preferred_time": "soon"}, "preferred_time"),
        (UPDATED, {"channels": "sms|fax"}, "channels"),
        (UPDATED, {"time_zone": "*US"}, "time_zone"),
        (UPDATED, {"jurisdiction": "U#S"}, "jurisdiction"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], fields: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidEvent, match=names):
        read_event({**body, **fields})


@pytest.mark.parametrize("body", [None, [], "x", {}, {"type": "installment.paid"}])
def test_what_is_no_event_is_refused(body: object) -> None:
    with pytest.raises(InvalidEvent):
        read_event(body)


def test_an_error_repeats_no_value_since_it_may_be_personal() -> None:
    with pytest.raises(InvalidEvent) as caught:
        read_event({**UPDATED, "phone": "+12015550100" * 9, "jurisdiction": "secret place"})
    assert "2015550100" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_only_the_fields_that_an_update_carries_are_given() -> None:
    event = read_event({**UPDATED, "name": "Ann", "phone": None, "channels": "email|sms", "preferred_time": ""})
    assert isinstance(event, Updated)
    assert event.given() == {"name": "Ann", "phone": None, "channels": ("email", "sms"), "preferred_time": None}


def test_a_list_of_channels_keeps_its_order_and_each_stands_once() -> None:
    for written in ("email|sms|email", ["email", "sms", "email"]):
        event = read_event({**UPDATED, "channels": written})
        assert isinstance(event, Updated)
        assert event.channels == ("email", "sms")


def test_an_event_is_written_in_one_notation() -> None:
    told = {**SCHEDULED, "sequence": "7", "amount": 100.5, "installment_no": 1.0}
    assert read_event(told).body() == {**SCHEDULED, "sequence": 7, "amount": "100.5", "installment_no": 1}
    send_time = read_event({**UPDATED, "preferred_time": "09:00", "channels": "email|sms"}).body()
    assert (send_time["preferred_time"], send_time["channels"]) == ("09:00", ["email", "sms"])
    assert read_event({**UPDATED, "preferred_time": ""}).body() == {**UPDATED, "preferred_time": None}
