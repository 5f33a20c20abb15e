import contextlib
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from infrastructure.local.chaos import chaos_report, chaos_runs
from infrastructure.local.chaos.chaos_case import FILES, ChaosCase, kept_cases
from infrastructure.local.chaos.chaos_data import write_portfolio
from infrastructure.local.chaos.shrinking import shrunk
from infrastructure.local.cli.__main__ import main
from tests.flow.small import Book, utc

DAY = date(2026, 12, 10)


def case(folder: Path, seed: int = 1, policy: str = "") -> ChaosCase:
    """A case over one borrower and one day."""
    folder.mkdir()
    Book().borrower().installment().write(folder)
    if policy:
        (folder / "policy.toml").write_text(policy, encoding="utf-8")
    return ChaosCase(folder, seed, DAY, DAY)


def test_the_smallest_portfolio_that_still_fails_is_found_and_said(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    book = Book()
    for number in range(9):
        book.borrower(f"b-{number}").installment(f"b-{number}", loan_id=f"l-{number}")
        book.installment(f"b-{number}", loan_id=f"m-{number}").paid(utc(10, 12), f"l-{number}")
    book.event(utc(10, 13), "borrower.hold_started", borrower_id="b-5", reason="hardship")
    book.write(folder)

    def plays(tried: ChaosCase) -> tuple[str, ...]:
        """Fails as long as one loan and the hold of its borrower are there."""
        both = (
            "m-5" in (tried.folder / "installments.csv").read_text(),
            "hold" in (tried.folder / "events.jsonl").read_text(),
        )
        return ("broken",) if all(both) and tried.seed != 7 else ()

    found, wrong = shrunk(ChaosCase(folder, 7, DAY, DAY, over="ports"), ("before",), tmp_path, plays)
    rows = {name: (found.folder / name).read_text().splitlines() for name in FILES}
    assert [line.split(",")[0] for line in rows["borrowers.csv"]] == ["borrower_id", "b-5"]
    assert [line.split(",")[0] for line in rows["installments.csv"]] == ["loan_id", "m-5"]
    assert len(rows["events.jsonl"]) == 1
    assert (wrong, found.over) == (("broken",), "ports")


def test_what_cannot_be_made_smaller_stays_as_it_is(tmp_path: Path) -> None:
    one = case(tmp_path / "a")
    assert shrunk(one, ("broken",), tmp_path, lambda _tried: ()) == (one, ("broken",))


def broken(folder: Path, seed: int = 1) -> ChaosCase:
    """A case whose run ends in an exception at once."""
    return case(folder, seed, policy="hourz = 3\n")


@contextmanager
def small_files() -> Iterator[None]:
    """Within this, what is written beyond a hundred bytes of a file fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_exception_in_a_run_is_a_failure(tmp_path: Path) -> None:
    failed = chaos_runs.play(broken(tmp_path / "a"), tmp_path)
    assert "BadPolicy" in failed.wrong[0]


def test_a_run_that_hangs_is_given_up_and_no_handler_can_take_it_for_a_failure_of_its_own() -> None:
    def stand_still() -> None:
        with contextlib.suppress(Exception), chaos_runs._watched(1) as progress:
            progress(0.5, "here")
            signal.pause()

    with pytest.raises(chaos_runs.Hung, match="nothing moved"):
        stand_still()


def test_a_full_disk_in_a_run_is_no_failure_of_the_promises_and_ends_the_rest(tmp_path: Path) -> None:
    one = case(tmp_path / "a")
    with small_files():
        found = chaos_runs.play(one, tmp_path)
    assert (found.wrong, found.unfit.partition(":")[0]) == ((), "OSError")


def test_a_kept_case_is_whole_and_says_the_same_when_it_is_read(tmp_path: Path) -> None:
    one = case(tmp_path / "a", 7, policy="default_time = '17:05'\n")
    place = one.keep(["promise 5: twice"], tmp_path / "kept")
    assert sorted(path.name for path in place.iterdir()) == [
        "borrowers.csv", "case.json", "events.jsonl", "installments.csv", "policy.toml",
    ]  # fmt: skip
    read = ChaosCase.read(place)
    assert (read.seed, read.first_day, read.last_day, read.name) == (7, DAY, DAY, one.name)
    assert kept_cases(tmp_path / "kept") == [place]
    assert one.keep(["again"], tmp_path / "kept") == place
    assert "again" not in (place / "case.json").read_text(encoding="utf-8")


@contextmanager
def struck(one: ChaosCase, strike: Callable[[], None]) -> Iterator[None]:
    """Within this the run of a case stands still where it reads its policy, from a pipe; there it is struck."""
    pipe = one.folder / "policy.toml"
    os.mkfifo(pipe)
    over = threading.Event()

    def watch() -> None:
        with pipe.open("w"):  # opens when the run reads it
            strike()
            over.wait()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(600)


def killed() -> None:
    for worker in multiprocessing.active_children():
        worker.kill()


def test_a_killed_process_ends_the_runs_and_says_which_seeds_are_missing(tmp_path: Path) -> None:
    cases = [case(tmp_path / str(seed), seed) for seed in (1, 2)]
    with struck(cases[0], killed):
        tally = chaos_runs.play_all(cases, tmp_path, 1)
    assert tally.lost == [1, 2]
    assert "a process was killed" in chaos_report.text(tally)
    assert "Every promise was kept" not in chaos_report.text(tally)


def test_ctrl_c_ends_the_runs_and_their_processes(tmp_path: Path) -> None:
    one = case(tmp_path / "a")
    # A shell that starts tests in its background lets them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with struck(one, lambda: os.kill(os.getpid(), signal.SIGINT)):
            tally = chaos_runs.play_all([one], tmp_path, 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tally.lost, tally.stopped) == ([1], "stopped by hand")
    assert multiprocessing.active_children() == []


def test_each_failure_is_kept_and_can_be_run_again_by_the_command_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = chaos_runs.play_all([broken(tmp_path / "a", 1), case(tmp_path / "b", 2)], tmp_path, 1)
    assert [one.case.seed for one in tally.failures] == [1]
    assert tally.lost == []
    monkeypatch.chdir(tmp_path)
    told = chaos_report.kept(tally.failures[0].case.keep(["x"], tmp_path / "kept"))
    again = told.partition("predue ")[2].split()
    assert again[:2] == ["chaos", "--replay"]
    assert main([*again, "--jobs", "1", "--out", str(tmp_path / "out")]) == 4
    assert "FAILED: seed 1" in capsys.readouterr().out


def test_a_portfolio_of_ones_own_runs_under_each_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    borrowers, installments, events = map(str, Book().borrower().installment().write(tmp_path))
    files = ["--borrowers", borrowers, "--installments", installments, "--events", events]
    given = [*files, "--from", str(DAY), "--to", str(DAY), "--keep", str(tmp_path / "kept"), "--jobs", "1"]
    assert main(["chaos", "--seeds", "3-5", "--handlers", "1", *given]) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 seeds ran")
    assert "Every promise was kept." in told
    assert not (tmp_path / "kept").exists()


def test_the_same_seed_makes_the_same_portfolio_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_portfolio(tmp_path / name, seed)
    read = {name: [path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "abc"}
    assert read["a"] == read["b"]
    assert read["a"] != read["c"]
