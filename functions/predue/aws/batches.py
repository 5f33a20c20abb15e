"""What the queue-fed functions share: each message for itself, and one that fails does not fail its batch."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from predue.errors import OutOfTime

_ENOUGH_MS = 14_000
"""What a message may need: a provider's slowest answer takes 13 seconds, and one that is cut off stays unknown."""


def each(event: dict[str, Any], context: Any, handle: Callable[[str], None]) -> Any:
    """Handle the body of each message; the answer names those that failed, and the queue brings just them again."""

    def one(record: SQSRecord) -> None:
        handle(record.body)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=one, processor=processor, context=context)


def check_time(context: Any) -> None:
    """Raise OutOfTime when too little of the function's time is left to begin anything more."""
    if context.get_remaining_time_in_millis() < _ENOUGH_MS:
        raise OutOfTime("too little time is left to begin another message")
