"""How people see cases: in cases.jsonl, summary, report and explanation."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.report import words
from infrastructure.local.report.explain import explain
from infrastructure.local.report.report import write_report
from infrastructure.local.report.summary import summarise
from infrastructure.local.runs import case_lines
from predue.domain.case import SIGNALS, Case, Hold, at_risk
from predue.domain.due import Due

AT = datetime(2026, 12, 2, 15, tzinfo=UTC)
DUE = Due("b-1", "L-1", 4, date(2026, 12, 5), 100, "USD", 2, ())
RISK = at_risk(DUE, "unreachable", AT)
TWICE = replace(RISK, signals={"unreachable": AT, "payment_reversed": AT - timedelta(days=1)})
HELP = Case("b-1", "h" * 32, AT, Hold("HARDSHIP", 7, "core"))


def lines(*found: Case, is_open: bool = True) -> list[case_lines.Line]:
    return [case_lines.line(one, is_open=is_open) for one in found]


def explained(folder: Path, *found: case_lines.Line, records: str = "") -> str:
    """The explanation for b-1 with its line breaks taken out, since where it wraps is no matter."""
    (folder / "records.jsonl").write_text(records, encoding="utf-8")
    (folder / "cases.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return " ".join(explain(folder, "b-1").split())


def test_a_case_is_one_line_with_what_was_seen_in_the_order_in_which_it_was() -> None:
    assert case_lines.line(TWICE, is_open=False) == {
        "opened_at": "2026-12-02T15:00:00Z",
        "case_id": RISK.case_id,
        "borrower_id": "b-1",
        "kind": "at_risk",
        "reason": "payment_reversed",
        "open": False,
        "loan_id": "L-1",
        "installment_no": 4,
        "due_date": "2026-12-05",
        "signals": [
            {"at": "2026-12-01T15:00:00Z", "signal": "payment_reversed"},
            {"at": "2026-12-02T15:00:00Z", "signal": "unreachable"},
        ],
    }


def test_a_case_about_a_hold_names_no_installment_and_no_words_of_the_hold() -> None:
    (one,) = lines(HELP)
    assert (one["reason"], one["signals"]) == ("hardship", [])
    assert not {"loan_id", "installment_no", "due_date"} & set(one)


@pytest.mark.parametrize("code", [*SIGNALS, "hardship"])
def test_everything_that_opens_a_case_has_words(code: str) -> None:
    assert words.CASES[code]


def test_a_borrowers_cases_are_explained_after_the_reminders(tmp_path: Path) -> None:
    told = explained(tmp_path, *lines(TWICE, HELP), *lines(replace(RISK, borrower_id="b-2")))
    assert "2026-12-02T15:00:00Z CASE for a person (open) about loan L-1, installment 4, due 2026-12-05" in told
    assert "warning no message reaches the borrower, seen at 2026-12-02T15:00:00Z [unreachable]" in told
    assert "why the borrower asked for help [hardship]" in told
    assert told.count("CASE for") == 2
    assert told.startswith("Borrower b-1: 0 reminders were planned.")


@pytest.mark.parametrize(("number", "says"), [(1, "1 open case:"), (51, "51 open cases:")])
def test_a_report_lists_open_cases_and_says_so_where_there_are_more(number: int, says: str, tmp_path: Path) -> None:
    rows = [case_lines.stated(one) | {"borrower": f"b-{place}"} for place, one in enumerate(lines(RISK) * number)]
    arguments: dict[str, Any] = {"summary": summarise([]), "contacts": [], "samples": [], "title": "t"}
    write_report(tmp_path / "r.html", **arguments, period=(AT.date(), AT.date()), cases=rows)
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert says in html
    assert ("b-49" in html, "b-50" in html) == (number > 50, False)
    assert "loan L-1, installment 4, due 2026-12-05" in html
