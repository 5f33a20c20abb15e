"""Rules of an event bus: which events they let through, and the form in which these reach a queue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infrastructure.local.template import ACCOUNT, REGION, Resource, TemplateError


@dataclass(frozen=True)
class BusRule:
    """One rule of the template: its bus, its pattern and the queues that it feeds."""

    bus: str
    pattern: Mapping[str, Any]
    queues: tuple[str, ...]

    @classmethod
    def of(cls, resource: Resource) -> "BusRule":
        """The rule that a template describes."""
        targets = resource.get("Targets")
        return cls(
            resource.get("EventBusName"), resource.get("EventPattern"), tuple(target["Arn"] for target in targets)
        )

    def fits(self, bus: str, event: Mapping[str, Any]) -> bool:
        """Whether an event on a bus goes through."""
        return bus.rpartition("/")[2] == self.bus and fits(self.pattern, event)


def fits(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether an event fits a pattern: each field of it has one of the values or forms listed (EventBridge user guide,
    "Creating EventBridge event patterns"); raises TemplateError for a form that is not known here.
    """
    return all(
        fits(wanted, event.get(name) or {})
        if isinstance(wanted, dict)
        else any(_fits_one(one, event.get(name)) for one in wanted)
        for name, wanted in pattern.items()
    )


def _fits_one(wanted: Any, value: Any) -> bool:
    match wanted:
        case {"prefix": str(beginning)}:
            return isinstance(value, str) and value.startswith(beginning)
        case {"anything-but": dict(form)}:
            return value is not None and not _fits_one(form, value)
        case {"anything-but": other}:
            return value is not None and value not in (other if isinstance(other, list) else [other])
        case dict():
            raise TemplateError(f"the form {wanted} of an event pattern is not played here")
        case _:
            return bool(wanted == value)


def bus_event(entry: Mapping[str, Any], event_id: str, now: datetime) -> dict[str, Any]:
    """What a rule hands over of an entry of PutEvents (EventBridge user guide, "Event structure")."""
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
