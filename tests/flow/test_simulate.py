"""A simulation ends as a run of the deployed handlers does, line for line, whole or in parts."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.chaos import chaos_data
from infrastructure.local.chaos.chaos_case import FILES, ChaosCase, kept_cases
from infrastructure.local.cli.__main__ import main
from infrastructure.local.runs.demo import write_demo
from infrastructure.local.runs.portfolio import read_portfolio
from infrastructure.local.runs.run import RunOptions, run
from infrastructure.local.simulate.parts import simulate, simulate_files
from infrastructure.local.simulate.splitting import PortfolioFiles
from predue.domain.policy import read_policy
from tests.flow.small import DUE, Book, read_lines, utc

BY_LINES = ("contacts.jsonl", "records.jsonl", "wire.jsonl", "overdue.jsonl", "cases.jsonl", "dead_letters.jsonl")
ROOT = Path(__file__).parents[2]
TAPE = ROOT.parent / "shared" / "data" / "loan_tape.csv"
OF_THE_STACK_ALONE = {"aws", "cost_per_million_reminders", "seconds", "memory_mib", "parts"}
FIRST, LAST = date(2026, 12, 1), date(2026, 12, 3)


def files_in(folder: Path) -> PortfolioFiles:
    borrowers, installments, events = (folder / name for name in FILES)
    return PortfolioFiles(borrowers, installments, events if events.exists() else None)


def told(out: Path) -> dict[str, Any]:
    """All that a folder of results says of borrowers."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    lines = {name: (out / name).read_text(encoding="utf-8") for name in (*BY_LINES, "rejected.csv", "warnings.csv")}
    return lines | {name: value for name, value in summary.items() if name not in OF_THE_STACK_ALONE}


def both(folder: Path, options: RunOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run and a simulation of the same files tell."""
    for play, name in ((run, "run"), (simulate, "simulated")):
        play(read_portfolio(*files_in(folder)), replace(options, out=options.out / name))
    return told(options.out / "run"), told(options.out / "simulated")


def test_a_busy_book_ends_as_in_a_run(tmp_path: Path) -> None:
    chaos_data.write_portfolio(tmp_path / "in", 3)
    ran, simulated = both(tmp_path / "in", RunOptions(chaos_data.FIRST_DAY, chaos_data.LAST_DAY, tmp_path, 3))
    assert simulated == ran
    assert len(ran["contacts.jsonl"].splitlines()) > 20
    assert ran["outcomes"].keys() >= {"sent", "suppressed"}
    assert ran["cases.jsonl"]
    assert ran["overdue.jsonl"]


@pytest.mark.parametrize("folder", kept_cases(), ids=lambda folder: folder.name)
def test_every_kept_case_ends_as_in_a_run_when_nothing_goes_wrong(folder: Path, tmp_path: Path) -> None:
    case = ChaosCase.read(folder)
    policy = read_policy((folder / "policy.toml").read_text()) if (folder / "policy.toml").exists() else None
    options = RunOptions(case.first_day, case.last_day, tmp_path, case.seed)
    ran, simulated = both(folder, options if policy is None else replace(options, policy=policy))
    assert simulated == ran


def test_caps_digests_and_deferred_jobs_end_as_in_a_run(tmp_path: Path) -> None:
    book = Book()
    for number in range(4):
        book.borrower(f"b-{number}", channels="sms|email" if number % 2 else "email", preferred_time="19:50")
        for due in (DUE, date(2026, 12, 11), date(2026, 12, 13)):
            book.installment(f"b-{number}", due, grace_days="1")
    book.event(utc(10, 12), "installment.paid", loan_id="unknown", installment_no=1, amount="1.00")
    book.event(utc(10, 12), "borrower.opted_out", borrower_id="b-1", channel="sms")
    book.event(utc(10, 23, 0, 0), "borrower.updated", borrower_id="b-2", time_zone="Pacific/Honolulu")
    policy = read_policy('caps = [{count = 1, per = "2 days"}]')
    book.write(tmp_path)
    ran, simulated = both(tmp_path, RunOptions(DUE, date(2026, 12, 12), tmp_path, 2, policy))
    assert simulated == ran
    assert "cap_2_days" in ran["reasons"]["suppressed"]


@pytest.mark.skipif(not TAPE.exists(), reason="the real loan tape is not part of the repository")
def test_a_hostile_piece_of_the_real_loan_tape_ends_as_in_a_run(tmp_path: Path) -> None:
    tool, days = TAPE.parents[1] / "tools" / "tape_to_portfolio.py", ["--from", str(FIRST), "--to", str(LAST)]
    given = [str(TAPE), *days, "--out", str(tmp_path / "in"), "--limit", "60", "--hostile"]
    subprocess.run([sys.executable, str(tool), *given], check=True, capture_output=True)  # noqa: S603 - a tool beside the data
    ran, simulated = both(tmp_path / "in", RunOptions(FIRST, LAST, tmp_path))
    assert simulated == ran
    assert ran["contacts.jsonl"]


# In parts


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portfolio with bad rows and late events, some of whose borrowers share what they are reached at."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, seed=1, first_day=FIRST, last_day=date(2026, 12, 14))
    path = folder / "borrowers.csv"
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    fields = rows[-1].split(",")
    fields[2:4] = rows[20].split(",")[2:4]
    broken = '"no end of a quotation\nb-x,"a name over\ntwo lines",+,x,,,,,,,\n'
    path.write_text("".join([*rows[:-1], ",".join(fields), rows[5], broken]), encoding="utf-8")
    return folder


def test_parts_side_by_side_end_as_the_whole(demo: Path, tmp_path: Path) -> None:
    options = RunOptions(FIRST, date(2026, 12, 8), tmp_path / "whole")
    whole = simulate_files(files_in(demo), options, 1)
    parts = simulate_files(files_in(demo), replace(options, out=tmp_path / "parts"), 2, most=60)
    assert parts["parts"]["of"] == parts["parts"]["done"] > 2
    assert parts["memory_mib"]["part"] > 10
    assert whole["promises"]["broken"] == parts["promises"]["broken"] == []
    one, other = told(tmp_path / "whole"), told(tmp_path / "parts")
    del one["promises"], other["promises"]
    assert other == one
    assert len(one["rejected.csv"].splitlines()) > 5
    assert not list((tmp_path / "parts").glob("parts-*"))


def test_who_shares_a_mailbox_meets_its_bounce_in_whichever_part(tmp_path: Path) -> None:
    book = Book()
    for number in range(40):
        book.borrower(
            f"b-{number}", channels="email", email=f"{'  BOX' if number % 2 else 'box'}{number // 2}@example.com"
        )
        for due in (DUE, date(2026, 12, 11)):
            book.installment(f"b-{number}", due)
    book.write(tmp_path)
    options = RunOptions(DUE, date(2026, 12, 11), tmp_path / "whole", 4)
    simulate_files(files_in(tmp_path), options, 1)
    simulate_files(files_in(tmp_path), replace(options, out=tmp_path / "parts"), 1, most=3)
    assert told(tmp_path / "parts")["contacts.jsonl"] == told(tmp_path / "whole")["contacts.jsonl"]


def test_ctrl_c_keeps_the_parts_that_are_done_and_counts_them(tmp_path: Path) -> None:
    book = Book()
    for number in range(12):
        book.borrower(f"b-{number}").installment(f"b-{number}")
    book.write(tmp_path)

    def strike(_share: float, what: str) -> None:
        if what.startswith("part 2"):
            raise KeyboardInterrupt

    summary = simulate_files(files_in(tmp_path), RunOptions(DUE, DUE, tmp_path / "out"), 1, strike, most=3)
    assert summary["stopped"] == "stopped by hand: 2 of 4 parts are done"
    assert summary["parts"] == {"of": 4, "done": 2}
    assert len(read_lines(tmp_path / "out" / "contacts.jsonl")) == summary["reminders"] == 6
    assert multiprocessing.active_children() == []


def test_a_daily_volume_is_counted_over_all_and_not_by_part(tmp_path: Path) -> None:
    book = Book()
    for number in range(12):
        book.borrower(f"b-{number}").installment(f"b-{number}")
    book.write(tmp_path)
    policy = read_policy("max_reminders_per_day = 5")
    summary = simulate_files(files_in(tmp_path), RunOptions(DUE, DUE, tmp_path / "out", 1, policy), 1, most=3)
    assert "parts" not in summary


# The command


def arguments(folder: Path, out: Path, *more: str, last: str = "2026-12-10") -> list[str]:
    files = [f"--borrowers={folder / FILES[0]}", f"--installments={folder / FILES[1]}", f"--events={folder / FILES[2]}"]
    return ["simulate", *files, "--from=2026-12-10", f"--to={last}", f"--out={out}", *more]


def test_the_command_writes_what_a_run_writes_and_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Book().borrower().installment().write(tmp_path)
    assert main(arguments(tmp_path, tmp_path / "out")) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 of 1 planned reminders went out")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {*BY_LINES, "rejected.csv", "warnings.csv", "logs.jsonl", "summary.json", "report.html"}
    assert [line["outcome"] for line in read_lines(tmp_path / "out" / "contacts.jsonl")] == ["sent"]


@pytest.mark.parametrize("more", [["--jobs=0"], ["--policy=nowhere"]])
def test_wrong_usage_ends_with_status_2(more: list[str], tmp_path: Path) -> None:
    Book().borrower().installment().write(tmp_path)
    assert main(arguments(tmp_path, tmp_path / "out", *more)) == 2


def test_ctrl_c_keeps_what_is_done_and_says_so(tmp_path: Path) -> None:
    book = Book()
    for number in range(200):  # more lines than a file holds back
        book.borrower(f"b-{number}").installment(f"b-{number}")
    book.write(tmp_path)
    command = [
        sys.executable,
        "-m",
        "infrastructure.local.cli",
        *arguments(tmp_path, tmp_path / "out", last="2029-12-10"),
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    # A shell's background jobs ignore the signal, and so would what they start.
    heeds = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds,  # noqa: PLW1509 - no threads here
    ) as process:
        wire = tmp_path / "out" / "wire.jsonl"
        while process.poll() is None and not (wire.exists() and wire.stat().st_size):
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "stopped by hand at 20" in said
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["outcomes"]["sent"] == len(read_lines(tmp_path / "out" / "contacts.jsonl")) > 0
    assert "promises" not in summary
