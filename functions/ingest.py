"""Takes events from loan systems by webhook: dues, payments, stops, holds (docs/architecture.md, "The webhook")."""

from typing import Any

from predue import wiring
from predue.inbound import webhook_request
from predue.runtime.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request of the HTTP API, payload format 2.0."""
    answer = webhook_request.answer(event, context.get_remaining_time_in_millis, wiring.sources, wiring.processor())
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store"}
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    return {"statusCode": answer.status, "headers": headers, "body": answer.body, "isBase64Encoded": False}
