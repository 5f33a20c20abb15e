"""Stale reads: what an eventually consistent read of DynamoDB may answer, namely some items as they were a moment ago.

Whoever writes is noted with what stood there before. A stale read finds some of the items of the last minute as they
were, others as they are. A minute is far more than DynamoDB takes, and less than what predue allows for.
"""

import copy
import random
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from infrastructure.local.aws.wire_answers import json_body
from infrastructure.local.sam.template import ACCOUNT, REGION
from infrastructure.local.virtual.chances import LONGEST_STALE

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_READS = ("Query", "BatchGetItem", "GetItem")


class _Write(NamedTuple):
    """One item that was written, and what it was before: None if it was not there."""

    at: datetime
    table: str
    pk: str
    sk: str
    before: Any


class StaleReads:
    """The last minute's writes of one stack in moto, and reads that do not see all of them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._writes: deque[_Write] = deque()

    def noting(
        self, now: datetime, request: AWSPreparedRequest, operation: str, act: Callable[[], AWSResponse | None]
    ) -> AWSResponse | None:
        """Do what a request asks for; a write is noted."""
        if operation not in _WRITES:
            return act()
        body = json_body(request)
        key = body.get("Key") or body["Item"]
        pk, sk = key["pk"]["S"], key["sk"]["S"]
        before = copy.deepcopy(_partition(body["TableName"], pk).get(DynamoType({"S": sk})))
        done = act()
        if done is not None and done.status_code == 200:  # noqa: PLR2004 - it took effect
            self._writes.append(_Write(now, body["TableName"], pk, sk, before))
        return done

    @staticmethod
    def may_be(request: AWSPreparedRequest, operation: str) -> bool:
        """Whether an answer may be stale: a read that is not strongly consistent."""
        if operation not in _READS:
            return False
        body = json_body(request)
        tables = body.get("RequestItems", {}).values()
        return not body.get("ConsistentRead") and not any(one.get("ConsistentRead") for one in tables)

    def answer(self, now: datetime, act: Callable[[], AWSResponse | None]) -> AWSResponse | None:
        """What `act` reads while some of the last writes are not to be seen."""
        while self._writes and now - self._writes[0].at > LONGEST_STALE:
            self._writes.popleft()
        hidden: dict[tuple[str, str, str], Any] = {}
        for write in self._writes:
            if self._rng.random() < 0.5:  # noqa: PLR2004 - one of two
                hidden.setdefault((write.table, write.pk, write.sk), write.before)
        present = {place: _put(place, item) for place, item in hidden.items()}
        try:
            return act()
        finally:
            for place, item in present.items():
                _put(place, item)


def _partition(table: str, pk: str) -> Any:
    return dynamodb_backends[ACCOUNT][REGION].get_table(table).items[DynamoType({"S": pk})]


def _put(place: tuple[str, str, str], item: Any) -> Any:
    """Put an item, or none, into its place, past all conditions; gives what stood there."""
    table, pk, sk = place
    partition, key = _partition(table, pk), DynamoType({"S": sk})
    stood = partition.pop(key, None)
    if item is not None:
        partition[key] = item
    return stood
