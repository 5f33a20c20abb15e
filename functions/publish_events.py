"""Tells on the application's bus what became of reminders and who opted out, from the table's stream."""

from typing import Any

from predue.aws.bus import EventBus
from predue.aws.publishing import publish
from predue.aws.settings import env
from predue.aws.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of changes; answer with the first that could not be told."""
    return publish(event["Records"], EventBus(env("BUS_NAME")), context.get_remaining_time_in_millis)
