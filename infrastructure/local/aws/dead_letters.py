"""The dead letters of the stack's queues, as an operator sees and redrives them."""

from collections.abc import Iterable

from infrastructure.local.virtual.pollers import Poller
from predue.aws.clients import client


def counted(queue_urls: Iterable[str]) -> dict[str, int]:
    """How many messages each dead-letter queue holds, by queue name; empty ones are left out."""
    found = {}
    for url in queue_urls:
        if "dead-letters" in url:
            said = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            if count := int(said["Attributes"]["ApproximateNumberOfMessages"]):
                found[url.rpartition("/")[2]] = count
    return found


def redriven(pollers: Iterable[Poller]) -> int:
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
