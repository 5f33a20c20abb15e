"""The bodies of events: what a loan system may tell, as typed models; unknown extra fields are ignored."""

import hashlib
import json
import re
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from predue.domain.channel import CHANNELS, Channel
from predue.domain.money import minor_units
from predue.errors import InvalidEvent

_HH_MM = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_PLAIN = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_LONGEST_ID = 128
"""In bytes: several ids stand in one key, and DynamoDB takes sort keys of 1,024."""


def _id(value: str) -> str:
    """Ids go into keys: no `#`, which parts them, no control characters, no white space at the ends."""
    if len(value.encode()) > _LONGEST_ID:
        raise ValueError(f"an id has at most {_LONGEST_ID} bytes")
    if "#" in value or value != value.strip() or any(ord(char) < 32 or ord(char) == 127 for char in value):  # noqa: PLR2004 - ASCII controls
        raise ValueError("an id holds no '#', no control character and no white space at its ends")
    return value


def _decimal(value: object) -> object:
    """A JSON number through its shortest text, so that 0.1 stays 0.1; a text holds digits and a point, since of `1_000`
    or `1e3` nobody can say that it was meant.
    """
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError("an amount is a number with a decimal point")
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _whole_number(value: object) -> object:
    """A whole number, also one written as a text or, as JSON lets one, as `7.0`; `true` is none."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("it is a whole number")  # noqa: TRY004 - pydantic reports ValueError only
    return value


def _list(value: object) -> object:
    """`a|b` as well as a list, because the CSV form writes it so."""
    return [part for part in value.split("|") if part] if isinstance(value, str) else value


def _wall(value: object) -> object:
    """`HH:MM`, or empty for no wish."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _HH_MM.fullmatch(value):
        raise ValueError("a time is written HH:MM")
    return time.fromisoformat(value)


def _day(value: object) -> object:
    """An ISO date, and no instant; within the years in which no sum of stages and graces leaves the calendar."""
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise ValueError("a date is written YYYY-MM-DD")
    if not "1970" <= value[:4] <= "2999":
        raise ValueError("a date lies between 1970 and 2999")
    return value


def _currency(value: str) -> str:
    """An ISO 4217 code."""
    # Babel takes 47 ms to import, which functions that read no money need not pay.
    from babel.numbers import list_currencies  # noqa: PLC0415

    if value not in list_currencies():
        raise ValueError("a currency is an ISO 4217 code")
    return value


# A `json_schema` says of a field, for the API's document (infrastructure/openapi), how it may be written.


def _plain_text(pattern: str, **more: str) -> Any:
    return Annotated[str, Field(json_schema_extra={"pattern": pattern, **more})]


_ANY_CHANNEL = "|".join(CHANNELS)
_ID_PATTERN = r"^(?!\s)[^#\u0000-\u001f\u007f]+(?<!\s)$"
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
    Field(min_length=1, max_length=_LONGEST_ID, json_schema_extra={"pattern": _ID_PATTERN}),
    AfterValidator(_id),
]
Amount = Annotated[
    Decimal,
    _AMOUNT,
    BeforeValidator(_decimal, json_schema_input_type=_AMOUNT_TEXT | Annotated[float, _AMOUNT]),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_currency)]
Day = Annotated[date, BeforeValidator(_day, json_schema_input_type=_DAY_TEXT)]
Channels = Annotated[
    tuple[Channel, ...], BeforeValidator(_list, json_schema_input_type=tuple[Channel, ...] | _CHANNELS_TEXT)
]
PreferredTime = Annotated[time | None, BeforeValidator(_wall, json_schema_input_type=_WALL_TEXT | None)]
Sequence = Annotated[
    int, _SEQUENCE, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _SEQUENCE] | _SEQUENCE_TEXT)
]
InstallmentNo = Annotated[
    int, _NUMBER, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _NUMBER] | _NUMBER_TEXT)
]
GraceDays = Annotated[
    int, _GRACE, BeforeValidator(_whole_number, json_schema_input_type=Annotated[int, _GRACE] | _GRACE_TEXT)
]


class _EventBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: Id
    source: Id
    sequence: Sequence

    @property
    def identity(self) -> str:
        """What makes it one and the same event."""
        return f"{self.source}#{self.event_id}"


class InstallmentEvent(_EventBody):
    """Events about one installment."""

    loan_id: Id
    installment_no: InstallmentNo
    borrower_id: Id | None = None


class Scheduled(InstallmentEvent):
    """The installment is due on this date with this amount; creates it, or states it anew."""

    type: Literal["installment.scheduled"]
    borrower_id: Id
    due_date: Day
    amount: Amount
    currency: Currency
    grace_days: GraceDays | None = None

    @model_validator(mode="after")
    def _whole_minor_units(self) -> Self:
        minor_units(self.amount, self.currency)
        return self


class Rescheduled(InstallmentEvent):
    """The installment is due on another date."""

    type: Literal["installment.rescheduled"]
    due_date: Day
    amount: Amount | None = None
    grace_days: GraceDays | None = None


class Paid(InstallmentEvent):
    """A payment, partial or whole."""

    type: Literal["installment.paid"]
    amount: Amount
    currency: Currency | None = None


class PaymentReversed(InstallmentEvent):
    """A payment was taken back, for example by a returned debit."""

    type: Literal["installment.payment_reversed"]
    amount: Amount
    currency: Currency | None = None


class Cancelled(InstallmentEvent):
    """Nothing is owed any more."""

    type: Literal["installment.cancelled"]


class Disputed(InstallmentEvent):
    """The borrower disputes the installment: no reminders about it."""

    type: Literal["installment.disputed"]


class DisputeEnded(InstallmentEvent):
    """The dispute is over."""

    type: Literal["installment.dispute_ended"]


class BorrowerEvent(_EventBody):
    """Events about a borrower."""

    borrower_id: Id


class Updated(BorrowerEvent):
    """Fields of the profile to merge; those left out stay as they are. Creates an unknown borrower."""

    type: Literal["borrower.updated"]
    name: Annotated[str, Field(max_length=200)] | None = None
    phone: Annotated[str, Field(max_length=40)] | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    wechat_openid: Annotated[str, Field(max_length=128)] | None = None
    locale: Annotated[str, Field(max_length=40)] | None = None
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[^#*]*$")] | None = None
    jurisdiction: Annotated[str, Field(max_length=10, pattern=r"^[A-Za-z0-9\-]*$")] | None = None
    channels: Channels | None = None
    consent: Channels | None = None
    preferred_time: PreferredTime = None

    def given(self) -> dict[str, Any]:
        """The profile fields that the event carries."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set & PROFILE_FIELDS)}


PROFILE_FIELDS = frozenset(Updated.model_fields) - frozenset(BorrowerEvent.model_fields) - {"type"}


class OptedOut(BorrowerEvent):
    """The borrower stops a channel, or all."""

    type: Literal["borrower.opted_out"]
    channel: Channel | Literal["all"] = "all"


class OptedIn(BorrowerEvent):
    """The borrower lifts the very stop that was set for a channel, or for all."""

    type: Literal["borrower.opted_in"]
    channel: Channel | Literal["all"]


class HoldStarted(BorrowerEvent):
    """No reminders until the hold ends: hardship, dispute, bereavement, ..."""

    type: Literal["borrower.hold_started"]
    reason: Id


class HoldEnded(BorrowerEvent):
    """A hold ends; without a reason all of them do."""

    type: Literal["borrower.hold_ended"]
    reason: Id | None = None


Event = (
    Scheduled
    | Rescheduled
    | Paid
    | PaymentReversed
    | Cancelled
    | Disputed
    | DisputeEnded
    | Updated
    | OptedOut
    | OptedIn
    | HoldStarted
    | HoldEnded
)

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def read_event(body: object) -> Event:
    """Read an event's body; raises InvalidEvent that names each wrong field and repeats no value, since values may be
    personal.
    """
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        raise InvalidEvent(*map(_reason_of, error.errors(include_input=False)[:5])) from None


def _reason_of(error: Any) -> str:
    """One mistake in words; pydantic's own repeat the value of an unknown type."""
    if error["type"].startswith("union_tag"):
        return "type: not one of the types of events"
    # A location begins with the type and goes on with the field; what concerns a whole event is its amount's digits.
    field = "event" if not error["loc"] else "amount" if len(error["loc"]) == 1 else str(error["loc"][1])
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"


def body_hash(body: dict[str, Any]) -> str:
    """The identity of a body: all of it but `at`, which tells only when it arrived."""
    rest = {key: value for key, value in body.items() if key != "at"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, default=str).encode()).hexdigest()[:32]
