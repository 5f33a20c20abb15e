"""Calls subscribers with the events of the webhooks queue, and defers what they did not take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from predue.errors import BadPolicy, PredueError, Retryable
from predue.inbound.sources import Named
from predue.outbound.https import post
from predue.outbound.outbound_webhooks import WebhookMessage, body_of, headers_of, read_message, receivers, wait
from predue.outbound.subscriber import Subscriber
from predue.runtime import clock
from predue.runtime.batches import check_time
from predue.runtime.telemetry import count, failures, logger
from predue.runtime.workers import each_of

_QUEUE = "webhooks"


class NotDelivered(Retryable):
    """A subscriber did not take an event; it is called again after a while."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class WebhooksQueue(Protocol):
    """The queue of events that wait for their subscribers."""

    def put_back(self, channel: str, body: str, delay_seconds: int) -> None:
        """Queue one message as it is, after a while."""


@dataclass(frozen=True)
class DispatchAdapters:
    """What calling subscribers works with.

    `hide` keeps a message, by its receipt handle, hidden for a while; `public` says that subscribers must have
    addresses of the public internet.
    """

    subscribers: Callable[[], Named[Subscriber]]
    queue: Callable[[], WebhooksQueue]
    hide: Callable[[str, timedelta], None]
    public: Callable[[], bool]


def call_each(event: Mapping[str, Any], context: Any, adapters: DispatchAdapters) -> dict[str, Any]:
    """Take a batch of messages, side by side; the answer names those that come again, each at its own time."""
    failed = [name for name in each_of(lambda record: _handled(record, context, adapters), event["Records"]) if name]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}


def _handled(record: Mapping[str, Any], context: Any, adapters: DispatchAdapters) -> str:
    """The id of a message that must come again, or nothing."""
    retry_after = 0
    try:
        with failures("a webhook was not taken"):
            check_time(context)
            _call(read_message(record["body"]), adapters)
    except NotDelivered as error:
        retry_after = error.retry_after
    except Exception:  # noqa: BLE001 - logged already; whatever it was, the message comes again
        retry_after = 0
    else:
        return ""
    _defer(record, retry_after, adapters)
    return str(record["messageId"])


def _call(message: WebhookMessage, adapters: DispatchAdapters) -> None:
    """Call whom a message is for, or part it if that is more than one; raises NotDelivered."""
    subscribers = adapters.subscribers()
    found = receivers(message, subscribers)
    # What one that is wrong wants cannot be told, so its part waits until it is mended.
    waiting = [name for name in subscribers.wrong if message.subscriber in ("", name)]
    if waiting and message.subscriber:
        raise BadPolicy(subscribers.wrong[message.subscriber])
    if len(found) == 1 and not waiting:
        _post(message, found[0], adapters)
    elif found or waiting:
        queue = adapters.queue()
        for name in (*(one.name for one in found), *waiting):
            queue.put_back(_QUEUE, message.for_one(name), 0)
    else:
        count("WebhookUnwanted")


def _post(message: WebhookMessage, subscriber: Subscriber, adapters: DispatchAdapters) -> None:
    body = body_of(message)
    headers = headers_of(message, subscriber, body, clock.now())
    answer = post(subscriber.url, body, headers, public=adapters.public())
    if answer.gone:
        count("WebhookGone")
        logger.warning("a subscriber is gone", subscriber=subscriber.name, event_id=message.event_id)
    elif answer.taken:
        count("WebhookTaken")
        logger.debug("webhook", subscriber=subscriber.name, event_id=message.event_id)
    else:
        count("WebhookFailed")
        reason = f"{subscriber.name} answered {message.event_id} with {answer.status or answer.failure}"
        raise NotDelivered(reason, answer.retry_after)


def _defer(record: Mapping[str, Any], retry_after: int, adapters: DispatchAdapters) -> None:
    """Keep a message hidden until its next try; if that fails, it comes back when the queue itself says so."""
    tries = int(record["attributes"]["ApproximateReceiveCount"])
    until: timedelta = wait(tries, retry_after, str(record["messageId"]))
    try:
        with failures("a webhook could not be put off"):
            adapters.hide(record["receiptHandle"], until)
    except PredueError:
        return
