"""Events that a loan system has put on the application's bus, as the rule of the bus hands them over.

Who may put events there, and under which `source`, is a matter of IAM (docs/connectors.md); here the `source` alone
tells whose events it is.
"""

from collections.abc import Iterable
from typing import Any

from predue.errors import InvalidEvent
from predue.events import strict_json
from predue.inbound.deliveries import Delivery
from predue.inbound.sources import Source

MESSAGE = "LoanSystemMessage"
"""The detail-type of a message in a form other than predue's own, which says itself what it is."""


def read(text: str, sources: Iterable[Source]) -> Delivery:
    """The message of one event, and whose it is; raises InvalidEvent for one that is nobody's."""
    try:
        event = strict_json.read(text)
    except ValueError:
        raise InvalidEvent("event: is no JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("detail"), dict):
        raise InvalidEvent("detail: is no object")
    source = next((one for one in sources if one.bus is not None and one.bus == event.get("source")), None)
    if source is None:
        raise InvalidEvent("source: no source has this name on the bus")
    return Delivery(
        source, single=True, messages=(_message_of_detail(event["detail"], event.get("detail-type"), source),)
    )


def _message_of_detail(detail: dict[str, Any], kind: object, source: Source) -> dict[str, Any]:
    """The message in an event's detail; in predue's own form the detail-type is its type."""
    if source.form != "predue":
        if kind != MESSAGE:
            raise InvalidEvent(f"detail-type: a message of this form comes as {MESSAGE}")
        return detail
    filled = {"type": kind, **detail}
    if filled["type"] != kind:
        raise InvalidEvent("type: differs from the detail-type")
    return filled
