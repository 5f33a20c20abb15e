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
from predue.aws.cases import read_case
from predue.aws.telemetry import count, failures, logger
from predue.errors import PredueError, Unreachable, Unusable
from predue.published import Published, case_opened, early_warning, opted_out, outcome_of

_ENOUGH_MS = 10_000
"""What one call of the bus may need: four tries, and the SDK's waits between them, end sooner."""


class Told(NamedTuple):
    """An event, and the place in the stream that it comes from, which events of one change share."""

    sequence_number: str
    event: Published


def events_of(change: Mapping[str, Any]) -> list[Published]:
    """The events that a change of the table tells; raises Unusable for an item that cannot be read."""
    images = change["dynamodb"]
    if "NewImage" not in images:
        return []
    try:
        new, old = (items.plain(images.get(name, {})) for name in ("NewImage", "OldImage"))
        match new["sk"][:2]:
            case "R#":
                return [outcome_of(items.read_record(new))] if old.get("outcome") != new["outcome"] else []
            case "S#" if change["eventName"] == "INSERT":
                return _stop_of(new)
            case "K#":
                return _case_of(new, old)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"an item of the stream cannot be read: {type(error).__name__}") from error
    return []


def _case_of(new: items.Item, old: items.Item) -> list[Published]:
    """A case that is new, and those of its early warnings that are."""
    case = read_case(new)
    opened = [] if old else [case_opened(case)]
    return opened + [early_warning(case, signal) for signal in case.signals if signal not in old]


def _stop_of(item: items.Item) -> list[Published]:
    said = json.loads(item["said"])
    if said["type"] != "borrower.opted_out":
        return []
    at, sequence = instant.from_ms(int(item["at"])), int(said.get("sequence", 0))
    return [opted_out(item["pk"][2:], item["sk"], said["channel"], item["source"], sequence, at)]


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
                events = events_of(change)
        except PredueError:
            logger.error("passed over", keys=images.get("Keys"), sequence_number=images["SequenceNumber"])
            continue
        yield from (Told(images["SequenceNumber"], event) for event in events)


def _first_untold(some: Sequence[Told], bus: EventBus) -> Told | None:
    """Put some events, and say which is the first that was not taken; those after it are told again, too."""
    failed = dict.fromkeys(range(len(some)), "no answer")
    with suppress(PredueError), failures("events could not be published"):
        failed = bus.publish([one.event for one in some])
        if failed:
            raise Unreachable(f"event bus: {failed[min(failed)]}")
    return some[min(failed)] if failed else None
