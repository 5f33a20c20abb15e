"""Events from the application's bus: each message of the queue taken as a webhook's would be.

Nobody waits for an answer. What may be taken later comes again by the queue. What is refused for good goes to the dead
letters at once, with the names of the fields that are wrong: another try would say the same, and it must not be lost.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from predue.errors import BadPolicy, InvalidEvent, OutOfTime, Unreachable
from predue.inbound import bus_event, event_processor
from predue.inbound.event_processor import ProcessorAdapters
from predue.inbound.sources import Named, Source
from predue.runtime.telemetry import count, logger

_LONGEST_REASON = 500


@dataclass(frozen=True)
class BusAdapters:
    """What taking events from the bus works with; `to_dead_letters` puts a text into the dead letters with a reason."""

    processor: ProcessorAdapters
    sources: Callable[[], Named[Source]]
    to_dead_letters: Callable[[str, str], None]


def take(text: str, time_left_ms: Callable[[], int], adapters: BusAdapters) -> None:
    """Take one event; raises what lets the queue bring it again."""
    if time_left_ms() < event_processor.ENOUGH_MS:
        raise OutOfTime("too little time is left to begin another message")
    sources = adapters.sources()
    try:
        received = bus_event.read(text, sources.values())
    except InvalidEvent as fault:
        if sources.wrong and "source" in dict(fault.fields):
            raise BadPolicy("a source is wrong, and its name on the bus unknown with it; mend its setting") from fault
        count("EventsRejected")
        _to_dead_letters(text, fault, adapters)
        return
    came = event_processor.outcomes(received, time_left_ms, adapters.processor)
    event_processor.log_outcomes("bus", received, came)
    (outcome,) = came
    if outcome is None:
        raise Unreachable("not taken yet; the queue brings it again")
    if isinstance(outcome, InvalidEvent):
        _to_dead_letters(text, outcome, adapters)


def _to_dead_letters(text: str, fault: InvalidEvent, adapters: BusAdapters) -> None:
    """Put a refused event where an operator finds it, and say which fields are wrong; its values stay in it."""
    fields = [field for field, _ in fault.fields]
    logger.warning("an event from the bus is rejected", error=type(fault).__name__, fields=fields)
    reason = "; ".join(f"{field}: {words}" for field, words in fault.fields)
    adapters.to_dead_letters(text, json.dumps(reason)[:_LONGEST_REASON])
