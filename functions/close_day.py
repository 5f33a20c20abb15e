"""Closes local days whose allowed hours are over, and hands over what left its grace unpaid; called every quarter
hour.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from predue import wiring
from predue.aws.shard_runs import fan_out
from predue.errors import LeftOut
from predue.reminders.closing import close
from predue.runtime.telemetry import count, failures, logger, metrics


def _close_shard(shard: int, target: datetime, time_left: Callable[[], float]) -> bool:
    with failures("the closing run failed"):
        tally, finished = close(shard, target, wiring.closing(time_left))
    count("StagesExpired", tally.expired)
    count("OutcomesUnknown", tally.unknown)
    if shard == 0:
        oldest = wiring.plans().oldest_parked()
        count("OldestParkedHours", 0 if oldest is None else (target - oldest) / timedelta(hours=1))
    logger.info(
        "closed",
        shard=shard,
        expired=tally.expired,
        unknown=tally.unknown,
        handed_over=tally.handed_over,
        left_out=tally.failed,
        finished=finished,
    )
    if finished and tally.failed:
        # So that the function's own alarm says it; each of them is logged.
        raise LeftOut(f"{tally.failed} borrowers are left to the next closing run")
    return finished


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> None:
    """Close up to now; `{"shard": n, "target": instant}` goes on with one shard."""
    fan_out(event, context, _close_shard)
