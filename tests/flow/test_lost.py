"""Runs over code that loses something, and whether the audit, the summary, the report and the explanation say so."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws.stack import Stack
from infrastructure.local.cli.__main__ import main
from tests.aws.conftest import service_models
from tests.flow.small import Book

__all__ = ["service_models"]
ROOT = Path(__file__).parents[2]
DAY = "2026-12-10"
KEPT, BROKEN = 0, 4


def book() -> Book:
    made = Book().borrower().borrower("b-2", channels="email").borrower("b-3", time_zone="Asia/Kolkata")
    for name in ("b-1", "b-2", "b-3"):
        made.installment(name).installment(name, date(2026, 12, 11))
    return made


def run(folder: Path, rows: Book, *more: str) -> int:
    """`predue run` over rows, and its exit status."""
    borrowers, installments, events = map(str, rows.write(folder))
    files = ["--borrowers", borrowers, "--installments", installments, "--events", events]
    return main(["run", *files, "--from", DAY, "--to", DAY, "--out", str(folder / "out"), *more])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder of a run in which nothing is wrong, and its exit status."""
    folder = tmp_path_factory.mktemp("sound")
    return folder, run(folder, book())


def explained(folder: Path, borrower: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["explain", borrower, "--out", str(folder / "out")]) == KEPT
    return " ".join(capsys.readouterr().out.split())


def breaches(folder: Path) -> list[dict[str, Any]]:
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    return list(summary["promises"]["broken"])


def test_a_run_in_which_every_stage_falls_on_its_day_breaks_no_promise(sound: tuple[Path, int]) -> None:
    """Over stages that fall on another day it ends with status 4: `make mutants NAME=stage-a-day-late`."""
    assert sound[1] == KEPT


def instead(patch: pytest.MonkeyPatch, handler: str, act: Callable[[Any], Any]) -> None:
    """Have a function do something else when its event is like that; `act` gives None for all other events."""
    invoke = Stack.invoke

    def other(stack: Stack, function: Any, event: Any) -> Any:
        done = act(event) if function.name.endswith(handler) else None
        return invoke(stack, function, event) if done is None else done

    patch.setattr(Stack, "invoke", other)


def crash_on_b_2(event: Any) -> None:
    if "b-2" in json.dumps(event):
        raise RuntimeError("a fault of ours")


def test_a_delivery_that_is_given_up_breaks_a_promise_and_is_told_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instead(monkeypatch, "deliver-email", crash_on_b_2)
    assert run(tmp_path, book()) == BROKEN
    assert "Dead letters: 1 message" in (told := capsys.readouterr().out)
    assert "predue-email-dead-letters" in told
    assert "predue-email-dead-letters" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert {one["promise"] for one in breaches(tmp_path)} == {6}
    assert any("predue-email-dead-letters" in one["detail"] for one in breaches(tmp_path))
    assert "it was planned, but delivery failed" in explained(tmp_path, "b-2", capsys)
    assert "delivery failed" not in explained(tmp_path, "b-1", capsys)


def test_a_stage_to_which_no_planner_came_breaks_a_promise_and_is_told_as_not_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    instead(monkeypatch, "plan-reminders", lambda _: {})
    assert run(tmp_path, book()) == BROKEN
    assert all("no run came to it" in one["detail"] for one in breaches(tmp_path))
    told = explained(tmp_path, "b-2", capsys)
    assert "no planning run reached it" in told
    assert "delivery failed" not in told


def test_where_the_volume_is_limited_what_is_left_behind_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("max_reminders_per_day = 1\n", encoding="utf-8")
    assert run(tmp_path, book(), "--policy", str(tmp_path / "policy.toml")) == KEPT
    lines = (tmp_path / "out" / "contacts.jsonl").read_text(encoding="utf-8").splitlines()
    assert "no_run" in {json.loads(line)["reason"] for line in lines}


AUDIT = """
import sys
from datetime import date
from pathlib import Path

sys.modules["predue"] = None  # whoever imports it fails
from infrastructure.local.audit.promises import RunResults, Run, Terms, audit, read_inputs

folder, day = Path(sys.argv[1]), date.fromisoformat(sys.argv[2])
inputs = read_inputs(*(folder / name for name in ("borrowers.csv", "installments.csv", "events.jsonl")))
found = audit(inputs, Run(day, day), RunResults.read(folder / "out"), Terms.read({}, Path("functions/predue/packs")))
print(found.coverage.planned, *found.broken, sep="\\n")
print(*sorted(name for name in sys.modules if name.startswith("infrastructure.local.")), sep="\\n", file=sys.stderr)
"""


def test_the_auditor_judges_a_run_in_a_process_that_cannot_import_predue(sound: tuple[Path, int]) -> None:
    command = [sys.executable, "-c", AUDIT, str(sound[0]), DAY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["6", ""], "three borrowers, two stages each, and nothing broken"
    loaded = {name.removeprefix("infrastructure.local.") for name in done.stderr.split()}
    own = {f"audit.{path.stem}" for path in (ROOT / "infrastructure/local/audit").glob("[!_]*.py")}
    assert loaded == own | {"audit"}, "and nothing else of ours"
