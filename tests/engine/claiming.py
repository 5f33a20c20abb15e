"""One of the processes that deliver to the same borrower at the same time, each as a Lambda environment does.

Only the provider is ours: it writes each call down in a file that all processes share, and refuses some.
"""

import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from predue import wiring
from predue.aws import clients
from predue.borrowers.ports import Accepted, OutboundMessage, Refused
from predue.domain.job import Job
from predue.domain.stage import StageKey
from predue.errors import LedgerMoved, StillCalling
from predue.reminders.deliver import deliver
from predue.runtime import clock

CHANNELS = ("sms", "email")
WHO = "b-1"


@dataclass(frozen=True)
class Day:
    """What one process does on one local day: so many attempts, at jobs drawn from the stages of that day."""

    day: date
    keys: tuple[StageKey, ...]
    attempts: int
    process: int


@dataclass(frozen=True)
class Calls:
    """A provider that only writes down its calls; `job` are the stage keys that the caller was asked to remind of."""

    path: Path
    channel: str
    job: Job
    at: datetime

    def send(self, outbound: OutboundMessage) -> Accepted | Refused:
        """Note the call; every third reminder by SMS is refused for good, so that slots are given back meanwhile."""
        refused = self.channel == "sms" and int.from_bytes(outbound.reminder_id.encode()) % 3 == 0
        line = {
            "at": self.at.isoformat(),
            "channel": self.channel,
            "reminder_id": outbound.reminder_id,
            "job": [key.text() for key in self.job.keys],
            "refused": refused,
        }
        # One write to a file opened for appending is one line, whoever else writes (POSIX, write).
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)
        return Refused("refused_channel", "on_purpose") if refused else Accepted(f"call-{outbound.reminder_id}")


class Contention:
    """Counts the writes of this process that lost to another's."""

    def __init__(self) -> None:
        self.lost = 0
        clients.session().events.register("after-call.dynamodb.PutItem", self._note)

    def _note(self, parsed: dict[str, Any], **_: Any) -> None:
        self.lost += parsed.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


_contention: list[Contention] = []


def start(environment: dict[str, str]) -> None:
    """Begin a process: the environment of a deliver function, a session of its own."""
    os.environ.update(environment)
    clients.forget()
    wiring.forget()
    _contention.append(Contention())


def attempt_all(work: Day, calls: Path) -> tuple[list[str], int]:
    """What came of each attempt, and how many writes were lost to other processes so far."""
    rng = random.Random(f"{work.process} {work.day}")  # noqa: S311 - which job is tried guards nothing
    slot = datetime(work.day.year, work.day.month, work.day.day, 15, tzinfo=UTC)
    done = [_attempt(work, slot, second, rng, calls) for second in range(work.attempts)]
    return done, _contention[0].lost


def _attempt(work: Day, slot: datetime, second: int, rng: random.Random, calls: Path) -> str:
    now, channel = slot + timedelta(seconds=second), rng.choice(CHANNELS)
    keys: Sequence[StageKey] = rng.sample(work.keys, min(len(work.keys), rng.randint(1, 3)))
    job = Job(WHO, work.day, slot, tuple(sorted(keys)))
    token = clock.source.set(lambda: now)
    try:
        return deliver(job, wiring.delivery(channel, lambda: Calls(calls, channel, job, now)).services())
    except (LedgerMoved, StillCalling) as error:
        return type(error).__name__
    finally:
        clock.source.reset(token)
