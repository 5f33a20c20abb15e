"""What the queue-fed functions share: each message for itself, and one that fails does not fail its batch.

The answer's form is Lambda's own (developer guide, "Reporting batch item failures"). Powertools' batch utility makes
the same one, at a noticeable part of these functions' cold start.
"""

from collections.abc import Callable, Sequence
from typing import Any

from predue.errors import OutOfTime

EachOf = Callable[[Callable[[Any], bool], Sequence[Any]], list[bool]]
"""How the messages of a batch are gone through; workers.each_of takes several at a time."""

_ENOUGH_MS = 14_000
"""What a message may need: a provider's slowest answer takes 13 seconds, and one that is cut off stays unknown."""


def _one_by_one(work: Callable[[Any], bool], items: Sequence[Any]) -> list[bool]:
    return [work(item) for item in items]


def each(event: dict[str, Any], handle: Callable[[str], None], each_of: EachOf = _one_by_one) -> dict[str, Any]:
    """Handle the body of each message; the answer names those that failed, and the queue brings just them again."""
    records = event["Records"]
    done = each_of(lambda record: _handled(record["body"], handle), records)
    failed = [record["messageId"] for record, well in zip(records, done, strict=True) if not well]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _handled(body: str, handle: Callable[[str], None]) -> bool:
    try:
        handle(body)
    except Exception:  # noqa: BLE001 - logged by whoever handles; here it only says which message comes again
        return False
    return True


def check_time(context: Any) -> None:
    """Raise OutOfTime when too little of the function's time is left to begin anything more."""
    if context.get_remaining_time_in_millis() < _ENOUGH_MS:
        raise OutOfTime("too little time is left to begin another message")
