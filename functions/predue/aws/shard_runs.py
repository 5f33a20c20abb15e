"""What the scheduled functions share: fanning out by shard, and going on when time runs out."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from predue.aws.clients import client, translated
from predue.domain import instant
from predue.runtime.clock import now
from predue.runtime.settings import env

Run = Callable[[int, datetime, Callable[[], float]], bool]


def fan_out(event: dict[str, Any], context: Any, run: Run) -> None:
    """Run one shard; a scheduled call without a shard starts all of them, its own function once for each other one.

    `run` takes shard, target instant and a function that tells the seconds left; it returns False if it must be
    called again.
    """

    def time_left() -> float:
        return float(context.get_remaining_time_in_millis()) / 1000

    if "shard" in event:
        shards, target = [int(event["shard"])], instant.from_text(event["target"])
    else:
        shards, target = list(range(int(env("SHARDS")))), now()
    for other in shards[1:]:
        _invoke_for(other, target)
    if not run(shards[0], target, time_left):
        _invoke_for(shards[0], target)


def _invoke_for(shard: int, target: datetime) -> None:
    """Call this very function for a shard, asynchronously; Lambda repeats it on failure, then puts it into the dead
    letters.
    """
    payload = json.dumps({"shard": shard, "target": instant.to_text(target)})
    with translated("own function"):
        client("lambda").invoke(
            FunctionName=env("AWS_LAMBDA_FUNCTION_NAME"), InvocationType="Event", Payload=payload.encode()
        )
