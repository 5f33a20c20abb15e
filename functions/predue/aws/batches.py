"""What the queue-fed functions share: each message for itself, and one that fails does not fail its batch."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from predue.aws import desks
from predue.aws.telemetry import count, failures, logger
from predue.deliver import deliver
from predue.errors import OutOfTime
from predue.job import Job
from predue.ports import Provider

_ENOUGH_MS = 14_000
"""What a message may need: a provider's slowest answer takes 13 seconds, and one that is cut off stays unknown."""


def each(event: dict[str, Any], context: Any, handle: Callable[[str], None]) -> Any:
    """Handle the body of each message; the answer names those that failed, and the queue brings just them again."""

    def one(record: SQSRecord) -> None:
        with failures("a message failed"):
            if context.get_remaining_time_in_millis() < _ENOUGH_MS:
                raise OutOfTime("too little time is left to begin another message")
            handle(record.body)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=one, processor=processor, context=context)


def deliver_each(channel: str, make_provider: Callable[[], Provider], event: dict[str, Any], context: Any) -> Any:
    """Deliver each job of a batch on one channel."""

    def one(body: str) -> None:
        job = Job.from_json(body)
        done = deliver(job, desks.delivery(channel, make_provider()))
        count(f"Job{done.capitalize()}")
        logger.info("job", borrower_id=job.borrower_id, slot=job.slot.isoformat(), channel=channel, done=done)

    return each(event, context, one)
