"""The other ports in memory: queues, one-off schedules, the bus and the providers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infrastructure.local.virtual.carrier import Carrier, Letter
from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, Refused
from predue.domain.due import Due
from predue.domain.job import Job
from predue.outbound.published import overdue

Jobs = tuple[Job, ...]
_JOBS = 10
"""Jobs that share a message, as in predue.aws.queues."""


@dataclass(frozen=True)
class MemoryQueues:
    """The port Queues: `put` takes a channel, the jobs of one message, and the seconds for which it waits."""

    put: Callable[[str, Jobs, int], None]

    def send(self, channel: str, jobs: Sequence[Job], delay_seconds: int = 0) -> None:
        """See Queues."""
        for start in range(0, len(jobs), _JOBS):
            self.put(channel, tuple(jobs[start : start + _JOBS]), delay_seconds)


@dataclass(frozen=True)
class MemoryLater:
    """The port Later: `once` plays a schedule, `put` is as in MemoryQueues; the same schedule again changes nothing."""

    once: Callable[[datetime, Callable[[], None], Callable[[], None]], None]
    put: Callable[[str, Jobs, int], None]
    planned: set[tuple[datetime, str, Job]] = field(default_factory=set)

    def at(self, moment: datetime, channel: str, job: Job) -> None:
        """See Later; seconds are honoured and fractions of them are not, as by EventBridge Scheduler."""
        moment = moment.astimezone(UTC).replace(microsecond=0)
        one = moment, channel, job
        if one not in self.planned:
            self.planned.add(one)
            self.once(moment, lambda: self.put(channel, (job,), 0), lambda: self.planned.discard(one))


@dataclass(frozen=True)
class MemoryBus:
    """The port Bus; `handed_over` lists what each emission tells, repeats included."""

    handed_over: list[dict[str, Any]] = field(default_factory=list)

    def overdue(self, due: Due, event_id: str, at: datetime) -> None:
        """See Bus."""
        self.handed_over.append(overdue(due, event_id, at).detail())


@dataclass(frozen=True)
class TextProvider:
    """The port Provider for text messages over the played carrier."""

    carrier: Carrier
    sender: str

    def send(self, outbound: OutboundMessage) -> Accepted | Refused | NoAnswer:
        """See Provider; both reasons for which the carrier refuses concern the number."""
        message = outbound.message
        letter = Letter(outbound.reminder_id, outbound.to, self.sender, message.body, segments=message.segments)
        taken = self.carrier.text(letter)
        return Refused("refused_address", taken.refused) if taken.refused else Accepted(taken.message_id)


@dataclass(frozen=True)
class EmailProvider:
    """The port Provider for email over the played carrier."""

    carrier: Carrier
    sender: str
    configuration_set: str

    def send(self, outbound: OutboundMessage) -> Accepted | Refused | NoAnswer:
        """See Provider."""
        message = outbound.message
        letter = Letter(outbound.reminder_id, outbound.to, self.sender, message.body, message.subject, message.html)
        tags = {"reminder_id": [outbound.reminder_id], "ses:configuration-set": [self.configuration_set]}
        return Accepted(self.carrier.email(letter, tags).message_id)
