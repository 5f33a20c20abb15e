"""CloudEvents 1.0: structured JSON (`application/cloudevents+json`), batches, and binary mode over HTTP.

Source: the CloudEvents specification 1.0.2, its JSON format and HTTP binding, and the extension `sequence`. The SDK
is not used: what is needed of it is less than it takes to call.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from predue.connectors.fields import Fields
from predue.connectors.form import MessageSource, Reading
from predue.errors import InvalidEvent
from predue.events import models as ev
from predue.events import strict_json

_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*')
_ESCAPED = re.compile(r"\\(.)")


def read(body: Any, source: MessageSource, headers: Mapping[str, str]) -> Reading:
    """One event, a batch of them, or in binary mode the data with the attributes in `ce-` headers."""
    if "ce-specversion" in headers:
        attributes = {name[3:]: _attribute(name, value) for name, value in headers.items() if name.startswith("ce-")}
        return _one_event(Fields.of({**attributes, "data": body}), source)
    stated = body if isinstance(body, list) else [body]
    reading = Reading()
    for index, one in enumerate(stated):
        reading += _one_event(Fields.of(one, f"[{index}]" if isinstance(body, list) else ""), source)
    return reading


def _attribute(name: str, value: str) -> str:
    """An attribute's value out of its header: perhaps quoted, then percent-encoded in UTF-8 (HTTP binding, 3.1.3.2)."""
    if (quoted := _QUOTED.fullmatch(value)) is not None:
        value = _ESCAPED.sub(r"\1", quoted[1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidEvent(f"{name}: is not percent-encoded in UTF-8") from None


def _one_event(event: Fields, source: MessageSource) -> Reading:
    if event.text("specversion") != "1.0":
        raise InvalidEvent(f"{event.name('specversion')}: is not 1.0")
    kind = _type(event.text("type"))
    if kind is None:
        return Reading(ignored=("type",))
    stated: dict[str, Any] = {
        **_data(event).raw,
        "type": kind,
        "event_id": _event_id(event),
        "source": source.name,
    }
    if event.has("time"):
        stated.setdefault("occurred_at", event.text("time"))
    if event.has("sequence"):
        stated["sequence"] = event.whole("sequence")
    return Reading((ev.read_event(stated),))


def _event_id(event: Fields) -> str:
    """The event's id; before it stands a hash of its source, since only the two together are unique."""
    origin = hashlib.sha256(event.text("source").encode("utf-8", "replace")).hexdigest()[:12]
    return f"{origin}/{event.text('id')}"


def _type(name: str) -> str | None:
    """Our type, with or without a prefix of the lender's such as `com.example.`."""
    return next((kind for kind in ev.TYPES if name == kind or name.endswith(f".{kind}")), None)


def _data(event: Fields) -> Fields:
    if not event.has("data_base64"):
        return event.part("data")
    try:
        data = strict_json.read(base64.b64decode(event.text("data_base64"), validate=True))
    except (binascii.Error, ValueError):
        raise InvalidEvent(f"{event.name('data_base64')}: holds no JSON") from None
    return Fields.of(data, event.name("data_base64"))
