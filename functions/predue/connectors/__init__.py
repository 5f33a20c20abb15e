"""What other systems send, turned into the bodies of events: one file a form, each loaded only when it is used.

`read` is the way in. It has no side effect and knows no AWS; whoever receives a request calls it, applies every event
by `predue.events.applying.apply`, and acknowledges after that.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from predue.connectors.form import MOST_EVENTS, Form, Installments, MessageSource, Reading, Settings
from predue.errors import InvalidEvent
from predue.events.models import body_hash, read_event


def _form(module: str) -> Form:
    """A form whose module is imported at its first message."""

    def read_form(body: Any, source: MessageSource, headers: Mapping[str, str]) -> Reading:
        reading: Reading = import_module(f"predue.connectors.{module}").read(body, source, headers)
        return reading

    return read_form


DEEPEST = 64


def _shallow(event: Any) -> None:
    """Refuse what is nested so deeply that later steps, which are recursive, could not handle it."""
    level, depth = [event], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise InvalidEvent("message: is nested too deeply")
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for values in inner for value in values]


FORMS: Mapping[str, Form] = {
    "predue": _form("native"),
    "cloudevents": _form("cloudevents"),
    "fineract": _form("fineract"),
    "mambu": _form("mambu"),
    "mapping": _form("mapping"),
}


def read(form: str, body: Any, source: MessageSource, headers: Mapping[str, str] | None = None) -> Reading:
    """The events that a request's body becomes, each one readable by `read_event`; all of them or none.

    `body` is parsed JSON, or the bytes of an Avro message for `fineract`. `headers` are the request's. Raises
    InvalidEvent naming the field and never a value, BadPolicy if the source's own settings cannot be used.
    """
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    reading = FORMS[form](body, source, lower)
    if len(reading.events) > MOST_EVENTS:
        raise InvalidEvent(f"message: becomes more than {MOST_EVENTS} events")
    known: dict[str, str] = {}
    for event in reading.events:
        _shallow(event)
        identity, digest = read_event(event).identity, body_hash(event)
        if known.setdefault(identity, digest) != digest:
            raise InvalidEvent("event_id: the message gives it to two different events")
    return reading


__all__ = ["FORMS", "Form", "Installments", "MessageSource", "Reading", "Settings", "read"]
