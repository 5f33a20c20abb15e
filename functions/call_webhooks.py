"""Calls the lender's systems with what predue tells, by signed webhook."""

from typing import Any

from predue import wiring
from predue.outbound.webhook_dispatcher import call_each
from predue.runtime.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of events; answer with those to be brought again."""
    return call_each(event, context, wiring.webhook_dispatcher())
