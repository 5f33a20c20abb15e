"""Queues the reminders of every slot that has come since the last run; called every quarter hour."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from predue import wiring
from predue.aws.shard_runs import fan_out
from predue.reminders.planner import plan
from predue.runtime.telemetry import count, failures, logger, metrics


def _plan_shard(shard: int, target: datetime, time_left: Callable[[], float]) -> bool:
    with failures("the planner failed"):
        tally, finished = plan(shard, target, wiring.planning(time_left))
    count("JobsQueued", tally.queued)
    if tally.held:
        count("VolumeHeld")
    logger.info(
        "planned",
        shard=shard,
        queued=tally.queued,
        settled=tally.settled,
        dropped=tally.dropped,
        held=tally.held,
        finished=finished,
    )
    return finished


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> None:
    """Plan up to now; `{"shard": n, "target": instant}` goes on with one shard."""
    fan_out(event, context, _plan_shard)
