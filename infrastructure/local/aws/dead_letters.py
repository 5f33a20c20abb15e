"""The dead letters of the stack's queues, as an operator sees and redrives them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.runs.outputs import job_line
from infrastructure.local.virtual.pollers import Poller
from predue.aws.clients import client
from predue.domain.job import Job, parts
from predue.errors import BadJob

_HIDDEN = 43_200
"""Seconds, the most that SQS takes."""


def counted(queue_urls: Iterable[str]) -> dict[str, int]:
    """How many messages each dead-letter queue holds, by queue name; empty ones are left out."""
    found = {}
    for url in queue_urls:
        if "dead-letters" in url:
            said = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            if count := int(said["Attributes"]["ApproximateNumberOfMessages"]):
                found[url.rpartition("/")[2]] = count
    return found


def listed(queue_urls: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Each dead letter as a line of dead_letters.jsonl: its `queue`, and the `jobs` that it holds, if any.

    A job is a `borrower_id`, a `slot` and `dues` as in contacts.jsonl; other letters keep their content, which may be
    personal. They stay in their queues, hidden from whoever reads after this.
    """
    for url in queue_urls:
        for name in counted([url]):
            while got := client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=_HIDDEN).get("Messages"):
                yield from ({"queue": name, "jobs": _jobs(message["Body"])} for message in got)


def _jobs(body: str) -> list[dict[str, Any]]:
    found: list[Job] = []
    with suppress(BadJob):
        found = [Job.read(part) for part in parts(body)]
    return [job_line(job) for job in found]


def redriven(pollers: Iterable[Poller[Function]]) -> int:
    """Move every dead letter of a fed queue back to it; returns how many."""
    sqs, moved = client("sqs"), 0
    for poller in pollers:
        dead = poller.source.dead_letters_url
        while got := sqs.receive_message(QueueUrl=dead).get("Messages"):
            for message in got:
                sqs.send_message(QueueUrl=poller.url, MessageBody=message["Body"])
                sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
                moved += 1
    return moved
