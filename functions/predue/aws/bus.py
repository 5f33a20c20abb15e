"""The application's event bus."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from predue.aws.clients import client, translated
from predue.domain.due import Due
from predue.errors import Unreachable
from predue.outbound.published import SOURCE, Published, overdue


class EventBus:
    """Implements the port Bus over EventBridge."""

    def __init__(self, name: str) -> None:
        self._name = name

    def overdue(self, due: Due, event_id: str, at: datetime) -> None:
        """See Bus; the detail holds ids and figures, no personal data."""
        if failed := self.publish([overdue(due, event_id, at)]):
            raise Unreachable(f"event bus: {failed[0]}")

    def publish(self, events: Sequence[Published]) -> dict[int, str]:
        """Put at most ten events; returns the code of each that was not taken, by its place.

        Raises Unreachable if the call was not answered, when some may have been taken.
        """
        with translated("event bus"):
            answer = client("events").put_events(Entries=[self._entry(event) for event in events])
        return {
            place: str(entry["ErrorCode"]) for place, entry in enumerate(answer["Entries"]) if entry.get("ErrorCode")
        }

    def _entry(self, event: Published) -> dict[str, Any]:
        return {
            "Source": SOURCE,
            "DetailType": event.type,
            "Detail": json.dumps(event.detail()),
            "EventBusName": self._name,
            "Time": event.at,
        }
