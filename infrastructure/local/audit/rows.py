"""A portfolio as the auditor sees it, and the auditor's own readers of single values."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import Any

from infrastructure.local.runs import portfolio as files
from predue.domain.channel import CHANNELS
from predue.domain.money import minor_units
from predue.events.models import Updated
from predue.imports.book_rows import InstallmentRow as FileRow

LONGEST_GRACE = 365
_LONGEST_ID = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class BorrowerRow:
    """A borrower as the file has it; contact points, locale and zone are raw text, which may be bad or empty."""

    borrower_id: str
    name: str
    phone: str
    email: str
    wechat_openid: str
    locale: str
    time_zone: str
    jurisdiction: str
    channels: tuple[str, ...]
    consent: tuple[str, ...]
    preferred_time: time | None


@dataclass(frozen=True, slots=True)
class InstallmentRow:
    """An installment as the file has it; `amount` in minor units."""

    loan_id: str
    installment_no: int
    borrower_id: str
    due_date: date
    amount: int
    currency: str
    grace_days: int
    status: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """One happening: its line, when it was acknowledged, and the whole JSON object."""

    line: int
    at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Rows and events, these in the order in which they were acknowledged."""

    borrowers: list[BorrowerRow]
    installments: list[InstallmentRow]
    events: list[EventRow]
    rejected: list[files.Rejected]


def seen(portfolio: files.Portfolio, told: list[files.EventRow]) -> Portfolio:
    """What the auditor judges of a portfolio whose events were acknowledged as `told`."""
    return Portfolio(
        [_person(event) for event in portfolio.borrowers],
        [_owed(row) for row in portfolio.installments],
        [EventRow(row.line, row.at, row.body) for row in told],
        portfolio.rejected,
    )


def _person(event: Updated) -> BorrowerRow:
    given = event.given()
    return BorrowerRow(event.borrower_id, **given)


def _owed(row: FileRow) -> InstallmentRow:
    event = row.event
    amount = minor_units(event.amount, event.currency)
    about = event.loan_id, event.installment_no, event.borrower_id, event.due_date
    return InstallmentRow(*about, amount, event.currency, event.grace_days or 0, row.status)


def id_fault(value: object) -> str | None:
    """Tell what keeps a value from being an id of a borrower, a loan or an event; None for a good one."""
    if not isinstance(value, str) or not value:
        return "is missing; give each row its id"
    if len(value) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} characters; shorten it"
    if "#" in value or _CONTROL.search(value) or not value.isprintable():
        return "holds '#' or a control character; take it out"
    if value != value.strip():
        return "begins or ends with a space; take it off"
    return None


def read_channels(text: str) -> tuple[str, ...]:
    """Read `sms|email`, in order, each once; raises ValueError for a name that is no channel."""
    names = tuple(dict.fromkeys(text.split("|"))) if text else ()
    if any(name not in CHANNELS for name in names):
        raise ValueError("names an unknown channel; write " + ", ".join(CHANNELS) + " separated by '|'")
    return names


def read_time(text: str) -> time | None:
    """Read `HH:MM`, empty as None; raises ValueError for anything else."""
    if not text:
        return None
    if not _TIME.fullmatch(text):
        raise ValueError("is no time of day; write it as HH:MM, such as 18:30, or leave it empty")
    return time.fromisoformat(text)


def read_date(text: str) -> date:
    """Read `YYYY-MM-DD` and no other form of ISO 8601; raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError("is no date; write it as YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no day of the calendar; write it as YYYY-MM-DD") from None


@cache
def known_currencies() -> frozenset[str]:
    """List the ISO 4217 codes that Babel can write."""
    # Babel takes 47 ms to import, which functions that read no row need not pay.
    from babel.numbers import list_currencies  # noqa: PLC0415

    return frozenset(list_currencies())
