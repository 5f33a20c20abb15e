"""From the table's stream to the bus: what a change of an item tells, and telling it, ten events a call.

The order of a stream is kept: whatever could not be told is named to Lambda, which brings it and all after it again. An
item that cannot be read would hold its shard up for a day, so it is passed over, counted and named in the log, and told
by hand once the cause is mended (docs/operations.md).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from predue import instant
from predue.aws import items
from predue.aws.bus import MOST_ENTRIES, EventBus
from predue.aws.telemetry import count, failures, logger
from predue.errors import PredueError, Unreachable, Unusable
from predue.published import Published, opted_out, outcome_of

_ENOUGH_MS = 10_000
"""What one call of the bus may need: four tries, and the SDK's waits between them, end sooner."""


class Told(NamedTuple):
    """An event, and the place in the stream that it comes from."""

    sequence_number: str
    event: Published


def event_of(change: Mapping[str, Any]) -> Published | None:
    """The event that a change of the table tells, if it tells one; raises Unusable for an item that cannot be read."""
    images = change["dynamodb"]
    if "NewImage" not in images:
        return None
    try:
        new = items.plain(images["NewImage"])
        if new["sk"].startswith("R#"):
            before = images.get("OldImage", {}).get("outcome")
            return None if before == images["NewImage"]["outcome"] else outcome_of(items.read_record(new))
        if new["sk"].startswith("S#") and change["eventName"] == "INSERT":
            return _stop_of(new)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"an item of the stream cannot be read: {type(error).__name__}") from error
    return None


def _stop_of(item: items.Item) -> Published | None:
    said = json.loads(item["said"])
    if said["type"] != "borrower.opted_out":
        return None
    at, sequence = instant.from_ms(int(item["at"])), int(said.get("sequence", 0))
    return opted_out(item["pk"][2:], item["sk"], said["channel"], item["source"], sequence, at)


def publish(changes: Sequence[Mapping[str, Any]], bus: EventBus, time_left_ms: Callable[[], int]) -> dict[str, Any]:
    """Tell what changes of the table mean; the answer names the first that could not be told, from which Lambda goes on
    (developer guide, "Configuring partial batch response with DynamoDB and Lambda").
    """
    told = list(_read(changes))
    done: Counter[str] = Counter()
    untold: Told | None = None
    for start in range(0, len(told), MOST_ENTRIES):
        some = told[start : start + MOST_ENTRIES]
        untold = some[0] if time_left_ms() < _ENOUGH_MS else _first_untold(some, bus)
        done.update(one.event.type for one in (some if untold is None else some[: some.index(untold)]))
        if untold:
            break
    for kind, number in done.items():
        count(f"Told{kind}", number)
    logger.info("published", done=dict(done), whole=untold is None)
    return {"batchItemFailures": [{"itemIdentifier": untold.sequence_number}] if untold else []}


def _read(changes: Sequence[Mapping[str, Any]]) -> Iterator[Told]:
    for change in changes:
        images = change["dynamodb"]
        try:
            with failures("a change of the table cannot be told"):
                event = event_of(change)
        except PredueError:
            logger.error("passed over", keys=images.get("Keys"), sequence_number=images["SequenceNumber"])
            continue
        if event is not None:
            yield Told(images["SequenceNumber"], event)


def _first_untold(some: Sequence[Told], bus: EventBus) -> Told | None:
    """Put some events, and say which is the first that was not taken; those after it are told again, too."""
    failed = dict.fromkeys(range(len(some)), "no answer")
    with suppress(PredueError), failures("events could not be published"):
        failed = bus.publish([one.event for one in some])
        if failed:
            raise Unreachable(f"event bus: {failed[min(failed)]}")
    return some[min(failed)] if failed else None
