"""Runs in which everything goes wrong that may; the audit of the promises is part of each."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local import run
from tests.flow.small import DUE, Book, utc

FAULTS_OF_ANY_RUN = {"interleaved", "killed", "throttled", "lost_answer", "schedule_skipped", "schedule_doubled"}


def book() -> Book:
    """A dozen borrowers over four days, with payments, stops, holds and moves among them."""
    made = Book()
    for number in range(12):
        name = f"b-{number}"
        made.borrower(name, channels="sms|email" if number % 2 else "email|sms", preferred_time="09:00")
        made.installment(name, DUE + timedelta(days=number % 4), loan_id=f"l-{number}", grace_days="1")
    made.paid(utc(10, 14, 5), "l-0").paid(utc(11, 13, 59), "l-1").paid(utc(10, 14, 1), "l-4", "20.00")
    made.event(utc(10, 14, 2), "borrower.opted_out", borrower_id="b-5", channel="all")
    made.event(utc(10, 14, 3), "borrower.hold_started", borrower_id="b-6", reason="hardship")
    made.event(utc(10, 14, 4), "installment.rescheduled", loan_id="l-8", installment_no=1, due_date="2026-12-13")
    made.event(utc(11, 2), "borrower.updated", borrower_id="b-9", time_zone="Pacific/Honolulu")
    return made


def played(folder: Path, seed: int) -> tuple[dict[str, Any], bytes]:
    """The summary and contacts.jsonl of a run under chaos."""
    folder.mkdir()
    options = run.Options(DUE, date(2026, 12, 13), folder / "out", seed=seed, chaos=True)
    summary = run.run(book().read(folder), options)
    return summary, (folder / "out" / "contacts.jsonl").read_bytes()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_promise_breaks_whatever_goes_wrong(seed: int, tmp_path: Path) -> None:
    summary, _ = played(tmp_path / "run", seed)
    assert summary["promises"]["broken"] == []
    assert summary["coverage"]["planned_stages"] > 20
    assert {fault for fault, count in summary["faults"].items() if count} >= FAULTS_OF_ANY_RUN


def test_the_same_seed_meets_the_same_faults_and_ends_the_same(tmp_path: Path) -> None:
    first, second = played(tmp_path / "first", 4), played(tmp_path / "second", 4)
    assert first[0]["faults"] == second[0]["faults"]
    assert first[1] == second[1]
