"""What the deliver functions share: the desk of a channel, and a batch of messages of jobs."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from predue.aws import clock, desks, settings
from predue.aws.batches import check_time, each
from predue.aws.queues import OneOffSchedules, SqsQueues
from predue.aws.settings import env
from predue.aws.telemetry import count, failures, logger
from predue.aws.workers import each_of
from predue.deliver import Desk, deliver
from predue.gate import DELIVERED
from predue.job import Job, parts
from predue.ports import Provider

_AGAIN_SECONDS = 60
"""After so long a job whose pack was done without it comes back by itself."""


def deliver_each(channel: str, make_provider: Callable[[], Provider], event: dict[str, Any], context: Any) -> Any:
    """Deliver the jobs of a batch of messages on one channel."""
    tally: Counter[str] = Counter()
    # Once an invocation, but when the first job asks: what is missing fails that job, and closes.
    adapters = cache(lambda: desk_maker(channel, make_provider))

    def one(part: Any) -> str:
        with failures("a job failed"):
            check_time(context)
            job = Job.read(part)
            done = deliver(job, adapters()())
        logger.debug("job", borrower_id=job.borrower_id, slot=job.slot.isoformat(), channel=channel, done=done)
        return done

    def tried(part: Any) -> str | None:
        try:
            return one(part)
        except Exception:  # noqa: BLE001 - logged already; the job goes its own way, whatever was wrong with it
            return None

    def message(body: str) -> None:
        with failures("a message failed"):
            jobs = parts(body)
        if len(jobs) == 1:
            tally[one(jobs[0])] += 1
            return
        for part, done in zip(jobs, each_of(tried, jobs), strict=True):
            if done is None:
                # One job must not bring back the others of its pack, nor count their failures: it goes on alone.
                SqsQueues(desks.queue_urls()).put_back(channel, json.dumps(part), _AGAIN_SECONDS)
            tally[done or "alone"] += 1

    answer = each(event, message)
    for done, number in tally.items():
        count(f"Job{done.capitalize()}", number)
    logger.info("delivered", channel=channel, done=dict(tally))
    return answer


def _later() -> OneOffSchedules:
    arns = {channel: env(f"{channel.upper()}_QUEUE_ARN") for channel in DELIVERED}
    return OneOffSchedules(arns, env("DEFER_GROUP"), env("DEFER_ROLE_ARN"), env("DEFER_DLQ_ARN"))


def desk_maker(channel: str, make_provider: Callable[[], Provider]) -> Callable[[], Desk]:
    """What makes the desk of delivery on one channel, each time with the controls as they stand then."""
    store = desks.table()
    queues, later, provider = SqsQueues(desks.queue_urls()), _later(), make_provider()
    lease = timedelta(seconds=int(env("LEASE_SECONDS")))

    def desk() -> Desk:
        controls = settings.controls()
        return Desk(
            channel=channel,
            borrowers=store,
            addresses=store,
            queues=queues,
            later=later,
            provider=provider,
            rulebook=controls.rulebook,
            switches=controls.switches,
            clock=clock.now,
            unsubscribe_url=unsubscribe_url if channel == "email" else _no_link,
            lease=lease,
        )

    return desk


def unsubscribe_url(ref: str) -> str:
    """The one-click link that stops email for the borrower behind an opaque name."""
    return f"{env('PUBLIC_URL')}/unsubscribe/{settings.keys().stop_token(ref, 'email')}"


def _no_link(_ref: str) -> str:
    return ""
