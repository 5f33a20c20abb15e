"""News from the application's bus: each message of the queue taken as a webhook's would be.

Nobody waits for an answer. What may be taken later comes again by the queue. What is refused for good goes to the dead
letters at once, with the names of the fields that are wrong: another try would say the same, and it must not be lost.
"""

import json
from collections.abc import Callable

from predue import bus_event
from predue.aws import settings, taking
from predue.aws.clients import client, translated
from predue.aws.settings import env
from predue.aws.telemetry import count, logger
from predue.errors import BadNews, OutOfTime, Unreachable

_LONGEST_REASON = 500


def take(text: str, time_left_ms: Callable[[], int]) -> None:
    """Take one event; raises what lets the queue bring it again."""
    if time_left_ms() < taking.ENOUGH_MS:
        raise OutOfTime("too little time is left to begin another message")
    try:
        told = bus_event.read(text, settings.sources().values())
    except BadNews as fault:
        count("NewsRefused")
        _lay_aside(text, fault)
        return
    came = taking.outcomes(told, time_left_ms)
    taking.tell("bus", told, came)
    (outcome,) = came
    if outcome is None:
        raise Unreachable("not taken yet; the queue brings it again")
    if isinstance(outcome, BadNews):
        _lay_aside(text, outcome)


def _lay_aside(text: str, fault: BadNews) -> None:
    """Put a refused event where an operator finds it, and say which fields are wrong; its values stay in it."""
    fields = [field for field, _ in fault.fields]
    logger.warning("news from the bus is refused", error=type(fault).__name__, fields=fields)
    reason = "; ".join(f"{field}: {words}" for field, words in fault.fields)
    attribute = {"DataType": "String", "StringValue": json.dumps(reason)[:_LONGEST_REASON]}
    with translated("dead letters"):
        client("sqs").send_message(
            QueueUrl=env("NEWS_DEAD_LETTERS_URL"), MessageBody=text, MessageAttributes={"reason": attribute}
        )
