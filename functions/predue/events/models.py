"""What a loan system may tell, as typed models: the one way in for a webhook, the bus, files and runs.

A body is read once, by `read_event`, and stays typed; what is stored of an event is its `body`, which reads as the same
event. Unknown extra fields change nothing, and are kept.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from predue.domain import instant
from predue.domain.channel import Channel
from predue.domain.money import minor_units
from predue.errors import InvalidEvent
from predue.events.event_fields import (
    LONGEST_ID,
    Amount,
    Channels,
    Currency,
    Day,
    GraceDays,
    Id,
    InstallmentNo,
    Instant,
    PreferredTime,
    Sequence,
)

MOST_BYTES = 16 * 1024
"""Of an event: one that is parked is an item of the table, which holds 400 KB; none that means something comes
near."""
DEEPEST = 64
CLOCKS_APART = timedelta(minutes=5)
"""So far may the clock of a source be ahead."""


def _open_to_more(schema: dict[str, Any]) -> None:
    """Say nothing of further fields: that they are welcome is what a schema means that is silent of them."""
    schema.pop("additionalProperties", None)


class _EventBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=_open_to_more)

    event_id: Id
    source: Id
    sequence: Sequence
    occurred_at: Instant | None = None

    @property
    def identity(self) -> str:
        """What makes it one and the same event."""
        return f"{self.source}#{self.event_id}"

    def body(self) -> dict[str, Any]:
        """All that was said, as JSON that `read_event` reads as this very event; one notation for each value."""
        return self.model_dump(mode="json", exclude_unset=True)

    def came(self, at: datetime) -> Self:
        """The same as it first arrived at `at`; raises InvalidEvent if it says that it occurred after that."""
        if self.occurred_at is not None and self.occurred_at > at + CLOCKS_APART:
            raise InvalidEvent("occurred_at: lies more than five minutes after the arrival")
        return self.model_copy(update={"at": instant.to_text(at)})

    @property
    def arrived(self) -> int:
        """When it first arrived, in ms; 0 before `came`, as for what a connector only looks at."""
        at = (self.model_extra or {}).get("at")
        return 0 if at is None else instant.to_ms(instant.from_text(at))

    @property
    def time(self) -> int:
        """When it was said, in ms: as it says itself, else when it arrived."""
        return self.arrived if self.occurred_at is None else instant.to_ms(self.occurred_at)

    def named(self, **ids: str) -> Self:
        """The same under ids that are longer; raises InvalidEvent for one that has become too long."""
        if long := [name for name, value in ids.items() if len(value.encode()) > LONGEST_ID]:
            raise InvalidEvent(
                *(f"{name}: an id has at most {LONGEST_ID} bytes with its tenant's name" for name in long)
            )
        return self.model_copy(update=ids)

    @property
    def digest(self) -> str:
        """What tells it from another event under its id: all of it but `at`, which says only when it arrived."""
        rest = {name: value for name, value in self.body().items() if name != "at"}
        return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


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
    """The borrower lifts the very stop that was set for a channel, or for all, if `occurred_at`, when the borrower said
    so, is later than the stop.
    """

    type: Literal["borrower.opted_in"]
    channel: Channel | Literal["all"]
    occurred_at: Instant


class HoldStarted(BorrowerEvent):
    """No reminders until its source ends the hold, or after `until`, its last local day: hardship, bereavement, ..."""

    type: Literal["borrower.hold_started"]
    reason: Id
    until: Day | None = None


class HoldEnded(BorrowerEvent):
    """A hold of this source ends; without a reason all of them do."""

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

TYPES = frozenset(kind.model_fields["type"].annotation.__args__[0] for kind in get_args(Event))
"""The types of events."""
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def read_event(body: object) -> Event:
    """Read an event's body; raises InvalidEvent that names each wrong field and repeats no value, since values may be
    personal.
    """
    if not isinstance(body, dict):
        raise InvalidEvent("event: an event is an object")
    _bounded(body)
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        raise InvalidEvent(*map(_reason_of, error.errors(include_input=False)[:5])) from None


def _bounded(body: dict[str, Any]) -> None:
    """Refuse what later steps could not store, or, being recursive, not even handle."""
    level: list[Any] = [body]
    for _ in range(DEEPEST):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for values in inner for value in values]
    if level:
        raise InvalidEvent("event: is nested too deeply")
    try:
        size = len(json.dumps(body, ensure_ascii=False, default=str).encode())
    except UnicodeEncodeError:
        raise InvalidEvent("event: a text holds half of a surrogate pair") from None
    if size > MOST_BYTES:
        raise InvalidEvent(f"event: an event has at most {MOST_BYTES} bytes")


def _reason_of(error: Any) -> str:
    """One mistake in words; pydantic's own repeat the value of an unknown type."""
    if error["type"].startswith("union_tag"):
        return "type: not one of the types of events"
    # A location begins with the type and goes on with the field; what concerns a whole event is its amount's digits.
    field = "event" if not error["loc"] else "amount" if len(error["loc"]) == 1 else str(error["loc"][1])
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"
