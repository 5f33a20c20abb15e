"""How the files write ids, dates, instants, channels and money, read for the auditor.

Written a second time from what README.md and docs/architecture.md tell of the forms. Everything raises ValueError for
what is written otherwise.
"""

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache

from babel.numbers import list_currencies

CHANNELS = ("sms", "email", "voice", "wechat", "push")
LONGEST_GRACE, LARGEST_NUMBER, LARGEST_SEQUENCE = 365, 10**9, 2**53
_LONGEST_ID = 128
_LARGEST_AMOUNT = Decimal(10) ** 15
_DATE, _TIME = re.compile(r"[12]\d{3}-\d\d-\d\d", re.ASCII), re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_AMOUNT, _WHOLE = re.compile(r"\d{1,15}(\.\d{1,9})?", re.ASCII), re.compile(r"\d{1,18}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_SPACE, _DELETE = 32, 127
# ISO 4217 list one: the currencies whose minor unit is not a hundredth.
_DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"), 0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip


def instant(text: str) -> datetime:
    """Read an instant that names its offset, as UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant without an offset")
    return moment.astimezone(UTC)


def instant_text(moment: datetime) -> str:
    """Write an instant in UTC, with milliseconds only if it has any."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")[:-6] + "Z"


def identifier(value: object) -> str:
    """Read an id of an event's body."""
    if not isinstance(value, str) or not 0 < len(value.encode()) <= _LONGEST_ID or value != value.strip():
        raise ValueError("no id")
    if "#" in value or any(ord(char) < _SPACE or ord(char) == _DELETE for char in value):
        raise ValueError("an id with a character that it must not hold")
    return value


@lru_cache(maxsize=4096)
def local_date(text: str) -> date:
    """Read `2026-12-01`, in the years that an installment may be due in."""
    if not _DATE.fullmatch(text) or not _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR:
        raise ValueError("no date")
    return date.fromisoformat(text)


def wall_time(text: str) -> time | None:
    """Read `18:30`; empty is None."""
    if text and not _TIME.fullmatch(text):
        raise ValueError("no time of day")
    return time.fromisoformat(text) if text else None


@lru_cache(maxsize=1024)
def channel_names(text: str) -> tuple[str, ...]:
    """Read `sms|email`, in order, each once."""
    names = tuple(dict.fromkeys(filter(None, text.split("|"))))
    if not set(names) <= set(CHANNELS):
        raise ValueError("an unknown channel")
    return names


def whole_number(value: object, least: int, below: int) -> int:
    """Read a whole number, also one that is written as a text or as `7.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < below:
        raise ValueError("no whole number, or one out of bounds")
    return value


@cache
def currencies() -> frozenset[str]:
    """The ISO 4217 codes."""
    return frozenset(list_currencies())


def minor_digits(currency: str) -> int:
    """The digits after the decimal point of a currency."""
    return _DIGITS.get(currency, 2)


def minor_amount(value: object, currency: str) -> int:
    """Read a positive amount of money, a JSON number or a plain text, in whole minor units."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("no amount")  # noqa: TRY004 - whatever is malformed is a ValueError
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise ValueError("no plain amount")
    return minor_of(str(value), currency)


def minor_of(text: str, currency: str) -> int:
    """Read a positive decimal number, however it is written, in whole minor units."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ValueError("no amount") from None
    if not amount.is_finite() or not 0 < amount <= _LARGEST_AMOUNT:
        raise ValueError("no positive amount")
    minor = amount * 10 ** minor_digits(currency)
    if minor != int(minor):
        raise ValueError("more digits than the currency has")
    return int(minor)
