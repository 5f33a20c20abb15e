"""Messages of other systems from `tests/events/`, made to their published schemas, and what our store makes of them."""

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from predue.connectors import MessageSource, Reading, Settings, read
from predue.domain.due import Due
from predue.events import applying
from predue.events.models import Event, InstallmentEvent
from tests.unit.world import World

_EVENTS = Path(__file__).parents[2] / "events"


def message(name: str) -> Any:
    """A message by its file's name, such as `fineract/loan_charge_off`."""
    return json.loads((_EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def but(told: Any, **changes: Any) -> Any:
    """The message with some values changed; names are paths, with `__` for a step."""
    told = copy.deepcopy(told)
    for path, value in changes.items():
        *steps, last = path.split("__")
        inner = told
        for step in steps:
            inner = inner[int(step) if step.isdigit() else step]
        inner[last] = value
    return told


def unknown(_loan_id: str) -> Mapping[int, tuple[date, Due | None]]:
    """Nothing is known of any loan."""
    return {}


def source(name: str = "core", **settings: Any) -> MessageSource:
    """A source that knows no loan."""
    return MessageSource(name, unknown, Settings(**settings))


class Lender:
    """A world whose events come from another system."""

    def __init__(self, form: str, borrower_id: str, **settings: Any) -> None:
        self.form, self.world = form, World()
        self.world.borrower(borrower_id)
        self.source = MessageSource(form, self.world.store.installments, Settings(**settings))

    def read(self, told: Any) -> Reading:
        return read(self.form, told, self.source)

    def tell(self, told: Any) -> list[str]:
        """Take one message in, as a webhook does."""
        return [applying.apply(event, self.world.now, self.world.event_services()) for event in self.read(told).events]

    def owed(self, loan_id: str) -> dict[int, tuple[str, str]]:
        """What is owed of each installment and when; what is closed is left out."""
        return {
            number: (due.due_date.isoformat(), str(due.owed.major()))
            for number, (_, due) in self.world.store.installments(loan_id).items()
            if due is not None and due.closed_by is None
        }


def bodies(reading: Reading) -> list[dict[str, Any]]:
    """What its events say, as JSON."""
    return [event.body() for event in reading.events]


def kinds(events: Iterable[Event]) -> list[tuple[str, int]]:
    """Type and installment of each event."""
    return [(event.type, event.installment_no) for event in events if isinstance(event, InstallmentEvent)]
