"""Runs in which everything goes wrong that may; the audit of the promises is part of each."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.chaos import chaos_runs
from infrastructure.local.chaos.chaos_case import ChaosCase, Over, kept_cases
from tests.flow.small import DUE, Book, utc

ROOT = Path(__file__).parents[2]
TAPE = ROOT.parent / "shared" / "data" / "loan_tape.csv"
FAULTS_OF_ANY_RUN = {
    "answered_in_part", "delivered_between", "failed", "failed_after", "killed", "lost_answer", "events_between",
    "events_repeated", "paused", "schedule_doubled", "schedule_skipped", "short_page", "stale_read", "throttled",
}  # fmt: skip


def test_no_promise_breaks_whatever_goes_wrong_with_the_handlers(tmp_path: Path) -> None:
    outcome = chaos_runs.play(chaos_runs.generated(1, tmp_path / "in"), tmp_path)
    assert outcome.wrong == ()
    assert outcome.checked["5"] > 20
    assert {fault for fault, count in outcome.faults.items() if count} >= FAULTS_OF_ANY_RUN


def test_no_promise_breaks_whatever_goes_wrong_at_the_ports(tmp_path: Path) -> None:
    faults = Counter[str]()
    for seed in range(1, 26):
        outcome = chaos_runs.play(chaos_runs.generated(seed, tmp_path / f"in-{seed}", "ports"), tmp_path)
        assert outcome.wrong == (), seed
        faults += outcome.faults
    assert set(faults) >= FAULTS_OF_ANY_RUN - {"answered_in_part"}
    assert set(faults) >= {"provider_busy", "provider_unheard", "delivered_twice", "reordered", "while_away"}


@pytest.mark.parametrize("over", ["handlers", "ports"])
@pytest.mark.parametrize("folder", kept_cases(), ids=lambda folder: folder.name)
def test_what_failed_once_fails_no_more(folder: Path, over: Over, tmp_path: Path) -> None:
    assert chaos_runs.play(replace(ChaosCase.read(folder), over=over), tmp_path).wrong == ()


def busy_day(folder: Path) -> ChaosCase:
    """A case of one day, with events of several kinds right after the slots."""
    book = Book()
    for number in range(8):
        name = f"b-{number}"
        book.borrower(name, channels="sms|email" if number % 2 else "email|sms", preferred_time="09:00")
        book.installment(name, DUE, loan_id=f"l-{number}", grace_days="1")
    book.paid(utc(10, 14, 0, 1), "l-0").paid(utc(10, 14, 0, 2), "l-4", "20.00")
    book.event(utc(10, 14, 0, 1), "borrower.opted_out", borrower_id="b-5", channel="all")
    book.event(utc(10, 14, 0, 3), "borrower.hold_started", borrower_id="b-6", reason="hardship")
    book.event(utc(10, 14, 0, 4), "installment.rescheduled", loan_id="l-2", installment_no=1, due_date="2026-12-11")
    folder.mkdir()
    book.write(folder)
    return ChaosCase(folder, 4, DUE, DUE)


def in_another_process(case: ChaosCase, out: Path, hash_seed: str, command: str) -> dict[str, Any]:
    """A run's faults, outcomes and provider calls, from an interpreter of its own that orders sets in its own way."""
    files = [f"--{name}={case.folder / name}.{end}" for name, end in (("borrowers", "csv"), ("installments", "csv"))]
    options = [f"--from={case.first_day}", f"--to={case.last_day}", f"--out={out}", f"--seed={case.seed}", "--chaos"]
    asked = [sys.executable, "-m", "infrastructure.local.cli", command, *files, *options]
    asked.append(f"--events={case.folder / 'events.jsonl'}")
    path = f"{ROOT / 'functions'}{os.pathsep}{ROOT}"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    names = ("contacts.jsonl", "wire.jsonl", "records.jsonl", "overdue.jsonl")
    return {"faults": summary["faults"], **{name: (out / name).read_bytes() for name in names}}


@pytest.mark.parametrize("command", ["run", "simulate"])
def test_a_seed_meets_the_same_faults_and_ends_the_same_in_any_process(command: str, tmp_path: Path) -> None:
    case = busy_day(tmp_path / "in")
    first, second = (in_another_process(case, tmp_path / hash_seed, hash_seed, command) for hash_seed in ("1", "2"))
    assert first["faults"]["killed"] > 0
    assert first["contacts.jsonl"]
    assert first["wire.jsonl"]
    assert first == second


@pytest.mark.skipif(not TAPE.exists(), reason="the real loan tape is not part of the repository")
def test_no_promise_breaks_over_a_piece_of_the_real_loan_tape(tmp_path: Path) -> None:
    tool, days = TAPE.parents[1] / "tools" / "tape_to_portfolio.py", ["--from", "2026-12-01", "--to", "2026-12-03"]
    given = [str(TAPE), *days, "--out", str(tmp_path / "in"), "--limit", "40", "--hostile"]
    subprocess.run([sys.executable, str(tool), *given], check=True, capture_output=True)  # noqa: S603 - a tool beside the data
    for seed in (5, 6, 7, 8):
        case = ChaosCase(tmp_path / "in", seed, date(2026, 12, 1), date(2026, 12, 3), over="ports")
        outcome = chaos_runs.play(case, tmp_path)
        assert outcome.wrong == (), seed
        assert outcome.checked["6"] > 10
