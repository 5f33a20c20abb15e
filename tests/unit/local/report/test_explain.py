import json
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.report.explain import NotFound, explain

SENT: dict[str, Any] = {
    "at": "2026-12-02T04:30:00Z",
    "local_time": "2026-12-02T10:00:00+05:30",
    "reminder_id": "r-sent",
    "borrower_id": "b-1",
    "channel": "email",
    "dues": [
        {"loan_id": "L-1", "installment_no": 4, "due_date": "2026-12-05", "stage": "T-3"},
        {"loan_id": "L-2", "installment_no": 9, "due_date": "2026-12-03", "stage": "T-1"},
    ],
    "outcome": "sent",
    "reason": "",
    "policy": "default@1a2b3c4d",
    "pack": "IN@2024-06-01",
    "text": "en-US/email/before@9f8e",
    "provider_message_id": "ses-77",
    "receipt": "delivered",
    "attempts": [
        {"at": "2026-12-02T04:30:00Z", "channel": "sms", "answer": "refused_address:INVALID_NUMBER"},
        {"at": "2026-12-02T04:30:02Z", "channel": "email", "answer": "accepted"},
    ],
    "inputs": {
        "consent": ["sms", "email"],
        "basis": "contract",
        "zones": ["Asia/Kolkata"],
        "hours": "09:00-20:00",
        "channels": {"sms": "cap_sms_7_days", "email": "able"},
        "contacts_7_days": 2,
        "moon_phase": {"waxing": True},
    },
}
HELD_BACK: dict[str, Any] = {
    "at": "2026-12-01T04:30:00Z",
    "local_time": "2026-12-01T10:00:00+05:30",
    "reminder_id": "r-held",
    "borrower_id": "b-1",
    "channel": "",
    "dues": [{"loan_id": "L-1", "installment_no": 4, "due_date": "2026-12-01", "stage": "T0"}],
    "outcome": "suppressed",
    "reason": "paid",
    "policy": "default@1a2b3c4d",
    "pack": "IN@2024-06-01",
}


def write(folder: Path, *records: dict[str, Any]) -> Path:
    (folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return folder


def told(folder: Path, *records: dict[str, Any]) -> str:
    """The explanation for b-1 with its line breaks taken out, since where it wraps is no matter."""
    return " ".join(explain(write(folder, *records), "b-1").split())


def test_a_sent_message_is_explained_by_rules_consent_attempts_and_receipt(tmp_path: Path) -> None:
    text = told(tmp_path, SENT)

    assert "Wed 2026-12-02 10:00 local time (UTC+05:30; 2026-12-02T04:30:00Z) SENT by Email" in text
    assert "policy default@1a2b3c4d, pack IN@2024-06-01, text en-US/email/before@9f8e" in text
    assert "consent: sms, email" in text
    assert "legal basis: contract" in text
    assert "by SMS: the provider refused the number or address for good (refused_address, INVALID_NUMBER)" in text
    assert "by Email: accepted" in text
    assert "receipt delivered" in text
    assert "message ses-77" in text


def test_a_message_held_back_says_why_and_never_that_it_was_sent(tmp_path: Path) -> None:
    text = told(tmp_path, HELD_BACK)

    assert "NOT SENT (held back)" in text
    assert "nothing was owed any more: the installment had been paid [suppressed: paid]" in text
    assert "text not used" in text
    assert "receipt" not in text


def test_other_borrowers_are_left_out_even_if_their_records_mention_this_one(tmp_path: Path) -> None:
    other = {**SENT, "borrower_id": "b-11", "reminder_id": "r-other", "provider_message_id": "b-1"}

    assert "r-other" not in told(tmp_path, HELD_BACK, other)


def test_a_borrower_whose_id_json_escapes_is_found(tmp_path: Path) -> None:
    assert "Borrower ñ-1" in explain(write(tmp_path, {**SENT, "borrower_id": "ñ-1"}), "ñ-1")


def test_a_message_that_may_have_gone_out_says_so(tmp_path: Path) -> None:
    text = told(tmp_path, {**SENT, "outcome": "unknown", "reason": "no_answer", "receipt": ""})

    assert "PERHAPS SENT by Email" in text
    assert "receipt none yet" in text


def test_an_unknown_borrower_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no reminder was planned for borrower 'b-9'"):
        explain(write(tmp_path, SENT), "b-9")


def test_a_broken_line_is_a_clear_error_that_repeats_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text('{"borrower_id": "b-1", "name": "Ann', encoding="utf-8")

    with pytest.raises(NotFound, match="line 1 of") as raised:
        explain(tmp_path, "b-1")

    assert "Ann" not in str(raised.value)


def given_up(folder: Path, borrower: str, *dues: dict[str, Any]) -> None:
    """Leave a job in a dead-letter queue, beside a letter that holds none."""
    job = {"borrower_id": borrower, "slot": "2026-12-01T04:30:00Z", "dues": dues}
    letters = [
        {"queue": "predue-receipts-dead-letters", "jobs": []},
        {"queue": "predue-sms-dead-letters", "jobs": [job]},
    ]
    (folder / "dead_letters.jsonl").write_text("".join(json.dumps(letter) + "\n" for letter in letters))


EXPIRED = {**HELD_BACK, "outcome": "expired", "reason": "no_run"}
FAILED = "it was planned, but delivery failed: its job was given up and lies in the queue predue-sms-dead-letters"


def test_what_was_planned_and_not_delivered_is_told_apart_from_what_nobody_planned(tmp_path: Path) -> None:
    assert "no planning run reached it" in told(tmp_path, EXPIRED)
    given_up(tmp_path, "b-1", {**HELD_BACK["dues"][0], "stage": "T-1"})
    assert "no planning run reached it" in told(tmp_path, EXPIRED), "another stage was given up"
    given_up(tmp_path, "b-2", *HELD_BACK["dues"])
    assert "no planning run reached it" in told(tmp_path, EXPIRED), "another borrower's was"

    given_up(tmp_path, "b-1", *HELD_BACK["dues"])

    text = told(tmp_path, EXPIRED)
    assert f"{FAILED} [expired: no_run]" in text
    assert "no planning run" not in text
    assert "PLANNED, AND NO OUTCOME" not in text
    assert "delivery failed" not in told(tmp_path, HELD_BACK), (
        "it was delivered by another copy of the job, and held back"
    )


def test_a_planned_reminder_that_was_given_up_without_an_outcome_is_explained_too(tmp_path: Path) -> None:
    given_up(tmp_path, "b-1", *HELD_BACK["dues"])

    text = told(tmp_path)

    assert "1 reminder was planned (1 without an outcome)" in text
    assert f"2026-12-01T04:30:00Z PLANNED, AND NO OUTCOME why {FAILED}" in text
    assert "about loan L-1, installment 4, due 2026-12-01: T0 (on the due date)" in text
    with pytest.raises(NotFound, match="no reminder was planned"):
        explain(tmp_path, "b-2")
