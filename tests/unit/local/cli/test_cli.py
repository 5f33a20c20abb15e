import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infrastructure.local.cli.__main__ import main
from tests.aws.conftest import service_models
from tests.flow.small import Book

__all__ = ["service_models"]
DAY = "2026-12-10"


def arguments(folder: Path, book: Book, *more: str) -> list[str]:
    borrowers, installments, events = map(str, book.write(folder))
    files = ["--borrowers", borrowers, "--installments", installments, "--events", events]
    return ["run", *files, "--from", DAY, "--to", DAY, "--out", str(folder / "out"), *more]


def rejected(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "rejected.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_clean_run_ends_with_status_0_and_can_be_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, Book().borrower().installment())) == 0
    assert rejected(tmp_path) == []
    capsys.readouterr()
    assert main(["explain", "b-1", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "Borrower b-1" in told
    assert "loan loan-1, installment 1" in told
    assert main(["explain", "nobody", "--out", str(tmp_path / "out")]) == 2
    assert "nobody" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["to before from", "no file", "bad policy", "no policy", "no column"])
def test_a_run_that_cannot_start_ends_with_status_2_and_says_why(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments(tmp_path, Book().borrower().installment())
    policy = tmp_path / "policy.toml"
    match which:
        case "to before from":
            given[given.index("--to") + 1] = "2026-12-09"
        case "no file":
            given[given.index("--borrowers") + 1] = str(tmp_path / "nothing.csv")
        case "bad policy":
            policy.write_text("hourz = 3\n", encoding="utf-8")
            given += ["--policy", str(policy)]
        case "no policy":
            given += ["--policy", str(policy)]
        case "no column":
            (tmp_path / "borrowers.csv").write_text("borrower_id,name\nb-1,Ana\n", encoding="utf-8")
    assert main(given) == 2
    assert capsys.readouterr().err.startswith("predue: ")


@pytest.mark.parametrize("wrong", [[], ["run"], ["fly"], ["run", "--from", "today"]])
def test_wrong_usage_is_status_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2


@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
def test_a_number_that_is_no_port_is_answered_in_a_line_with_status_2(
    port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", port]) == 2
    assert capsys.readouterr() == ("", f"predue: --port {port}: a port is a number from 0 to 65535\n")


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"predue {project['version']}\n")


def test_the_command_works_from_a_shell_that_knows_nothing_of_the_functions(tmp_path: Path) -> None:
    root = Path(__file__).parents[4]
    command = [
        sys.executable,
        "-m",
        "infrastructure.local.cli",
        *arguments(tmp_path, Book().borrower().installment()),
    ]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{root / 'functions'}{os.pathsep}{root}"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stderr[-2000:]
    assert "UserWarning" not in done.stderr
