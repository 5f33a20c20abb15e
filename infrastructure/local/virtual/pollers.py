"""Queues as event source mappings poll them: batches, visibility, partial answers and dead letters, in virtual time.

A message is received once from the queue and stays in flight there; the poller keeps its visibility, so that any queue
that speaks the API will do.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.aws.wire import delay_of
from infrastructure.local.chaos.faults import Chaos, Killed
from infrastructure.local.sam.template import ACCOUNT, REGION
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.aws import clients

_MOST_RECEIVED = 10
_LONGEST_IN_FLIGHT = 43_200
"""Seconds, the most that SQS takes: the queue counts them on the wall's clock, and must not bring back by it what the
stack keeps on the virtual one.
"""


@dataclass(frozen=True)
class QueueMapping:
    """One event source mapping: a queue, and the function that it feeds.

    `window` is how long a batch may wait to fill.
    """

    function: Function
    batch_size: int
    visibility: timedelta
    max_receives: int
    dead_letters_url: str
    window: timedelta = timedelta(0)


@dataclass(order=True)
class QueueMessage:
    """A message in flight: received once from the queue, and kept by the stack until a handler is done with it."""

    visible_at: datetime
    order: int
    body: str = field(compare=False)
    message_id: str = field(compare=False)
    receipt_handle: str = field(compare=False)
    receives: int = field(compare=False, default=0)


@dataclass
class Poller:
    """Polls one queue for one function; `at` has something done at an instant, `invoke` calls the function,
    and `failed` hears of a call that raised.
    """

    url: str
    source: QueueMapping
    clock: VirtualClock
    at: Callable[[datetime, Callable[[], None]], None]
    invoke: Callable[[Function, Any], Any]
    failed: Callable[[Function, BaseException], None]
    chaos: Chaos | None = None
    _inbox: list[QueueMessage] = field(default_factory=list)
    _defer: dict[str, timedelta] = field(default_factory=dict)
    _waiting: bool = False
    _gathering: bool = False
    _order: Iterator[int] = field(default_factory=itertools.count)

    @property
    def waiting(self) -> int:
        """How many messages are in flight here: delayed, or to be tried again."""
        return len(self._inbox)

    def note_sent(self) -> None:
        """Messages have come; they are received at this instant's turn of the queues."""
        if not self._waiting:
            self._waiting = True
            self.at(self.clock(), self._poll)

    def defer(self, receipt_handle: str, wait: timedelta) -> None:
        """A function has changed how long a message that it has in hand stays hidden."""
        self._defer[receipt_handle] = wait

    def _poll(self) -> None:
        """Receive what has come, then let the function have what is visible."""
        self._waiting = False
        while messages := self._receive():
            for message in messages:
                self._take(message)
            if len(messages) < _MOST_RECEIVED:
                break
        self._gather()

    def _receive(self) -> list[dict[str, Any]]:
        got = clients.client("sqs").receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_MOST_RECEIVED,
            MessageAttributeNames=["All"],
            VisibilityTimeout=_LONGEST_IN_FLIGHT,
        )
        return list(got.get("Messages", []))

    def _take(self, message: dict[str, Any]) -> None:
        """Keep a received message until its delay is over."""
        visible = self.clock() + delay_of(message)
        if self.chaos and self.chaos.strikes("delivered_late"):
            visible += self.chaos.late()
        self._keep(
            QueueMessage(visible, next(self._order), message["Body"], message["MessageId"], message["ReceiptHandle"])
        )
        if self.chaos and self.chaos.strikes("delivered_twice"):
            again = visible + self.chaos.late()
            self._keep(QueueMessage(again, next(self._order), message["Body"], f"{message['MessageId']}-again", ""))

    def _keep(self, message: QueueMessage) -> None:
        heapq.heappush(self._inbox, message)
        if message.visible_at > self.clock():
            self.at(message.visible_at, self._gather)

    def _gather(self) -> None:
        """Let the function have full batches at once, and what is left when the window of the first is over."""
        ready = sum(message.visible_at <= self.clock() for message in self._inbox)
        if not self.source.window or ready >= self.source.batch_size:
            self._feed()
        elif ready and not self._gathering:
            self._gathering = True
            self.at(self.clock() + self.source.window, self._feed)

    def _feed(self) -> None:
        """Call the function with batches of visible messages until none is left."""
        self._gathering = False
        while batch := self._visible():
            self._deliver(batch)

    def _visible(self) -> list[QueueMessage]:
        if self.chaos and self._inbox and self.chaos.strikes("reordered"):
            self._reorder(self.chaos)
        batch: list[QueueMessage] = []
        while self._inbox and self._inbox[0].visible_at <= self.clock() and len(batch) < self.source.batch_size:
            batch.append(heapq.heappop(self._inbox))
        return batch

    def _reorder(self, chaos: Chaos) -> None:
        """Mix up what is visible: a queue keeps no order."""
        visible = sorted(message for message in self._inbox if message.visible_at <= self.clock())
        places = [(message.visible_at, message.order) for message in visible]
        for message, (visible_at, order) in zip(chaos.shuffled(visible), places, strict=True):
            message.visible_at, message.order = visible_at, order
        heapq.heapify(self._inbox)

    def _deliver(self, batch: list[QueueMessage]) -> None:
        """One call of the function; what failed becomes visible again later, or goes to the dead letters."""
        for message in batch:
            message.receives += 1
        try:
            records = [sqs_record(self.url, message) for message in batch]
            result = self.invoke(self.source.function, {"Records": records}) or {}
            failed = {failure["itemIdentifier"] for failure in result.get("batchItemFailures", ())}
        except (Exception, Killed) as error:  # noqa: BLE001 - a handler that fails fails its batch, as in Lambda
            self.failed(self.source.function, error)
            failed = {message.message_id for message in batch}
        self._delete([message for message in batch if message.message_id not in failed])
        for message in batch:
            if message.message_id in failed:
                self._again(message)

    def _delete(self, messages: list[QueueMessage]) -> None:
        if any(message.receipt_handle for message in messages):
            handles = [message.receipt_handle for message in messages if message.receipt_handle]
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
            clients.client("sqs").delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _again(self, message: QueueMessage) -> None:
        if message.receives >= self.source.max_receives:
            clients.client("sqs").send_message(QueueUrl=self.source.dead_letters_url, MessageBody=message.body)
            self._delete([message])
            return
        message.visible_at = self.clock() + self._defer.pop(message.receipt_handle, self.source.visibility)
        self._keep(message)


def sqs_record(url: str, message: QueueMessage) -> dict[str, Any]:
    """One record of the event that Lambda makes of a batch."""
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
