"""The fields of events: how each may be written, in JSON and as the text of a file's cell."""

import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from predue.domain import instant
from predue.domain.channel import CHANNELS, Channel
from predue.domain.money import written

_HH_MM = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


EARLIEST_DUE, LATEST_DUE = date(1970, 1, 1), date(2999, 12, 31)
"""Stages, graces and zones move a date by less than the margin, so that no sum of them leaves the calendar."""
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_PLAIN = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
LONGEST_ID = 128
"""In bytes: several ids stand in one key, and DynamoDB takes sort keys of 1,024."""
_UNSEEN = r"\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
_ID_TEXT = rf"(?! )[^#{_UNSEEN}]+(?<! )"
_ID = re.compile(_ID_TEXT)


def _usable_key(value: str) -> str:
    """Ids go into keys, logs and tables of people's: no `#`, which parts keys, and nothing that nobody sees, since two
    ids that look alike must be alike.
    """
    if not 1 <= len(value.encode()) <= LONGEST_ID:
        raise ValueError(f"an id has 1 to {LONGEST_ID} bytes")
    if not _ID.fullmatch(value):
        raise ValueError("an id holds no '#', no control character, nothing invisible and no space at its ends")
    return value


def is_id(value: str) -> bool:
    """Whether a text may be an id."""
    return len(value.encode(errors="replace")) <= LONGEST_ID and bool(_ID.fullmatch(value))


def _decimal(value: object) -> object:
    """A JSON number through its shortest text, so that 0.1 stays 0.1; a text holds digits and a point, since of `1_000`
    or `1e3` nobody can say that it was meant.
    """
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("an amount is a positive number like 125.50 with no separators")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    text = format(Decimal(str(value)), "f")
    if value > 0 and not _PLAIN.fullmatch(text):
        raise ValueError("has more decimal digits of an amount than any currency, or is too large")
    return text


def _whole_number(value: object) -> object:
    """A whole number, also one written as a text or, as JSON lets one, as `7.0`; `true` is none."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("it is a whole number in digits only")  # noqa: TRY004 - pydantic reports ValueError only
    return value


def _list(value: object) -> object:
    """`a|b` as well as a list, because the CSV form writes it so."""
    return [part for part in value.split("|") if part] if isinstance(value, str) else value


def _each_once(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value))


def _hour_minute(value: object) -> object:
    """`HH:MM`, or empty for no wish."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _HH_MM.fullmatch(value):
        raise ValueError("a time is written HH:MM")
    return time.fromisoformat(value)


def _iso_date(value: object) -> object:
    """An ISO date, and no instant, in the years that a due may have."""
    if isinstance(value, str) and not _ISO_DATE.fullmatch(value):
        if value.isdecimal():
            raise ValueError("is a bare number, as spreadsheets keep dates; a date is written YYYY-MM-DD")
        if _ISO_DATE.match(value):
            raise ValueError("has more than a date, such as a time of day; write the day alone, as YYYY-MM-DD")
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise ValueError("a date is written YYYY-MM-DD")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise ValueError("it is no day of the calendar") from None
    if not EARLIEST_DUE <= day <= LATEST_DUE:
        raise ValueError("a date lies between 1970 and 2999")
    return day


def _instant(value: object) -> object:
    """An ISO 8601 instant that names its offset, within the years of dates."""
    if not isinstance(value, str | datetime):
        raise ValueError("an instant is written as ISO 8601 with its offset")  # noqa: TRY004 - as in _whole_number
    try:
        moment = instant.from_text(value if isinstance(value, str) else value.isoformat())
    except (ValueError, OverflowError):
        raise ValueError("an instant is written as ISO 8601 with its offset") from None
    _iso_date(moment.date().isoformat())
    return moment


def _currency(value: str) -> str:
    """An ISO 4217 code."""
    # Babel takes 47 ms to import, which functions that read no money need not pay.
    from babel.numbers import list_currencies  # noqa: PLC0415

    if value not in list_currencies():
        raise ValueError("a currency is an ISO 4217 code in capital letters")
    return value


# A `json_schema` says of a field, for the API's document (infrastructure/openapi), how it may be written.


def _plain_text(pattern: str, **more: str) -> Any:
    return Annotated[str, Field(json_schema_extra={"pattern": pattern, **more})]


_ANY_CHANNEL = "|".join(CHANNELS)
_INSTANT_FORM = r"^(19[7-9]|2[0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}T[0-9:.]{5,18}(Z|[+-][0-9]{2}:[0-9]{2})$"
_SEQUENCE, _NUMBER, _GRACE = Field(ge=0, lt=2**53), Field(ge=1, lt=10**9), Field(ge=0, le=365)
_AMOUNT = Field(gt=0, le=10**15)
_AMOUNT_TEXT = _plain_text(r"^(?=.*[1-9])[0-9]{1,15}(\.[0-9]{1,9})?$")
_DAY_TEXT = _plain_text(r"^(19[7-9]|2[0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}$", format="date")
_CHANNELS_TEXT = _plain_text(rf"^({_ANY_CHANNEL})?(\|({_ANY_CHANNEL})?)*$")
_WALL_TEXT = _plain_text("^(([01][0-9]|2[0-3]):[0-5][0-9])?$")
_SEQUENCE_TEXT = _plain_text("^[0-9]{1,15}$")
_NUMBER_TEXT = _plain_text("^0{0,9}[1-9][0-9]{0,8}$")
_GRACE_TEXT = _plain_text("^0{0,9}([0-9]{1,2}|[12][0-9]{2}|3[0-5][0-9]|36[0-5])$")

Id = Annotated[
    str,
    Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST_ID, "pattern": f"^{_ID_TEXT}$"}),
    AfterValidator(_usable_key),
]
Amount = Annotated[
    Decimal,
    _AMOUNT,
    BeforeValidator(_decimal, json_schema_input_type=_AMOUNT_TEXT | Annotated[float, _AMOUNT]),
    PlainSerializer(written, when_used="json"),
]
Currency = Annotated[str, Field(json_schema_extra={"pattern": r"^[A-Z]{3}$"}), AfterValidator(_currency)]
Day = Annotated[date, BeforeValidator(_iso_date, json_schema_input_type=_DAY_TEXT)]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant, json_schema_input_type=_plain_text(_INSTANT_FORM, format="date-time")),
    PlainSerializer(instant.to_text, when_used="json"),
]
Channels = Annotated[
    tuple[Channel, ...],
    BeforeValidator(_list, json_schema_input_type=tuple[Channel, ...] | _CHANNELS_TEXT),
    AfterValidator(_each_once),
]
PreferredTime = Annotated[
    time | None,
    BeforeValidator(_hour_minute, json_schema_input_type=_WALL_TEXT | None),
    PlainSerializer(lambda send_time: send_time and f"{send_time:%H:%M}", when_used="json"),
]
Sequence = Annotated[
    int, _SEQUENCE, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _SEQUENCE] | _SEQUENCE_TEXT)
]
InstallmentNo = Annotated[
    int, _NUMBER, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _NUMBER] | _NUMBER_TEXT)
]
GraceDays = Annotated[
    int, _GRACE, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _GRACE] | _GRACE_TEXT)
]
