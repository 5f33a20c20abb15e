"""The rows of `borrowers.csv` and `installments.csv`, each read for itself; docs/local.md tells their form."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from typing import TypeVar

from predue.domain.channel import CHANNELS
from predue.domain.money import exponent, minor_units
from predue.imports.book import InstallmentRow
from predue.imports.csv_rows import BadRow

_TEXT_COLUMNS = ("borrower_id", "name", "phone", "email", "wechat_openid", "locale", "time_zone", "jurisdiction")
BORROWER_COLUMNS = (*_TEXT_COLUMNS, "channels", "consent", "preferred_time")
_DUE_COLUMNS = ("due_date", "amount", "currency", "grace_days", "status")
INSTALLMENT_COLUMNS = ("loan_id", "installment_no", "borrower_id", *_DUE_COLUMNS)
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


def borrower_row(row: Mapping[str, str]) -> BorrowerRow:
    """Read a borrower's row; raises BadRow."""
    _check_id("borrower_id", row)
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


def installment_row(row: Mapping[str, str]) -> InstallmentRow:
    """Read an installment's row; raises BadRow."""
    _check_id("loan_id", row)
    number = _read("installment_no", row, lambda text: _whole(text, 1, 10**9))
    _check_id("borrower_id", row)
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
        row["loan_id"], number, row["borrower_id"], due_date, amount, currency, grace_days, row["status"]
    )


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
    # Babel takes 47 ms to import, which functions that read no row need not pay.
    from babel.numbers import list_currencies  # noqa: PLC0415

    return frozenset(list_currencies())


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
