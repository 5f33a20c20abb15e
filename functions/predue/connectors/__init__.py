"""What other systems send, turned into events: one file a form, each loaded only when it is used.

`read` is the way in. It has no side effect and knows no AWS; whoever receives a request calls it, applies every event
by `predue.events.applying.apply`, and acknowledges after that.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from predue.connectors.form import MOST_EVENTS, Form, Installments, MessageSource, Reading, Settings
from predue.errors import InvalidEvent


def _form(module: str) -> Form:
    """A form whose module is imported at its first message."""

    def read_form(body: Any, source: MessageSource, headers: Mapping[str, str]) -> Reading:
        reading: Reading = import_module(f"predue.connectors.{module}").read(body, source, headers)
        return reading

    return read_form


FORMS: Mapping[str, Form] = {
    "predue": _form("native"),
    "cloudevents": _form("cloudevents"),
    "fineract": _form("fineract"),
    "mambu": _form("mambu"),
    "mapping": _form("mapping"),
}


def read(form: str, body: Any, source: MessageSource, headers: Mapping[str, str] | None = None) -> Reading:
    """The events that a request's body becomes; all of them or none.

    `body` is parsed JSON, or the bytes of an Avro message for `fineract`. `headers` are the request's. Raises
    InvalidEvent naming the field and never a value, BadPolicy if the source's own settings cannot be used.
    """
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    reading = FORMS[form](body, source, lower)
    if len(reading.events) > MOST_EVENTS:
        raise InvalidEvent(f"message: becomes more than {MOST_EVENTS} events")
    known: dict[str, str] = {}
    for event in reading.events:
        if known.setdefault(event.identity, event.digest) != event.digest:
            raise InvalidEvent("event_id: the message gives it to two different events")
    return reading


__all__ = ["FORMS", "Form", "Installments", "MessageSource", "Reading", "Settings", "read"]
