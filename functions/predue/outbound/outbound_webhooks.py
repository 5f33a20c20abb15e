"""Outgoing webhooks: who is called with an event, with what words, and when again. They are signed as Standard Webhooks
asks, with the event's own id, by which a receiver knows a repeat.

An event waits on a queue until each subscriber has taken it. One that several want is parted first, so that one who
fails is called again alone.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from standardwebhooks import Webhook

from predue.errors import BadJob
from predue.outbound.subscriber import Subscriber

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=4)
JITTER = 0.25
"""Of a wait, at most, on top of it: waits never get shorter, so that the time for which we try is a promise."""
_OK, _REDIRECT, _GONE = 200, 300, 410


class SubscriberAnswer(NamedTuple):
    """What came of one call: the status, or in a word why there is none; `retry_after` is in seconds."""

    status: int
    failure: str = ""
    retry_after: int = 0

    @property
    def taken(self) -> bool:
        """Whether the subscriber has the event."""
        return _OK <= self.status < _REDIRECT

    @property
    def gone(self) -> bool:
        """Whether the subscriber wants no more of it, ever."""
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """One message of the queue: an event as the bus brings it, and whom alone it is for, if it was parted."""

    kind: str
    detail: Mapping[str, Any]
    outbound: Mapping[str, Any]
    subscriber: str = ""

    @property
    def event_id(self) -> str:
        """The event's id."""
        return str(self.detail["event_id"])

    def for_one(self, name: str) -> str:
        """The body of the message that is for one subscriber alone."""
        return json.dumps({**self.outbound, "subscriber": name}, separators=(",", ":"))


def read_message(body: str) -> WebhookMessage:
    """The message that a body is; raises BadJob for anything else."""
    try:
        outbound = json.loads(body)
        kind, detail, name = outbound["detail-type"], outbound["detail"], outbound.get("subscriber", "")
        if not all(isinstance(one, str) for one in (kind, detail["event_id"], detail["at"], name)):
            raise TypeError  # noqa: TRY301 - told below like every other wrong form
    except (LookupError, ValueError, TypeError, AttributeError):
        raise BadJob("a message on the webhooks queue is no event of ours") from None
    return WebhookMessage(kind, detail, outbound, name)


def receivers(message: WebhookMessage, subscribers: Mapping[str, Subscriber]) -> list[Subscriber]:
    """Who is to be called with an event, as things stand now."""
    wanting = [one for one in subscribers.values() if one.wants(message.kind, message.detail)]
    return [one for one in wanting if message.subscriber in ("", one.name)]


def body_of(message: WebhookMessage) -> str:
    """The body that tells the event, in the form that Standard Webhooks recommends ("Payload structure")."""
    payload = {"type": message.kind, "timestamp": message.detail["at"], "data": message.detail}
    return json.dumps(payload, separators=(",", ":"))


def headers_of(message: WebhookMessage, subscriber: Subscriber, body: str, now: datetime) -> dict[str, str]:
    """The headers that sign a body now, with each of the subscriber's keys, so that a receiver may change its key."""
    signatures = [Webhook(key).sign(message.event_id, now, body) for key in subscriber.keys]
    return {
        "content-type": "application/json",
        "user-agent": "predue",
        "webhook-id": message.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def wait(tries: int, retry_after: int, *seed: str) -> timedelta:
    """How long after the `tries`-th try the next one is: twice as long each time, up to four hours, and a part more
    that `seed` draws, so that what failed together does not come back together. A receiver may ask for more, not less.
    """
    doubled: timedelta = FIRST_WAIT * 2 ** min(max(tries, 1) - 1, 16)
    drawn: float = int.from_bytes(hashlib.sha256("#".join((*seed, str(tries))).encode()).digest()[:4]) / 2**32
    least: timedelta = min(doubled, LONGEST_WAIT) * (1 + JITTER * drawn)
    # Bounded before it becomes a span of time, which has a limit of its own.
    asked = timedelta(seconds=min(retry_after, int(LONGEST_WAIT.total_seconds())))
    return max(least, asked)
