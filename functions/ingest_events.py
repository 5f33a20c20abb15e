"""Takes events that loan systems put on the application's bus (docs/connectors.md, "Over EventBridge")."""

from typing import Any

from predue import wiring
from predue.inbound import bus_messages
from predue.runtime.batches import each
from predue.runtime.telemetry import failures, logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of events; answer with those to be brought again."""

    def one(body: str) -> None:
        with failures("an event from the bus failed"):
            bus_messages.take(body, context.get_remaining_time_in_millis, wiring.bus_messages())

    return each(event, one)
