"""Takes the providers' events into the records, and acts on bounces and complaints."""

import json
from typing import Any

from predue.aws import clock, desks
from predue.aws.batches import each
from predue.aws.telemetry import count, logger, metrics
from predue.errors import Unusable
from predue.receipt import note, read_receipt


def _one(body: str) -> None:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise Unusable("a message on the receipts queue is no JSON") from error
    if not isinstance(event, dict):
        raise Unusable("a message on the receipts queue is no provider's event")
    receipt = read_receipt(event)
    if receipt is None:
        count("ReceiptPassedOver")
        return
    store = desks.table()
    note(receipt, clock.now(), store, store, store)
    count(f"Receipt{receipt.status.capitalize()}")
    logger.info("receipt", reminder_id=receipt.reminder_id, status=receipt.status)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of events; answer with those to be brought again."""
    return each(event, context, _one)
