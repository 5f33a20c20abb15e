"""Rules of an event bus, as EventBridge plays them: which events they take, and what their targets are told.

Source: EventBridge user guide, "Event patterns" and "Input transformation".
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from moto.events.models import EventPattern

from infrastructure.local.sam.template import ACCOUNT, REGION, Resource, TemplateError

_PLACEHOLDER = re.compile(r"<([\w.-]+)>")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class TargetMessage(NamedTuple):
    """What one target hears of an event."""

    target_arn: str
    body: str


class BusRule:
    """One rule of the templates; `bus` is the bus's name or ARN, or empty for the account's default bus."""

    def __init__(self, resource: Resource) -> None:
        self.bus = str(resource.get("EventBusName", default=""))
        self._pattern = EventPattern(None, resource.get("EventPattern"))
        self._targets = resource.get("Targets")
        self._enabled = resource.get("State", default="ENABLED") == "ENABLED"

    def stated(self, event: dict[str, Any]) -> Iterator[TargetMessage]:
        """What each target hears of an event: nothing, if the rule does not take it."""
        if not self._enabled or not self._pattern.matches_event(event):  # type: ignore[arg-type]  # moto's own form
            return
        for target in self._targets:
            yield TargetMessage(target["Arn"], _input(target, event))


def bus_event(entry: Mapping[str, Any], event_id: str, now: datetime) -> dict[str, Any]:
    """The event that an entry of PutEvents becomes (user guide, "Event structure")."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": ACCOUNT,
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": list(entry.get("Resources", ())),
        "detail": json.loads(entry["Detail"]),
    }


def _input(target: dict[str, Any], event: dict[str, Any]) -> str:
    if "InputTransformer" in target:
        found = {name: _at(path, event) for name, path in target["InputTransformer"]["InputPathsMap"].items()}
        template: str = target["InputTransformer"]["InputTemplate"]
        return _PLACEHOLDER.sub(lambda name: json.dumps(found[name[1]]), template)
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], event))
    return json.dumps(event)


def _at(path: str, event: Any) -> Any:
    """What a JSON path of names and indices leads to; nothing where it leads nowhere."""
    if not path.startswith("$"):
        raise TemplateError(f"{path!r} is no JSON path that is played here")
    value = event
    for name, index in _STEP.findall(path[1:]):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return ""
    return value
