"""The table's stream as an event source mapping polls it: filtered, in order, in batches that fill for a while; what
fails comes again from there on, halved if the function raised, until it is too old.

The changes themselves are read by the API of streams from whatever keeps the table.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from botocore.config import Config
from moto.events.models import EventPattern

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.sam.template import REGION
from infrastructure.local.virtual.chances import Killed
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.aws import clients

_AGAIN = timedelta(seconds=1)
_LONGEST = timedelta(minutes=1)
"""Between two tries of a batch. Lambda tells no figures; it waits longer each time (developer guide, "Using Lambda with
DynamoDB", error handling).
"""


@dataclass(frozen=True)
class StreamSource:
    """One event source mapping of a stream; `window` is how long a batch may wait to fill."""

    function: Function
    arn: str
    filters: tuple[EventPattern, ...]
    batch_size: int
    window: timedelta
    oldest: timedelta
    dead_letters_arn: str


def filters(properties: Mapping[str, Any]) -> tuple[EventPattern, ...]:
    """The patterns of an event source mapping, any of which lets a change through."""
    patterns = [json.loads(one["Pattern"]) for one in properties["FilterCriteria"]["Filters"]]
    return tuple(EventPattern(None, pattern) for pattern in patterns)


def lets_through(filters: Sequence[EventPattern], change: dict[str, Any]) -> bool:
    """Whether any of the filters lets a change through."""
    return any(one.matches_event(change) for one in filters)  # type: ignore[arg-type]  # moto's own form


def stream_source(function: Function, properties: Mapping[str, Any]) -> StreamSource:
    """The mapping that a function's event of type DynamoDB describes."""
    return StreamSource(
        function,
        properties["Stream"],
        filters(properties),
        properties.get("BatchSize", 100),
        timedelta(seconds=properties.get("MaximumBatchingWindowInSeconds", 0)),
        timedelta(seconds=properties["MaximumRecordAgeInSeconds"]),
        properties["DestinationConfig"]["OnFailure"]["Destination"],
    )


class _Change(NamedTuple):
    seen_at: datetime
    record: dict[str, Any]


class Stream:
    """Polls one stream for one function; `at` has something done at an instant, `invoke` calls the function, `failed`
    hears of a call that raised, `put` puts a message into a queue, and within `free` calls are AWS's own part.
    """

    def __init__(
        self,
        source: StreamSource,
        clock: VirtualClock,
        at: Callable[[datetime, Callable[[], None]], None],
        invoke: Callable[[Function, Any], Any],
        failed: Callable[[Function, BaseException], None],
        put: Callable[[str, str], None],
        free: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._source = source
        self._clock = clock
        self._at = at
        self._invoke = invoke
        self._failed = failed
        self._put = put
        self._free = free
        self._waiting: deque[_Change] = deque()
        self._polling = self._gathering = self._busy = False
        self._most = source.batch_size
        self._failures = 0
        # moto does not know the addresses that have an account's id in them.
        plain = Config(account_id_endpoint_mode="disabled")
        self._api = clients.session().client("dynamodbstreams", config=plain)
        with free():
            found = self._api.describe_stream(StreamArn=source.arn)["StreamDescription"]["Shards"]
            self._iterators = [self._iterator(shard["ShardId"]) for shard in found]

    def _iterator(self, shard: str) -> str:
        got = self._api.get_shard_iterator(StreamArn=self._source.arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        return str(got["ShardIterator"])

    def note_written(self) -> None:
        """The table has been written to; what changed is read as soon as whoever wrote is done."""
        if not self._polling:
            self._polling = True
            self._at(self._clock(), self._poll)

    def _poll(self) -> None:
        self._polling = False
        with self._free():
            for place in range(len(self._iterators)):
                while records := self._read(place):
                    changes = [_Change(self._clock(), _as_lambda(one)) for one in records]
                    self._waiting += [one for one in changes if lets_through(self._source.filters, one.record)]
        self._gather(self._source.window)

    def _read(self, shard: int) -> list[Any]:
        got = self._api.get_records(ShardIterator=self._iterators[shard])
        self._iterators[shard] = got["NextShardIterator"]
        return list(got["Records"])

    def _gather(self, wait: timedelta) -> None:
        if self._waiting and not self._gathering and not self._busy:
            self._gathering = True
            full = not self._failures and len(self._waiting) >= self._source.batch_size
            self._at(self._clock() + (timedelta(0) if full else wait), self._feed)

    def _feed(self) -> None:
        """Call the function with what is first in the stream; what comes meanwhile waits its turn."""
        self._gathering = False
        self._drop_old()
        batch = [change.record for change in list(self._waiting)[: self._most]]
        if not batch:
            return
        self._busy = True
        done = self._deliver(batch)
        self._busy = False
        for _ in range(done):
            self._waiting.popleft()
        if done == len(batch):
            self._most, self._failures = self._source.batch_size, 0
            self._gather(self._source.window)
        else:
            self._failures += 1
            self._gather(min(_AGAIN * 2 ** min(self._failures, 10), _LONGEST))

    def _deliver(self, batch: list[dict[str, Any]]) -> int:
        """One call of the function; how many changes, from the first on, it is done with."""
        try:
            result = self._invoke(self._source.function, {"Records": batch}) or {}
        except (Exception, Killed) as error:  # noqa: BLE001 - a handler that fails fails its batch, as in Lambda
            self._failed(self._source.function, error)
            self._most = max(1, len(batch) // 2)
            return 0
        failed = {one["itemIdentifier"] for one in result.get("batchItemFailures", ())}
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        return min((numbers.index(one) for one in failed), default=len(batch))

    def _drop_old(self) -> None:
        """Give up what is too old: its place in the stream goes to the dead letters, its content does not."""
        while self._waiting and self._clock() - self._waiting[0].seen_at >= self._source.oldest:
            number = self._waiting.popleft().record["dynamodb"]["SequenceNumber"]
            place = {"startSequenceNumber": number, "endSequenceNumber": number, "streamArn": self._source.arn}
            self._put(self._source.dead_letters_arn, json.dumps({"DDBStreamBatchInfo": place}))


def _as_lambda(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the stream as Lambda hands it to a function; its time is the stream's own, and not the stack's."""
    change = {name: value for name, value in record["dynamodb"].items() if name != "ApproximateCreationDateTime"}
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
    }
