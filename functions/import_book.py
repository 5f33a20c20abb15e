"""Imports files that were put into the bucket, chunk by chunk (docs/architecture.md, "Files")."""

from typing import Any

from predue import wiring
from predue.imports.import_messages import take
from predue.runtime.batches import each
from predue.runtime.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a message about a file, and answer whether it is to be brought again."""
    return each(event, lambda body: take(body, context.get_remaining_time_in_millis, wiring.imports))
