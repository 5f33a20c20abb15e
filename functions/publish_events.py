"""Tells on the application's bus what became of reminders and who opted out, from the table's stream."""

from typing import Any

from predue import wiring
from predue.aws.stream_changes import events_of
from predue.outbound.publishing import publish
from predue.runtime.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of changes; answer with the first that could not be told."""
    return publish(event["Records"], events_of, wiring.bus(), context.get_remaining_time_in_millis)
