"""Cases from a whole stack to the bus: each once, whatever is doubled, lost or interrupted."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.chaos.faults import Chaos, no_waiting
from infrastructure.local.runs import case_lines
from infrastructure.local.virtual.agenda import LOAN_EVENTS
from tests.flow.published import counted, event, open_door, tell
from tests.flow.small import DUE, Book, Line, Standing, play, read_lines, standing, utc
from tests.flow.test_publishing import emitted, schemas

START, WARNED, OVER = utc(9, 5), utc(10, 12), utc(11, 6)
TYPES = ("CaseOpened", "EarlyWarningRaised")
EXPECTED = {
    ("stopped", "at_risk", "unreachable"),
    ("asks", "help", "hardship"),
    ("bounced", "at_risk", "payment_reversed"),
    ("late", "at_risk", "earlier_overdue"),
}


def book() -> Book:
    """An ordinary borrower, and one for each way in which a case is opened."""
    made = Book().borrower("ordinary").installment("ordinary", loan_id="ordinary")
    for name in ("stopped", "asks", "mourns", "bounced", "late"):
        made.borrower(name).installment(name, loan_id=name)
    made.installment("late", DUE + timedelta(days=30), loan_id="late", installment_no="2")
    made.event(utc(9, 6), "borrower.opted_out", borrower_id="stopped", channel="all")
    made.event(utc(9, 6), "borrower.hold_started", borrower_id="asks", reason="hardship")
    made.event(utc(9, 6), "borrower.hold_started", borrower_id="mourns", reason="bereavement of Ana López")
    made.paid(utc(9, 6), "ordinary").paid(utc(9, 7), "bounced")
    made.event(utc(9, 8), "installment.payment_reversed", loan_id="bounced", installment_no=1, amount="120.00")
    return made.event(utc(9, 9), "installment.paid", loan_id="stopped", installment_no=1, amount="0.01")


def opened(stand: Standing) -> set[tuple[str, str, str]]:
    """Whose cases there are, of which kind, and what was seen."""
    with stand.stack.feeding():
        found = case_lines.read(stand.environment["TABLE_NAME"])
    assert len({one["case_id"] for one in found}) == len(found)
    return {
        (one["borrower_id"], one["kind"], seen)
        for one in found
        for seen in [signal["signal"] for signal in one["signals"]] or [one["reason"]]
    }


def told(stand: Standing) -> list[tuple[str, Line]]:
    """What the bus was told of cases, each checked by its published schema."""
    checked = schemas()
    found = [(one["detail-type"], one["detail"]) for one in emitted(stand) if one["detail-type"] in TYPES]
    for kind, detail in found:
        checked[kind].validate(detail)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What was opened and told up to the last closing run before the due date, and up to the hand-over."""
    with standing(tmp_path_factory.mktemp("whole"), book(), START, Publish="bus") as stand:
        stand.until(WARNED)
        early = told(stand)
        stand.until(OVER)
        return early, told(stand), opened(stand), list(stand.log)


def test_each_way_opens_one_case_and_an_ordinary_borrower_has_none(whole: Any) -> None:
    _, _, found, _ = whole
    assert found == EXPECTED


def test_every_case_and_every_early_warning_is_told_once(whole: Any) -> None:
    _, events, _, _ = whole
    assert Counter((kind, detail["borrower_id"]) for kind, detail in events) == Counter(
        {
            **{("CaseOpened", name): 1 for name, _, _ in EXPECTED},
            **{("EarlyWarningRaised", name): 1 for name, kind, _ in EXPECTED if kind == "at_risk"},
        }
    )
    assert len({detail["event_id"] for _, detail in events}) == len(events)


def test_the_event_of_a_warning_names_its_case_and_its_due(whole: Any) -> None:
    _, events, _, _ = whole
    by_kind = {(kind, detail["borrower_id"]): detail for kind, detail in events}
    for name, kind, reason in EXPECTED:
        case = by_kind["CaseOpened", name]
        assert (case["kind"], case["reason"]) == (kind, reason)
        if kind == "at_risk":
            warned = by_kind["EarlyWarningRaised", name]
            assert (warned["signal"], warned["case_id"]) == (reason, case["case_id"])
            assert warned["due_date"] == case["due_date"] == ("2027-01-09" if name == "late" else "2026-12-10")


def test_who_cannot_be_reached_is_told_before_the_due_date_and_who_is_overdue_after_it(whole: Any) -> None:
    early, _, _, _ = whole
    assert {detail["borrower_id"] for _, detail in early} == {"stopped", "asks", "bounced"}


def test_what_is_told_of_a_case_holds_no_words_of_a_hold(whole: Any) -> None:
    _, events, _, log = whole
    assert "bereavement" not in str(events)
    assert "bereavement" not in str(log)


def test_each_case_of_the_closing_run_is_counted_once(whole: Any) -> None:
    _, _, _, log = whole
    assert [line["CasesOpened"] for line in log if "CasesOpened" in line and "StagesExpired" in line] == [[1], [1]]


def test_a_hold_told_by_webhook_is_counted_once_however_often_it_is_told(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower(), START) as stand:
        open_door(stand)
        for _ in range(2):
            assert tell(stand, event("borrower.hold_started", reason="hardship")).status == 200
        assert opened(stand) == {("b-1", "help", "hardship")}
        assert counted(stand, "CasesOpened") == 1


def test_runs_and_events_that_are_doubled_open_the_same_cases(tmp_path: Path, whole: Any) -> None:
    _, before, _, _ = whole
    with standing(tmp_path, book(), START, Publish="bus") as stand:
        closing = stand.stack.functions["predue-close-day"]
        for hour in range((OVER - START) // timedelta(hours=1)):
            at = START + timedelta(hours=hour, minutes=15)  # beside the one that the schedule starts
            stand.stack.at(at, LOAN_EVENTS, lambda: stand.stack.invoke(closing, {}))
        for row in book().read(tmp_path).events:
            stand.news(row.at + timedelta(minutes=1), row.body)
        stand.until(OVER)
        assert opened(stand) == EXPECTED
        assert sorted(detail["event_id"] for _, detail in told(stand)) == sorted(
            detail["event_id"] for _, detail in before
        )


def test_whatever_goes_wrong_the_same_cases_are_opened_and_told_in_the_end(tmp_path: Path, whole: Any) -> None:
    _, before, _, _ = whole
    chaos = Chaos(1)
    with no_waiting(), standing(tmp_path, book(), START, chaos=chaos, Publish="bus") as stand:
        stand.until(OVER)
        chaos.stop()
        while stand.stack.redrive():
            stand.settle()
        stand.until(utc(12))
        found = {one for one in opened(stand) if one[2] != "unreachable"}
        assert found == {one for one in EXPECTED if one[2] != "unreachable"}
        ids = {detail["event_id"] for _, detail in told(stand)}
        assert ids >= {detail["event_id"] for _, detail in before if detail["borrower_id"] != "stopped"}
        assert chaos.counted["killed"] > 0


def test_a_run_leaves_its_cases_and_counts_them(tmp_path: Path) -> None:
    played = play(tmp_path, book(), utc(9).date(), utc(11).date())
    lines = read_lines(played.out / "cases.jsonl")
    assert [one["borrower_id"] for one in lines] == ["asks", "bounced", "stopped", "late"]
    assert played.summary["cases"] == {
        "opened": 4,
        "open": 2,  # the two whose due was handed over are closed by that
        "by_reason": {"earlier_overdue": 1, "hardship": 1, "payment_reversed": 1, "unreachable": 1},
    }
    assert "Whom a person should look at" in (played.out / "report.html").read_text(encoding="utf-8")
