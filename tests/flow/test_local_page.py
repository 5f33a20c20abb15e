"""The examples of docs/local.md, of the webhook and of a book, taken out of its text and run against a served stack."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infrastructure.local.runs.demo_now import write_current
from infrastructure.local.runs.portfolio import read_portfolio
from infrastructure.local.serve.serve import _name_source
from predue import wiring
from tests.flow.live import Served, served
from tests.flow.small import Book, told
from tests.functions.recorded import ROOT
from tests.signing import OURS

PAGE = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    """The one example in this language of the chapter about serving."""
    chapter = PAGE.partition("\n## Serve")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", chapter, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Served]:
    """Three borrowers where it is nine in the morning now; their reminders stand at ten."""
    # The examples sign with the present time, which no test can set for a program of its own.
    now = datetime.now(UTC)
    ahead = (9 - now.hour + 12) % 24 - 12
    local = now + timedelta(hours=ahead)
    zone = f"Etc/GMT{-ahead:+}"  # of these names the sign is the other way round
    book = Book()
    for number in (1, 2, 3):
        book.borrower(f"b-{number}", time_zone=zone, jurisdiction="IS", channels="sms")
        book.installment(f"b-{number}", local.date() + timedelta(days=3), loan_id=f"L-NOW-{number}")
    folder = tmp_path / "build" / "serve" / "portfolio"
    folder.mkdir(parents=True)
    book.write(folder)
    with served(tmp_path, book, now) as made:
        _name_source(made.stack, OURS)
        yield made


def run(stand: Served, *command: str) -> str:
    """What a program says that a reader starts in a second terminal, and that ends well."""
    status, said, wrong = started(stand, *command)
    assert (status, wrong) == (0, "")
    return said


def started(stand: Served, *command: str) -> tuple[int, str, str]:
    """The exit status of a program that a reader starts in a second terminal, and what it says."""
    environment = {
        "PATH": os.environ["PATH"],
        "PREDUE_DEMO_WEBHOOK_SECRET": OURS,
        "PORT": str(stand.server.port),
    }
    future = stand.client(
        lambda: subprocess.run(command, cwd=stand.out, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - the page's own
    )
    stand.until(future)
    done = future.result()
    return done.returncode, done.stdout, done.stderr


def outcomes(stand: Served) -> dict[str, set[tuple[str, str, str]]]:
    """What became of each borrower's reminders."""
    for _ in range(5):
        stand.pass_to(stand.now + timedelta(minutes=15))
    return {f"b-{n}": told([one for one in stand.contacts if one["borrower_id"] == f"b-{n}"]) for n in (1, 2, 3)}


def test_the_examples_in_curl_and_python_are_signed_and_taken_and_keep_reminders_from_going_out(stand: Served) -> None:
    curl, python = ("bash", "-euo", "pipefail", "-c", example("bash")), (sys.executable, "-c", example("python"))
    assert run(stand, *curl) == '{"status": "applied"}'
    assert run(stand, *curl) == '{"status": "duplicate"}'
    assert run(stand, *python) == '{"status": "applied"}\n'
    came = outcomes(stand)
    assert came["b-1"] == {("T-3", "sent", "")}
    assert came["b-2"] == {("T-3", "suppressed", "hold")}
    assert came["b-3"] == set()


def test_the_example_of_a_book_puts_it_into_the_served_stack_with_its_bad_rows_told(stand: Served) -> None:
    bad = "L-NOW-9,1,nobody\n"
    with (stand.out / "build" / "serve" / "portfolio" / "installments.csv").open("a") as file:
        file.write(bad)
    words = example("sh").replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    status, said, _bar = started(stand, "bash", "-euo", "pipefail", "-c", words)
    assert status == 3
    assert said.splitlines() == [
        "new-loans.csv: done; 4 rows: 3 applied, 0 known already, 0 parked, 1 rejected; 0 closed",
        "  build/import/new-loans.csv.rejected.csv says which rows, and why",
    ]
    with stand.stack.feeding():
        assert len(wiring.table().all_dues("b-3")) == 2


@pytest.mark.parametrize("now", ["2026-12-03T15:00+00:00", "2027-02-28T23:50+00:00", "2028-07-01T06:00+00:00"])
def test_what_the_page_says_of_the_bundled_book_is_so_whenever_the_stack_is_started(tmp_path: Path, now: str) -> None:
    said = re.search(r"^new-loans\.csv: done; (.*)$", PAGE, re.MULTILINE)
    assert said
    figures = {word: int(figure) for figure, word in re.findall(r"(\d+) ([a-z ]+)", said[1])}
    write_current(tmp_path, now=datetime.fromisoformat(now))
    files = [tmp_path / name for name in ("borrowers.csv", "installments.csv", "events.jsonl")]
    rows = files[1].read_text(encoding="utf-8").splitlines()[1:]
    bad = [one for one in read_portfolio(*files).rejected if one.file == "installments.csv"]
    renamed = sum(row.startswith("L-NOW") for row in rows)
    nobodys = figures["parked"]
    assert figures == {
        "rows": len(rows),
        "applied": renamed,
        "known already": 0,
        "no change": len(rows) - renamed - len(bad),
        "parked": nobodys,
        "rejected": len(bad) - nobodys,
        "closed": 0,
    }
    assert sum("borrower" in one.reason for one in bad) == nobodys
