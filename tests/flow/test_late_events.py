"""What happens between the plan and the call: the job is only a suggestion."""

from pathlib import Path
from typing import Any

import pytest

from predue.aws import clients
from predue.domain.policy import Policy
from tests.flow.small import Book, Standing, standing, told, utc

SLOT = utc(10, 15)
"""Ten o'clock in New York on the due date."""


def one() -> Book:
    return Book().borrower().installment()


def sent_at(stand: Standing) -> list[str]:
    return [line["at"] for line in stand.wire]


def test_an_installment_that_is_open_is_reminded_at_its_slot_and_its_receipt_recorded(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14)) as stand:
        stand.until(utc(10, 16))
        (line,) = stand.contacts
        assert sent_at(stand) == ["2026-12-10T15:00:00Z"]
        assert (line["outcome"], line["channel"], line["receipt"]) == ("sent", "sms", "delivered")
        assert line["provider_message_id"] == stand.wire[0]["provider_message_id"]
        assert line["local_time"] == "2026-12-10T10:00:00-05:00"


def test_an_installment_paid_before_its_slot_is_not_planned(tmp_path: Path) -> None:
    with standing(tmp_path, one().paid(utc(10, 14, 59, 59)), utc(10, 14)) as stand:
        stand.until(utc(10, 16))
        assert stand.contacts == stand.wire == []


def test_an_installment_paid_at_the_very_instant_of_its_slot_is_not_planned(tmp_path: Path) -> None:
    with standing(tmp_path, one().paid(SLOT), utc(10, 14)) as stand:
        stand.until(utc(10, 16))
        assert stand.contacts == stand.wire == []


LATE: list[tuple[str, dict[str, Any], str]] = [
    ("installment.paid", {"loan_id": "loan-1", "installment_no": 1, "amount": "120.00"}, "paid"),
    ("installment.cancelled", {"loan_id": "loan-1", "installment_no": 1}, "cancelled"),
    (
        "installment.rescheduled",
        {"loan_id": "loan-1", "installment_no": 1, "due_date": "2026-12-24"},
        "rescheduled",
    ),
    ("installment.disputed", {"loan_id": "loan-1", "installment_no": 1}, "disputed"),
    ("borrower.opted_out", {"borrower_id": "b-1", "channel": "all"}, "opted_out"),
    ("borrower.hold_started", {"borrower_id": "b-1", "reason": "bereavement"}, "hold"),
    ("borrower.updated", {"borrower_id": "b-1", "consent": []}, "no_consent"),
    ("borrower.updated", {"borrower_id": "b-1", "channels": []}, "no_channel"),
]


@pytest.mark.parametrize(("kind", "fields", "reason"), LATE)
def test_events_that_comes_while_the_job_is_queued_keeps_it_from_being_sent(
    kind: str, fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.while_queued(SLOT, kind, **fields)
        stand.until(utc(10, 15, 20))
        assert told(stand.contacts) == {("T0", "suppressed", reason)}
        assert stand.wire == []


def test_a_part_paid_while_the_job_is_queued_shows_in_the_figure(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.while_queued(SLOT, "installment.paid", loan_id="loan-1", installment_no=1, amount="50.00")
        stand.until(utc(10, 15, 20))
        assert told(stand.contacts) == {("T0", "sent", "")}
        (sample,) = stand.stack.carrier.samples
        assert "$70.00" in sample["body"]
        assert "120" not in sample["body"]


def test_a_channel_stopped_while_the_job_is_queued_leaves_the_next_channel(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.while_queued(SLOT, "borrower.opted_out", borrower_id="b-1", channel="sms")
        stand.until(utc(10, 15, 20))
        assert [(line["channel"], line["outcome"]) for line in stand.contacts] == [("email", "sent")]
        assert [line["channel"] for line in stand.wire] == ["email"]


def test_a_number_mended_while_the_job_is_queued_is_the_one_that_is_called(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        called: list[str] = []
        clients.session().events.register(
            "before-parameter-build.pinpoint-sms-voice-v2.SendTextMessage",
            lambda params, **_: called.append(params["DestinationPhoneNumber"]),
        )
        stand.while_queued(SLOT, "borrower.updated", borrower_id="b-1", phone="+12125550177")
        stand.until(utc(10, 15, 20))
        assert called == ["+12125550177"]


def test_a_kill_switch_holds_what_is_due_and_lets_it_go_the_same_day(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.switch(utc(10, 14, 50), "all")
        stand.switch(utc(10, 16, 10), *())
        stand.until(utc(10, 16, 10))
        assert stand.contacts == stand.wire == []
        stand.until(utc(10, 17))
        assert told(stand.contacts) == {("T0", "sent", "")}
        (at,) = sent_at(stand)
        assert "2026-12-10T16:10" <= at <= "2026-12-10T16:30"


def test_a_kill_switch_that_stays_lets_the_reminder_expire_with_its_day(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.switch(utc(10, 14, 50), "all")
        stand.switch(utc(11, 2), *())
        stand.until(utc(11, 4))
        ((stage, outcome, _reason),) = told(stand.contacts)
        assert (stage, outcome) == ("T0", "expired")
        assert stand.wire == []


def test_a_kill_switch_of_one_channel_leaves_the_others(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30)) as stand:
        stand.switch(utc(10, 14, 50), "sms")
        stand.until(utc(10, 15, 20))
        assert [line["channel"] for line in stand.wire] == ["email"]


def test_outside_production_nobody_is_reached_without_an_allow_list(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30), Environment="sandbox") as stand:
        stand.until(utc(10, 15, 20))
        assert told(stand.contacts) == {("T0", "suppressed", "allow_list")}
        assert stand.wire == []


def test_an_allow_list_lets_through_whom_it_names_and_nobody_else(tmp_path: Path) -> None:
    policy = Policy(allow_list=("*@example.com", "+12125550101"))
    book = one().borrower("b-2", channels="sms").installment("b-2").borrower("b-3", channels="email").installment("b-3")
    with standing(tmp_path, book, utc(10, 14, 30), policy=policy, Environment="sandbox") as stand:
        stand.until(utc(10, 15, 20))
        outcomes = {line["borrower_id"]: (line["outcome"], line["reason"]) for line in stand.contacts}
        assert outcomes == {"b-1": ("suppressed", "allow_list"), "b-2": ("sent", ""), "b-3": ("sent", "")}
        assert len(stand.wire) == 2


def test_shadow_mode_does_everything_but_the_call(tmp_path: Path) -> None:
    with standing(tmp_path, one(), utc(10, 14, 30), policy=Policy(shadow=True)) as stand:
        stand.until(utc(10, 15, 20))
        (line,) = stand.contacts
        assert (line["outcome"], line["reason"], line["channel"]) == ("suppressed", "shadow", "sms")
        assert line["text"].startswith("en-US/sms/")
        assert stand.wire == []
