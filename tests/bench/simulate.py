"""What a simulation takes, beside a run on one portfolio in one go, and by itself at the size of a real book.

`python -m tests.bench.simulate run BORROWERS` and `python -m tests.bench.simulate book BORROWERS [JOBS]` print JSON.

A book's borrowers have a loan each with three monthly installments, of which one falls into the 30 days, and most pay.
"""

import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, read_portfolio
from infrastructure.local.runs.run import RunOptions, run
from infrastructure.local.simulate.parts import simulate, simulate_files
from infrastructure.local.simulate.splitting import PortfolioFiles

FIRST, DAYS = date(2026, 12, 1), 30
_PLACES = (
    *[("America/New_York", "US-NY")] * 4,
    *[("America/Chicago", "US-IL")] * 3,
    *[("America/Los_Angeles", "US-CA")] * 3,
    *(("America/Denver", "US-CO"), ("", "US-TX")),
)
_CHANNELS = ("sms|email", "email|sms", "email", "sms")
_WISHES = (*[""] * 6, "09:00", "12:30", "18:45")
_PAID, _PAYS = 0.97, 0.85


def write_book(folder: Path, borrowers: int, seed: int = 1) -> PortfolioFiles:
    """Write a book of so many borrowers; the same seed gives the same one."""
    rng = random.Random(seed)  # noqa: S311 - a drawn book
    files = PortfolioFiles(folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl")
    events: list[tuple[datetime, dict[str, Any]]] = []
    with files.borrowers.open("w", newline="") as people, files.installments.open("w", newline="") as owed:
        writers = csv.writer(people), csv.writer(owed)
        writers[0].writerow(BORROWER_COLUMNS)
        writers[1].writerow(INSTALLMENT_COLUMNS)
        for number in range(borrowers):
            zone, place = rng.choice(_PLACES)
            channels, phone = (
                rng.choice(_CHANNELS),
                f"+1{rng.choice((212, 312, 415))}{rng.randint(200, 989)}{number % 10_000:04}",
            )
            row = (f"b-{number}", "Ana López", phone, f"p{number}@example.com", "", "en-US", zone, place)
            writers[0].writerow((*row, channels, channels, rng.choice(_WISHES)))
            first = FIRST + timedelta(days=rng.randrange(-5, DAYS))
            for month in (1, 2, 3):
                due = first + timedelta(days=30 * (month - 2))
                paid = due < FIRST and rng.random() < _PAID
                status, amount = "paid" if paid else "open", f"{rng.randint(100, 900)}.00"
                grace = rng.choice((3, 5, 15))
                writers[1].writerow((f"L-{number}", month, f"b-{number}", due, amount, "USD", grace, status))
                if not paid and FIRST <= due < FIRST + timedelta(days=DAYS) and rng.random() < _PAYS:
                    at = datetime(due.year, due.month, due.day, tzinfo=UTC)
                    at += timedelta(days=rng.choice((-6, -4, -2, -1, -1, 0, 0, 0, 1)), seconds=rng.randrange(86_400))
                    ids = {"event_id": f"e-{number}-{month}", "source": "core", "sequence": month}
                    about = {"loan_id": f"L-{number}", "installment_no": month, "amount": amount}
                    events.append(
                        (max(at, datetime(2026, 12, 1, tzinfo=UTC)), {"type": "installment.paid", **ids, **about})
                    )
    with (folder / "events.jsonl").open("w") as file:
        for at, body in sorted(events, key=lambda one: one[0]):
            file.write(json.dumps({"at": at.isoformat(), **body}) + "\n")
    return files


def beside_a_run(borrowers: int) -> dict[str, Any]:
    """The processor's seconds of both over a week of one portfolio, reading and audit included."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_book(Path(folder), borrowers)
        options = RunOptions(FIRST, FIRST + timedelta(days=6), Path(folder) / "out")

        def seconds(play: Callable[..., dict[str, Any]], name: str) -> float:
            began = time.process_time()
            play(read_portfolio(*files), replace(options, out=options.out / name))
            return time.process_time() - began

        # Once for what is read and compiled but once in a process.
        seconds(simulate, "warm")
        simulated, ran = seconds(simulate, "simulated"), seconds(run, "run")
        lines = [(options.out / name / "contacts.jsonl").read_bytes() for name in ("simulated", "run")]
        assert lines[0] == lines[1], "both end alike"
    return {"borrowers": borrowers, "run_seconds": ran, "simulate_seconds": simulated, "ratio": ran / simulated}


def of_a_book(borrowers: int, jobs: int) -> dict[str, Any]:
    """What a book of so many borrowers takes for 30 days."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_book(Path(folder), borrowers)
        options = RunOptions(FIRST, FIRST + timedelta(days=DAYS - 1), Path(folder) / "out")
        summary = simulate_files(files, options, jobs)
    sent = summary["outcomes"].get("sent", 0)
    told = {name: summary.get(name) for name in ("seconds", "memory_mib", "parts")}
    return {"borrowers": borrowers, "jobs": jobs, "sent": sent, "broken": len(summary["promises"]["broken"]), **told}


if __name__ == "__main__":
    what, size, *more = sys.argv[1:]
    found = beside_a_run(int(size)) if what == "run" else of_a_book(int(size), int(more[0]) if more else 1)
    print(json.dumps(found))  # noqa: T201 - a command for a terminal
