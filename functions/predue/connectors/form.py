"""What every form takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from predue.domain.due import Due
from predue.events.models import Event
from predue.events.usable import Warned

MOST_EVENTS = 2000
"""More than any loan has installments: a message that becomes more is a mistake or an attack."""

Installments = Callable[[str], Mapping[int, tuple[date, Due | None]]]
"""What is known of a loan, by number: the current due date, and the due, or None while it is being made or after it has
gone. `predue.borrowers.ports.Dues.installments` is one."""

Ignored = Literal[
    "type",
    "no rule",
    "group loan",
    "unknown loan",
    "told by the balance",
    "told by the payment",
    "unknown payment",
    "more than is owed",
]
"""Why a part of a message means nothing to us; a closed list, so that it may be logged and counted."""


class Settings(BaseModel):
    """How a source's messages are read; only the forms that name a key use it (docs/connectors.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payments: Literal["stated", "allotted"] = "stated"
    grace_days: Annotated[int, Field(ge=0, le=365)] | None = None
    borrower: Literal["id", "external_id"] = "id"
    tenant: str = ""
    schemas: tuple[str, ...] = ()
    mapping: str = ""


DEFAULT = Settings()


@dataclass(frozen=True)
class MessageSource:
    """A system that sends: the `name` that its events carry, what is known of a loan, and its settings."""

    name: str
    installments: Installments
    settings: Settings = DEFAULT


class Reading(NamedTuple):
    """The events that a message becomes, in their order, what of it was ignored, and what of it could not be read
    while the rest could.
    """

    events: tuple[Event, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    warned: tuple[Warned, ...] = ()

    def __add__(self, other: object) -> "Reading":
        if not isinstance(other, Reading):
            return NotImplemented
        ignored = self.ignored + other.ignored
        return Reading(self.events + other.events, ignored, self.warned + other.warned)


Form = Callable[[Any, MessageSource, Mapping[str, str]], Reading]
"""A form: the parsed body, the source and the request's headers (names in lower case) to a reading."""
