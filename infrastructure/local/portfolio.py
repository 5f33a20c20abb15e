"""The input files: borrowers and installments as CSV, events as JSON lines; a bad row stops nothing."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from babel.numbers import list_currencies

from infrastructure.local.rows import BadRow, Lines, PortfolioError, Rejected, opened, table
from predue.book import InstallmentRow
from predue.instant import from_text
from predue.money import exponent, minor_units
from predue.profile import CHANNELS

__all__ = [
    "BorrowerRow", "EventRow", "InstallmentRow", "Portfolio", "PortfolioError", "Rejected",
    "id_fault", "known_currencies", "read_channels", "read_date", "read_portfolio", "read_time", "write_rejected",
]  # fmt: skip

_TEXT_COLUMNS = ("borrower_id", "name", "phone", "email", "wechat_openid", "locale", "time_zone", "jurisdiction")
BORROWER_COLUMNS = (*_TEXT_COLUMNS, "channels", "consent", "preferred_time")
_DUE_COLUMNS = ("due_date", "amount", "currency", "grace_days", "status")
INSTALLMENT_COLUMNS = ("loan_id", "installment_no", "borrower_id", *_DUE_COLUMNS)
EVENT_FIELDS = ("type", "event_id", "source", "sequence")
STATUSES = ("open", "paid", "cancelled")
LONGEST_ID = 128
LONGEST_GRACE = 365
# Stages, graces and zones move a date by less than this margin, so that no sum of them leaves the calendar.
EARLIEST_DUE, LATEST_DUE = date(1970, 1, 1), date(2999, 12, 31)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_WHOLE = re.compile(r"[0-9]{1,9}")

Value = TypeVar("Value")


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
class EventRow:
    """One happening: its physical line, when it arrives (UTC), and the whole JSON object, checked no deeper."""

    line: int
    at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All that could be read, events in the order in which they arrive, and the rows that could not be used."""

    borrowers: list[BorrowerRow]
    installments: list[InstallmentRow]
    events: list[EventRow]
    rejected: list[Rejected]


def read_portfolio(borrowers: Path, installments: Path, events: Path | None) -> Portfolio:
    """Read the files; raises PortfolioError when one cannot be opened or lacks columns."""
    rejected: list[Rejected] = []
    people: dict[str, BorrowerRow] = {}
    for person in table(borrowers, BORROWER_COLUMNS, lambda row: _borrower(row, people), rejected):
        people[person.borrower_id] = person
    owed: dict[tuple[str, int], InstallmentRow] = {}
    for due in table(installments, INSTALLMENT_COLUMNS, lambda row: _installment(row, people, owed), rejected):
        owed[due.loan_id, due.installment_no] = due
    news = [] if events is None else sorted(_events(events, rejected), key=lambda event: event.at)
    return Portfolio(list(people.values()), list(owed.values()), news, rejected)


def write_rejected(path: Path, rows: Iterable[Rejected]) -> None:
    """Write `rejected.csv`; its header stands there even when no row was rejected."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "line", "reason"))
        writer.writerows((row.file, row.line, row.reason) for row in rows)


def id_fault(value: object) -> str | None:
    """Tell what keeps a value from being an id of a borrower, a loan or an event; None for a good one."""
    if not isinstance(value, str) or not value:
        return "is missing; give each row its id"
    if len(value) > LONGEST_ID:
        return f"is longer than {LONGEST_ID} characters; shorten it"
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
    return frozenset(list_currencies())


def _borrower(row: Mapping[str, str], known: Mapping[str, BorrowerRow]) -> BorrowerRow:
    """Read a borrower's row; raises BadRow."""
    _check_id("borrower_id", row)
    if row["borrower_id"] in known:
        raise BadRow("borrower_id stands in an earlier row already; keep one row a borrower")
    return BorrowerRow(
        row["borrower_id"],
        row["name"],
        row["phone"],
        row["email"],
        row["wechat_openid"],
        row["locale"],
        row["time_zone"],
        row["jurisdiction"],
        _read("channels", row, read_channels),
        _read("consent", row, read_channels),
        _read("preferred_time", row, read_time),
    )


def _installment(
    row: Mapping[str, str], people: Mapping[str, BorrowerRow], known: Mapping[tuple[str, int], InstallmentRow]
) -> InstallmentRow:
    """Read an installment's row; raises BadRow."""
    _check_id("loan_id", row)
    number = _read("installment_no", row, lambda text: _whole(text, 1, 10**9))
    if (row["loan_id"], number) in known:
        raise BadRow("loan_id and installment_no stand in an earlier row already; keep one row an installment")
    _check_id("borrower_id", row)
    owner = people.get(row["borrower_id"])
    if owner is None:
        raise BadRow("borrower_id is not in the borrowers file, or its row was rejected; mend that row first")
    due_date = _read("due_date", row, read_date)
    if not EARLIEST_DUE <= due_date <= LATEST_DUE:
        raise BadRow(f"due_date is not between {EARLIEST_DUE} and {LATEST_DUE}; correct it")
    currency = row["currency"]
    if currency not in known_currencies():
        raise BadRow("currency is no ISO 4217 code; write three capital letters, such as USD")
    grace_days = _read("grace_days", row, lambda text: _whole(text, 0, LONGEST_GRACE))
    if row["status"] not in STATUSES:
        raise BadRow("status is unknown; write one of " + ", ".join(STATUSES))
    amount = _amount(row["amount"], currency)
    return InstallmentRow(
        row["loan_id"], number, owner.borrower_id, due_date, amount, currency, grace_days, row["status"]
    )


def _amount(text: str, currency: str) -> int:
    """Read an amount as minor units; raises BadRow without repeating the text, which may be a shifted column."""
    try:
        return minor_units(text, currency)
    except ValueError:
        digits = exponent(currency)
        raise BadRow(
            f"amount is no positive number with at most {digits} decimals; write it like 125.50, no separators"
        ) from None


def _whole(text: str, least: int, most: int) -> int:
    """Read a whole number within bounds; raises ValueError."""
    if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
        raise ValueError(f"is no whole number from {least} to {most}; write digits only")
    return int(text)


def _read(column: str, row: Mapping[str, str], reader: Callable[[str], Value]) -> Value:
    """Read one column; raises BadRow, the reader's complaint after the column's name."""
    try:
        return reader(row[column])
    except ValueError as error:
        raise BadRow(f"{column} {error}") from None


def _check_id(column: str, row: Mapping[str, str]) -> None:
    """Raise BadRow unless the column holds a good id."""
    fault = id_fault(row[column])
    if fault:
        raise BadRow(f"{column} {fault}")


def _events(path: Path, rejected: list[Rejected]) -> Iterator[EventRow]:
    """Yield the events of a JSON lines file; lines that are none go to `rejected`."""
    with opened(path) as file:
        for number, line in Lines(file):
            if not line.strip():
                continue
            try:
                yield _event(number, line)
            except BadRow as fault:
                rejected.append(Rejected(path.name, number, str(fault)))


def _event(number: int, line: bytes) -> EventRow:
    """Read one line; raises BadRow when it lacks the frame that every event has."""
    try:
        body = json.loads(line, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadRow("the line is not UTF-8; write JSON in UTF-8") from None
    except (ValueError, RecursionError):
        raise BadRow("the line is no JSON; write one whole object a line") from None
    if not isinstance(body, dict):
        raise BadRow("the line is no JSON object; write one whole object a line")
    missing = [name for name in EVENT_FIELDS if body.get(name) in (None, "")]
    if missing:
        raise BadRow(f"the event lacks {', '.join(missing)}; every event carries {', '.join(EVENT_FIELDS)} and at")
    try:
        return EventRow(number, from_text(body["at"]), body)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadRow("at is missing or no instant; write it in UTC, such as 2026-12-01T09:00:00Z") from None


def _no_constant(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError("no JSON")
