"""Takes news that loan systems put on the application's bus (docs/connectors.md, "Over EventBridge")."""

from typing import Any

from predue.aws import bus_intake
from predue.aws.batches import each
from predue.aws.telemetry import failures, logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of events; answer with those to be brought again."""

    def one(body: str) -> None:
        with failures("news from the bus failed"):
            bus_intake.take(body, context.get_remaining_time_in_millis)

    return each(event, one)
