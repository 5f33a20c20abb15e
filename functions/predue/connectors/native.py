"""The bodies of `events.jsonl` themselves: one, or a list of them."""

from collections.abc import Mapping
from typing import Any

from predue.connectors.fields import Fields
from predue.connectors.form import MessageSource, Reading
from predue.events.models import read_event


def read(body: Any, source: MessageSource, _headers: Mapping[str, str]) -> Reading:
    """The events as they stand; one that names no source gets that of the sender."""
    stated = body if isinstance(body, list) else [body]
    return Reading(tuple(read_event({"source": source.name, **Fields.of(one).raw}) for one in stated))
