"""From the table's stream to the bus: what a change of an item tells, and telling it, ten events a call.

The order of a stream is kept: whatever could not be told is named to Lambda, which brings it and all after it again. An
item that cannot be read would hold its shard up for a day, so it is ignored, counted and named in the log, and told
by hand once the cause is mended (docs/operations.md).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from predue.errors import PredueError, Unreachable
from predue.outbound.published import Published
from predue.runtime.telemetry import count, failures, logger

MOST_ENTRIES = 10
"""PutEvents takes at most ten entries a call (API reference)."""
_ENOUGH_MS = 10_000
"""What one call of the bus may need: four tries, and the SDK's waits between them, end sooner."""


EventsOf = Callable[[Mapping[str, Any]], list[Published]]
"""The events that a change of the table tells; raises Unusable for an item that cannot be read."""


class StreamEvent(NamedTuple):
    """An event, and the place in the stream that it comes from, which events of one change share."""

    sequence_number: str
    event: Published


class EventsBus(Protocol):
    """The application's bus."""

    def publish(self, events: Sequence[Published]) -> dict[int, str]:
        """Put at most ten events; returns the code of each that was not taken, by its place; raises Unreachable."""


def publish(
    changes: Sequence[Mapping[str, Any]], events_of: EventsOf, bus: EventsBus, time_left_ms: Callable[[], int]
) -> dict[str, Any]:
    """Tell what changes of the table mean; the answer names the first that could not be told, from which Lambda goes on
    (developer guide, "Configuring partial batch response with DynamoDB and Lambda").
    """
    entries = list(_stream_events(changes, events_of))
    done: Counter[str] = Counter()
    unpublished: StreamEvent | None = None
    for start in range(0, len(entries), MOST_ENTRIES):
        some = entries[start : start + MOST_ENTRIES]
        unpublished = some[0] if time_left_ms() < _ENOUGH_MS else _first_unpublished(some, bus)
        done.update(one.event.type for one in (some if unpublished is None else some[: some.index(unpublished)]))
        if unpublished:
            break
    for kind, number in done.items():
        count(f"Published{kind}", number)
    logger.info("published", done=dict(done), whole=unpublished is None)
    return {"batchItemFailures": [{"itemIdentifier": unpublished.sequence_number}] if unpublished else []}


def _stream_events(changes: Sequence[Mapping[str, Any]], events_of: EventsOf) -> Iterator[StreamEvent]:
    for change in changes:
        images = change["dynamodb"]
        try:
            with failures("a change of the table cannot be told"):
                events = events_of(change)
        except PredueError:
            logger.error("passed over", keys=images.get("Keys"), sequence_number=images["SequenceNumber"])
            continue
        yield from (StreamEvent(images["SequenceNumber"], event) for event in events)


def _first_unpublished(some: Sequence[StreamEvent], bus: EventsBus) -> StreamEvent | None:
    """Put some events, and say which is the first that was not taken; those after it are told again, too."""
    failed = dict.fromkeys(range(len(some)), "no answer")
    with suppress(PredueError), failures("events could not be published"):
        failed = bus.publish([one.event for one in some])
        if failed:
            raise Unreachable(f"event bus: {failed[min(failed)]}")
    return some[min(failed)] if failed else None
