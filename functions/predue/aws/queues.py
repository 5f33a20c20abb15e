"""The queue of each channel, and one-off schedules for what must wait longer than a queue can hold it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from predue.aws.clients import client, code_of, translated
from predue.domain.job import Job, text
from predue.errors import Unreachable

_MESSAGES = 10
"""SQS takes at most ten messages a call (SendMessageBatch, API reference)."""
_JOBS = 10
"""Jobs that share a message: SQS bills by 64 KB, and a job is a hundredth of that."""
_BYTES = 24_000
"""Of a message's jobs together, so that ten messages stay below the 256 KB of a call."""
_TRIES = 4


class SqsQueues:
    """Implements the port Queues."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def send(self, channel: str, jobs: Sequence[Job], delay_seconds: int = 0) -> None:
        """See Queues; jobs that go together share messages."""
        bodies = list(_packed([text(job.body()) for job in jobs]))
        for start in range(0, len(bodies), _MESSAGES):
            self._send(channel, bodies[start : start + _MESSAGES], delay_seconds)

    def put_back(self, channel: str, body: str, delay_seconds: int) -> None:
        """Queue one message as it is, after a while."""
        self._send(channel, [body], delay_seconds)

    def _send(self, channel: str, bodies: Sequence[str], delay_seconds: int) -> None:
        """One call; entries that SQS refuses for a passing reason are sent again."""
        entries = [_entry(number, body, delay_seconds) for number, body in enumerate(bodies)]
        for _ in range(_TRIES):
            with translated("queue"):
                answer = client("sqs").send_message_batch(QueueUrl=self._urls[channel], Entries=entries)
            failed = {failure["Id"] for failure in answer.get("Failed", ())}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if not entries:
                return
        raise Unreachable(f"queue: {len(entries)} messages were not taken")


def _packed(jobs: Sequence[str]) -> Iterator[str]:
    """The messages of some jobs: a job alone as it is, several as a list."""
    pack: list[str] = []
    for job in jobs:
        if pack and (len(pack) == _JOBS or sum(map(len, pack)) + len(job) > _BYTES):
            yield _body_of_jobs(pack)
            pack = []
        pack.append(job)
    if pack:
        yield _body_of_jobs(pack)


def _body_of_jobs(jobs: Sequence[str]) -> str:
    return jobs[0] if len(jobs) == 1 else f"[{','.join(jobs)}]"


def _entry(number: int, body: str, delay_seconds: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(number), "MessageBody": body}
    return entry | {"DelaySeconds": delay_seconds} if delay_seconds else entry


class OneOffSchedules:
    """Implements the port Later over EventBridge Scheduler."""

    def __init__(self, arns: Mapping[str, str], group: str, role_arn: str, dead_letters_arn: str) -> None:
        self._arns = arns
        self._group = group
        self._role_arn = role_arn
        self._dead_letters_arn = dead_letters_arn

    def at(self, moment: datetime, channel: str, job: Job) -> None:
        """See Later; the name follows from job and instant, so that the same call again meets a conflict and leaves
        it.
        """
        body = text(job.body())
        name = hashlib.sha256(f"{channel}{moment.isoformat()}{body}".encode()).hexdigest()[:40]
        with translated("one-off schedule"):
            try:
                client("scheduler").create_schedule(
                    Name=name,
                    GroupName=self._group,
                    # Seconds are honoured only to the minute, so a fraction of one is rounded up by the caller's own
                    # check at delivery.
                    ScheduleExpression=f"at({moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
                    ScheduleExpressionTimezone="UTC",
                    FlexibleTimeWindow={"Mode": "OFF"},
                    ActionAfterCompletion="DELETE",
                    Target={
                        "Arn": self._arns[channel],
                        "RoleArn": self._role_arn,
                        "Input": body,
                        "DeadLetterConfig": {"Arn": self._dead_letters_arn},
                        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
                    },
                )
            except ClientError as error:
                if code_of(error) != "ConflictException":
                    raise
