"""Takes the providers' events into the records, and acts on bounces and complaints."""

import json
from collections import Counter
from typing import Any

from predue import wiring
from predue.errors import Unusable
from predue.reminders.receipts import note, read_receipt
from predue.runtime import clock
from predue.runtime.batches import check_time, each
from predue.runtime.telemetry import count, failures, logger, metrics
from predue.runtime.workers import each_of


def _one(body: str) -> str:
    """Take in one event, and say in a word what it was."""
    try:
        event = json.loads(body)
    except ValueError as error:
        raise Unusable("a message on the receipts queue is no JSON") from error
    if not isinstance(event, dict):
        raise Unusable("a message on the receipts queue is no provider's event")
    receipt = read_receipt(event)
    if receipt is None:
        return "ignored"
    store = wiring.table()
    note(receipt, clock.now(), store, store, store)
    logger.debug("receipt", reminder_id=receipt.reminder_id, status=receipt.status)
    return receipt.status


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of events; answer with those to be brought again."""
    taken: list[str] = []

    def one(body: str) -> None:
        with failures("a receipt failed"):
            check_time(context)
            taken.append(_one(body))

    # Side by side: the statuses of one record only rise, in whatever order they come.
    answer = each(event, one, each_of)
    tally = Counter(taken)
    for status, number in tally.items():
        count(f"Receipt{status.title().replace('_', '')}", number)
    logger.info("receipts", done=dict(tally))
    return answer
