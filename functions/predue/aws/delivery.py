"""What the deliver functions share: the desk of a channel, and a batch of its jobs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from predue.aws import clock, desks, settings
from predue.aws.batches import each
from predue.aws.queues import OneOffSchedules, SqsQueues
from predue.aws.settings import env
from predue.aws.telemetry import count, logger
from predue.deliver import Desk, deliver
from predue.gate import DELIVERED
from predue.job import Job
from predue.ports import Provider


def deliver_each(channel: str, make_provider: Callable[[], Provider], event: dict[str, Any], context: Any) -> Any:
    """Deliver each job of a batch on one channel."""

    def one(body: str) -> None:
        job = Job.from_json(body)
        done = deliver(job, desk(channel, make_provider()))
        count(f"Job{done.capitalize()}")
        logger.info("job", borrower_id=job.borrower_id, slot=job.slot.isoformat(), channel=channel, done=done)

    return each(event, context, one)


def _later() -> OneOffSchedules:
    arns = {channel: env(f"{channel.upper()}_QUEUE_ARN") for channel in DELIVERED}
    return OneOffSchedules(arns, env("DEFER_GROUP"), env("DEFER_ROLE_ARN"), env("DEFER_DLQ_ARN"))


def desk(channel: str, provider: Provider) -> Desk:
    """The desk of delivery on one channel, with the controls as they stand now."""
    controls = settings.controls()
    store = desks.table()
    return Desk(
        channel=channel,
        borrowers=store,
        addresses=store,
        queues=SqsQueues(desks.queue_urls()),
        later=_later(),
        provider=provider,
        rulebook=controls.rulebook,
        switches=controls.switches,
        clock=clock.now,
        unsubscribe_url=unsubscribe_url if channel == "email" else _no_link,
        lease=timedelta(seconds=int(env("LEASE_SECONDS"))),
    )


def unsubscribe_url(ref: str) -> str:
    """The one-click link that stops email for the borrower behind an opaque name."""
    return f"{env('PUBLIC_URL')}/unsubscribe/{settings.keys().stop_token(ref, 'email')}"


def _no_link(_ref: str) -> str:
    return ""
