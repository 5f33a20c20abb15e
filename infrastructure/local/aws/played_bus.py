"""The application's bus: what was put to it, and the rules that bring events to queues."""

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from infrastructure.local.aws.bus_rules import BusRule, bus_event


class PlayedBus:
    """`at` has something done at an instant of the `clock`, `put` puts a message into a queue; `emitted` is every event
    that the bus took, in the form in which rules and their targets see it.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        at: Callable[[datetime, Callable[[], None]], None],
        put: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._at = at
        self._put = put
        self._rules: list[BusRule] = []
        self.emitted: list[dict[str, Any]] = []

    def add(self, rule: BusRule) -> None:
        """Obey a rule of the template from now on."""
        self._rules.append(rule)

    def take(self, entry: dict[str, Any]) -> None:
        """Keep an entry that the bus took, and bring it to the queues whose rules ask for it."""
        event = bus_event(entry, str(uuid.UUID(int=len(self.emitted))), self._clock())
        self.emitted.append(event)
        for rule in self._rules:
            if rule.bus == entry["EventBusName"].rpartition("/")[2]:
                for stated in rule.stated(event):
                    self._at(self._clock(), partial(self._put, stated.target_arn, stated.body))

    def handed_over(self) -> list[dict[str, Any]]:
        """What was handed over to collections, as often as the bus took it."""
        return [
            one["detail"]
            for one in self.emitted
            if (one["source"], one["detail-type"]) == ("predue", "InstallmentOverdue")
        ]
