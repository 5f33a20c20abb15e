"""The stack's queues: a message is received once from SQS and stays in flight there; the poller keeps its visibility,
so that any queue that speaks the API will do.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.aws.wire import delay_of
from infrastructure.local.sam.template import ACCOUNT, REGION
from infrastructure.local.virtual.pollers import Poller, QueueMessage, Received
from predue.aws import clients

_MOST_RECEIVED = 10
_LONGEST_IN_FLIGHT = 43_200
"""Seconds, the most that SQS takes: the queue counts them on the wall's clock, and must not bring back by it what the
stack keeps on the virtual one.
"""


class SqsPoller(Poller[Function]):
    """Polls a queue over the API of SQS."""

    def receive(self) -> Iterable[Received]:
        """See Poller."""
        while True:
            got = clients.client("sqs").receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_MOST_RECEIVED,
                MessageAttributeNames=["All"],
                VisibilityTimeout=_LONGEST_IN_FLIGHT,
            )
            messages = got.get("Messages", [])
            for one in messages:
                yield one["Body"], delay_of(one), one["MessageId"], one["ReceiptHandle"]
            if len(messages) < _MOST_RECEIVED:
                return

    def delete(self, messages: Sequence[QueueMessage]) -> None:
        """See Poller."""
        handles = [message.receipt_handle for message in messages if message.receipt_handle]
        if handles:
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
            clients.client("sqs").delete_message_batch(QueueUrl=self.url, Entries=entries)

    def bury(self, message: QueueMessage) -> None:
        """See Poller."""
        clients.client("sqs").send_message(QueueUrl=self.source.dead_letters_url, MessageBody=message.body)


def sqs_record(url: str, message: QueueMessage) -> dict[str, Any]:
    """One record of the event that Lambda makes of a queue's batch."""
    name = url.rpartition("/")[2]
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        "awsRegion": REGION,
    }
