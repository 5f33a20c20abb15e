"""What the deliver functions share: a batch of messages of jobs on one channel."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Protocol

from predue.borrowers.ports import Addresses, Borrowers, Later, Provider, Queues
from predue.domain.job import Job, parts
from predue.reminders.deliver import DeliveryServices, deliver
from predue.runtime import clock
from predue.runtime.batches import check_time, each
from predue.runtime.settings import Controls
from predue.runtime.telemetry import count, failures, logger
from predue.runtime.workers import each_of

_AGAIN_SECONDS = 60
"""After so long a job whose pack was done without it comes back by itself."""


class Store(Borrowers, Addresses, Protocol):
    """The table as delivery reads and writes it."""


class JobQueues(Queues, Protocol):
    """The queues of the channels, which also take back a message as it is."""

    def put_back(self, channel: str, body: str, delay_seconds: int) -> None:
        """Queue one message as it is, after a while."""


@dataclass(frozen=True)
class DeliveryAdapters:
    """What the deliver function of a channel works with."""

    channel: str
    store: Store
    queues: JobQueues
    later: Later
    provider: Provider
    controls: Callable[[], Controls]
    unsubscribe_url: Callable[[str], str]
    lease: timedelta

    def services(self) -> DeliveryServices:
        """What a delivery works with, under the controls as they stand now; raises BadPolicy or Unreachable."""
        controls = self.controls()
        return DeliveryServices(
            channel=self.channel,
            borrowers=self.store,
            addresses=self.store,
            queues=self.queues,
            later=self.later,
            provider=self.provider,
            rulebook=controls.rulebook,
            switches=controls.switches,
            clock=clock.now,
            unsubscribe_url=self.unsubscribe_url,
            lease=self.lease,
        )


def deliver_each(channel: str, make: Callable[[], DeliveryAdapters], event: dict[str, Any], context: Any) -> Any:
    """Deliver the jobs of a batch of messages on one channel."""
    tally: Counter[str] = Counter()
    # Once an invocation, but when the first job asks: what is missing fails that job, and closes.
    adapters = cache(make)

    def one(part: Any) -> str:
        with failures("a job failed"):
            check_time(context)
            job = Job.read(part)
            done = deliver(job, adapters().services())
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
                adapters().queues.put_back(channel, json.dumps(part), _AGAIN_SECONDS)
            tally[done or "alone"] += 1

    answer = each(event, message)
    for done, number in tally.items():
        count(f"Job{done.capitalize()}", number)
    logger.info("delivered", channel=channel, done=dict(tally))
    return answer
