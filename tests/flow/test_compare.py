"""Two policies side by side: figures that follow from what each simulation left."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.cli.__main__ import main
from tests.flow.small import Book, read_lines, utc
from tests.flow.test_simulate import arguments

A = 'version = "both-days"\nstages = [{name = "T-1"}, {name = "T0"}]\n'
B = 'version = "due-date"\nstages = [{name = "T0", channels = ["sms"]}]\n'


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three borrowers over two days; the third has no text messages, and the second pays in between."""
    folder = tmp_path_factory.mktemp("compare")
    book = Book()
    for name, channels in (("texts", "sms"), ("pays", "sms"), ("mails", "email")):
        book.borrower(name, channels=channels).installment(name, utc(11).date(), loan_id=f"l-{name}")
    book.paid(utc(11, 6), "l-pays").write(folder)
    for name, policy in (("a", A), ("b", B)):
        (folder / f"{name}.toml").write_text(policy, encoding="utf-8")
    policies = [f"--policy={folder / 'a.toml'}", f"--against={folder / 'b.toml'}", "--segment-usd=0.5"]
    assert main(arguments(folder, folder / "out", *policies, last="2026-12-11")) == 0
    return folder / "out"


def compared(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    return found


def test_each_side_tells_whom_it_wrote_to_how_often_when_and_at_what_price(out: Path) -> None:
    a, b = compared(out)["a"], compared(out)["b"]
    assert (a["policy"].partition("@")[0], b["policy"].partition("@")[0]) == ("both-days", "due-date")
    assert (a["sent"], a["most_to_one"], a["per_borrower"]) == (5, 2, {"1": 1, "2": 2})
    assert (b["sent"], b["most_to_one"], b["per_borrower"]) == (1, 1, {"0": 1, "1": 1})
    assert a["by_weekday"] == dict.fromkeys(a["by_weekday"], 0) | {"Thursday": 3, "Friday": 2}
    assert b["by_weekday"]["Friday"] == b["by_hour"]["10"] == 1
    assert (a["sms_segments"], a["fees_usd"]) == (3, 1.5)
    assert (b["sms_segments"], b["fees_usd"]) == (1, 0.5)


def test_it_tells_what_was_held_back_and_which_installments_nobody_was_reminded_of(out: Path) -> None:
    a, b = compared(out)["a"], compared(out)["b"]
    assert (a["held_back"], a["dues_never_reminded"]) == (0, 0)
    assert (b["held_back"], b["dues_never_reminded"]) == (1, 1)
    assert b["held_back_by_reason"] == {"Stage not for this channel": 1}


def test_it_names_those_whose_messages_change_most_and_nobody_else(out: Path) -> None:
    changed = compared(out)["changed_most"]
    assert [one["borrower_id"] for one in changed] == ["mails", "pays", "texts"]
    assert changed[0] == {"borrower_id": "mails", "a": {"email": 2}, "b": {"held back": 1}}
    assert changed[1] == {"borrower_id": "pays", "a": {"sms": 1}, "b": {}}


def test_the_page_shows_both_with_plots_and_each_side_keeps_its_own_report(out: Path) -> None:
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 6
    assert "due-date@" in page
    assert "mails" in page
    assert "http" not in page
    assert (out / "report.html").exists()
    assert (out / "against" / "report.html").exists()
    assert len(read_lines(out / "against" / "contacts.jsonl")) == 2


def test_the_same_policy_twice_changes_nobody(tmp_path: Path) -> None:
    Book().borrower().installment().write(tmp_path)
    (tmp_path / "a.toml").write_text(A, encoding="utf-8")
    policies = [f"--policy={tmp_path / 'a.toml'}", f"--against={tmp_path / 'a.toml'}"]
    assert main(arguments(tmp_path, tmp_path / "out", *policies)) == 0
    found = compared(tmp_path / "out")
    assert found["changed_most"] == []
    assert set(found["difference"].values()) == {0}


def test_both_sides_are_drawn_under_one_scale(out: Path) -> None:
    page = (out / "compare.html").read_text(encoding="utf-8")
    _, first, second = page.split("<h2>At what hour: ")
    ticks = [re.findall(r'text-anchor="end">([^<]+)<', part.partition("</section>")[0]) for part in (first, second)]
    assert ticks[0] == ticks[1] != []
