import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.report import words
from infrastructure.local.report.report import write_report
from infrastructure.local.report.summary import summarise

PERIOD = (date(2026, 12, 1), date(2026, 12, 14))
MARKUP = '<script>alert("x")</script>'


class Tags(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def line(outcome: str = "sent", reason: str = "", borrower: str = "b-1", **more: Any) -> dict[str, Any]:
    return {
        "at": "2026-12-02T15:00:00Z",
        "local_time": "2026-12-02T10:00:00-05:00",
        "reminder_id": "r-1",
        "borrower_id": borrower,
        "channel": "sms",
        "dues": [{"loan_id": "L-1", "installment_no": 1, "due_date": "2026-12-05", "stage": "T-3"}],
        "outcome": outcome,
        "reason": reason,
        "receipt": "delivered",
        "attempts": [],
        **more,
    }


def page(folder: Path, contacts: list[dict[str, Any]], **more: Any) -> str:
    path = folder / "deep" / "report.html"
    arguments = {"summary": summarise(contacts), "samples": [], "title": "Two weeks", "period": PERIOD} | more
    write_report(path, contacts=contacts, **arguments)
    return path.read_text(encoding="utf-8")


def test_an_empty_run_still_makes_a_sensible_page(tmp_path: Path) -> None:
    html = page(tmp_path, [])

    assert "No reminder was planned in this period, so nothing went out." in html
    assert "Promises were not checked in this run." in html
    assert "<svg" in html
    assert "At what hour" not in html


def test_the_page_needs_nothing_from_outside_and_no_script(tmp_path: Path) -> None:
    html = page(tmp_path, [line(), line("suppressed", "paid")])

    tags = Tags(html)
    assert not tags.named("script") + tags.named("link") + tags.named("img")
    assert not [
        value for _, attributes in tags.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_everything_that_comes_from_data_is_escaped(tmp_path: Path) -> None:
    sample = dict.fromkeys(
        ("locale", "to_label", "from", "subject", "body", "at", "local_time", "stage", "segments", "encoding"), MARKUP
    )
    contacts = [
        line("failed", MARKUP),
        line(channel=MARKUP, receipt=MARKUP, dues=[{"stage": MARKUP}]),
    ]
    extra = {
        "promises": {"checked": {"1": 1}, "broken": [f"1: {MARKUP}"]},
        "cost_per_million_reminders": {"total_usd": 1, "lines": {MARKUP: 1}},
        "aws": {"calls": {MARKUP: 1}},
        "coverage": {MARKUP: {MARKUP: MARKUP}},
    }

    html = page(
        tmp_path,
        contacts,
        summary=summarise(contacts) | extra,
        title=MARKUP,
        samples=[{**sample, "channel": channel} for channel in ("sms", "email", MARKUP)],
    )

    assert MARKUP not in html
    assert not Tags(html).named("script")


def test_the_html_of_a_mail_stays_inside_a_sandbox_without_permissions(tmp_path: Path) -> None:
    letter = f'<p title="a">Hello</p>{MARKUP}'

    html = page(tmp_path, [line()], samples=[{"channel": "email", "html": letter, "body": "Hello"}])

    (frame,) = Tags(html).named("iframe")
    assert frame["srcdoc"] == letter
    assert frame["sandbox"] in ("", None)
    assert "<p title" not in html


def test_a_text_message_is_shown_with_its_length_segments_and_encoding(tmp_path: Path) -> None:
    sample = {
        "channel": "sms",
        "to_label": "+1 201 ••• 0100",
        "body": "Due on Friday",
        "segments": 1,
        "encoding": "GSM-7",
    }

    html = page(tmp_path, [line()], samples=[sample])

    assert "13 characters in 1 SMS segment, GSM-7" in html
    assert "+1 201 ••• 0100" in html


@pytest.mark.parametrize("code", sorted(words.REASONS))
def test_every_reason_is_shown_in_words(tmp_path: Path, code: str) -> None:
    assert words.REASONS[code].label in page(tmp_path, [line("suppressed", code)])


def test_every_day_of_the_period_has_its_column_even_if_nothing_went_out(tmp_path: Path) -> None:
    html = page(tmp_path, [line()])

    assert [f"2026-12-{day:02}: " in html for day in range(15)] == [False] + [True] * 14
    assert "2026-12-02: 1" in html


def test_the_parts_of_a_column_stand_on_one_another_and_fill_its_height(tmp_path: Path) -> None:
    html = page(tmp_path, [line()] * 30 + [line(channel="email")] * 20, hours=(9, 20))

    column = html.split("<title>2026-12-02: 50, SMS 30, Email 20</title>")[1].split("</g>")[0]
    sms, email = re.findall(r'<rect class="s-(?:sms|email)".* y="([\d.]+)".* height="([\d.]+)"', column)
    assert float(sms[0]) + float(sms[1]) == pytest.approx(180)
    assert float(email[0]) + float(email[1]) == pytest.approx(float(sms[0]))
    assert float(sms[1]) / float(email[1]) == pytest.approx(30 / 20)


def test_a_reminder_outside_the_allowed_hours_is_pointed_out(tmp_path: Path) -> None:
    assert "All of them between 09:00 and 20:00" in page(tmp_path, [line()])
    assert "1 went out before 09:00 or from 20:00 on." in page(tmp_path, [line(local_time="2026-12-02T20:00:00-05:00")])


def test_broken_promises_are_the_first_thing_on_the_page(tmp_path: Path) -> None:
    told = {"checked": {"1": 5, "2": 5}, "broken": ["1: two messages on one day"]}

    html = page(tmp_path, [line()], summary=summarise([line()]) | {"promises": told})

    assert html.index("1 promise was broken") < html.index("What went out")
    assert "two messages on one day" in html


def test_kept_promises_are_summed_up_with_their_checks(tmp_path: Path) -> None:
    summary = summarise([line()]) | {"promises": {"checked": {"1": 1000, "2": 234, "7": 0}, "broken": []}}

    html = page(tmp_path, [line()], summary=summary)

    assert "Every promise held, in 1,234 checks." in html
    assert "not tried" in html


def test_the_page_counts_for_itself_what_the_summary_lacks(tmp_path: Path) -> None:
    html = page(tmp_path, [line()], summary={"outcomes": {"sent": 1}})

    assert "1 of 1 borrowers contacted" in html


def test_equal_arguments_give_equal_pages(tmp_path: Path) -> None:
    contacts = [line(), line("expired", "no_run", "b-2")]

    assert page(tmp_path / "a", contacts) == page(tmp_path / "b", contacts)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2026, 12, 1), date(2026, 12, 14), "1 to 14 December 2026"),
        (date(2026, 11, 20), date(2026, 12, 3), "20 November to 3 December 2026"),
        (date(2026, 12, 20), date(2027, 1, 3), "20 December 2026 to 3 January 2027"),
        (date(2026, 12, 1), date(2026, 12, 1), "1 December 2026"),
    ],
)
def test_the_period_is_written_as_people_write_it(tmp_path: Path, first: date, last: date, expected: str) -> None:
    assert f"<p>{expected}, " in page(tmp_path, [], period=(first, last))
