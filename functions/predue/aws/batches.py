"""What the queue-fed functions share: each message for itself, and one that fails does not fail its batch.

The answer's form is Lambda's own (developer guide, "Reporting batch item failures"). Powertools' batch utility makes
the same one, at a noticeable part of these functions' cold start.
"""

from collections.abc import Callable
from typing import Any

from predue.errors import OutOfTime

_ENOUGH_MS = 14_000
"""What a message may need: a provider's slowest answer takes 13 seconds, and one that is cut off stays unknown."""


def each(event: dict[str, Any], handle: Callable[[str], None]) -> dict[str, Any]:
    """Handle the body of each message; the answer names those that failed, and the queue brings just them again."""
    failed = [record["messageId"] for record in event["Records"] if not _handled(record["body"], handle)]
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
