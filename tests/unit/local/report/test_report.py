from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

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


def test_a_reminder_outside_the_allowed_hours_is_pointed_out(tmp_path: Path) -> None:
    assert "All of them between 09:00 and 20:00" in page(tmp_path, [line()])
    assert "1 went out before 09:00 or from 20:00 on." in page(tmp_path, [line(local_time="2026-12-02T20:00:00-05:00")])


def test_broken_promises_are_the_first_thing_on_the_page(tmp_path: Path) -> None:
    told = {"checked": {"1": 5, "2": 5}, "broken": ["1: two messages on one day"]}

    html = page(tmp_path, [line()], summary=summarise([line()]) | {"promises": told})

    assert html.index("1 promise was broken") < html.index("What went out")
    assert "two messages on one day" in html
