"""Queues as event source mappings poll them: batches, visibility, partial answers and dead letters, in virtual time.

What lies behind a poller is a queue of any kind: it receives each message once, and the poller keeps the message and
its visibility from then on.
"""

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from infrastructure.local.virtual.chances import Chances, Killed
from infrastructure.local.virtual.virtual_clock import VirtualClock

Function = TypeVar("Function")


@dataclass(frozen=True)
class QueueMapping(Generic[Function]):
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
    """A message in flight: received once from the queue, and kept by the poller until a function is done with it."""

    visible_at: datetime
    order: int
    body: Any = field(compare=False)
    message_id: str = field(compare=False)
    receipt_handle: str = field(compare=False)
    receives: int = field(compare=False, default=0)


Received = tuple[Any, timedelta, str, str]
"""A message as its queue gives it: body, delay, id and receipt handle."""


@dataclass
class Poller(ABC, Generic[Function]):
    """Polls one queue for one function; `at` has something done at an instant, `deliver` calls the function with a
    batch and gives the ids of the messages that failed, and `failed` hears of a call that raised.
    """

    url: str
    source: QueueMapping[Function]
    clock: VirtualClock
    at: Callable[[datetime, Callable[[], None]], None]
    deliver: Callable[[Function, Sequence[QueueMessage]], set[str]]
    failed: Callable[[Function, BaseException], None]
    chaos: Chances | None = None
    _inbox: list[QueueMessage] = field(default_factory=list)
    _defer: dict[str, timedelta] = field(default_factory=dict)
    _waiting: bool = False
    _gathering: bool = False
    _order: Iterator[int] = field(default_factory=itertools.count)

    @abstractmethod
    def receive(self) -> Iterable[Received]:
        """The messages that have come."""

    @abstractmethod
    def delete(self, messages: Sequence[QueueMessage]) -> None:
        """Take messages that are done out of the queue."""

    @abstractmethod
    def bury(self, message: QueueMessage) -> None:
        """Move a message that failed too often to the dead letters."""

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
        for body, delay, message_id, handle in self.receive():
            self._take(body, delay, message_id, handle)
        self._gather()

    def _take(self, body: Any, delay: timedelta, message_id: str, handle: str) -> None:
        """Keep a received message until its delay is over."""
        visible = self.clock() + delay
        if self.chaos and self.chaos.strikes("delivered_late"):
            visible += self.chaos.late()
        self._keep(QueueMessage(visible, next(self._order), body, message_id, handle))
        if self.chaos and self.chaos.strikes("delivered_twice"):
            again = visible + self.chaos.late()
            self._keep(QueueMessage(again, next(self._order), body, f"{message_id}-again", ""))

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

    def _reorder(self, chaos: Chances) -> None:
        """Mix up what is visible: a queue keeps no order."""
        visible = sorted(message for message in self._inbox if message.visible_at <= self.clock())
        places = [(message.visible_at, message.order) for message in visible]
        for message, (visible_at, order) in zip(chaos.shuffled(visible), places, strict=True):
            message.visible_at, message.order = visible_at, order
        heapq.heapify(self._inbox)

    def _deliver(self, batch: Sequence[QueueMessage]) -> None:
        """One call of the function; what failed becomes visible again later, or goes to the dead letters."""
        for message in batch:
            message.receives += 1
        try:
            failed = self.deliver(self.source.function, batch)
        except (Exception, Killed) as error:  # noqa: BLE001 - a handler that fails fails its batch, as in Lambda
            self.failed(self.source.function, error)
            failed = {message.message_id for message in batch}
        self.delete([message for message in batch if message.message_id not in failed])
        for message in batch:
            if message.message_id in failed:
                self._again(message)

    def _again(self, message: QueueMessage) -> None:
        if message.receives >= self.source.max_receives:
            self.bury(message)
            self.delete([message])
            return
        message.visible_at = self.clock() + self._defer.pop(message.receipt_handle, self.source.visibility)
        self._keep(message)
