"""What planner and closing run read of the table: the index, batches of borrowers, and their checkpoints."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from predue.aws import items, table_keys
from predue.aws.clients import client, translated
from predue.aws.table import PARKED
from predue.borrowers.ports import Checkpoint, IndexEntry, InUse
from predue.domain import instant
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.errors import LedgerMoved, Unreachable

_BATCH = 100
"""BatchGetItem reads at most 100 items (DynamoDB API reference)."""
_TRIES = 8
UNRESOLVED_INDEX = "unresolved_index"
"""As infrastructure/storage.yaml names it."""


def entry_of(item: dict[str, Any]) -> IndexEntry:
    """The open due that an item of the index shows."""
    _, send_time, borrower_id, loan_id, installment_no, due_date = item["slot_key"]["S"].split("#")
    return IndexEntry(
        borrower_id,
        loan_id,
        int(installment_no),
        date.fromisoformat(due_date),
        send_time,
        instant.from_ms(int(item["written_at"]["N"])),
    )


class TablePlans:
    """Implements the port Plans over one table and its index."""

    def __init__(self, name: str, index: str) -> None:
        self._name = name
        self._index = index

    def start(self, run: str, shard: int) -> tuple[InUse, Checkpoint | None]:
        """See Plans."""
        found = {
            item["pk"]: item
            for item in self._batch([table_keys.IN_USE, table_keys.checkpoint(run, shard)], consistent=True)
        }
        checkpoint = found.get(table_keys.checkpoint(run, shard)[0])
        return _in_use(found.get(table_keys.IN_USE[0], {})), _checkpoint(checkpoint) if checkpoint else None

    def entries(
        self, due_date: date, shard: int, zone_key: str, send_time: str, after: str = ""
    ) -> Iterator[IndexEntry]:
        """See Plans."""
        # "$" sorts right after "#": past every due of the borrower `after`, and past the last entry of the place or
        # time.
        prefix = f"{zone_key}#{send_time}" if send_time else zone_key
        first = f"{zone_key}#{after}$" if after else f"{prefix}#"
        return self._walk(table_keys.due_key(due_date.isoformat(), shard), first, f"{prefix}$")

    def overdue(self, shard: int) -> Iterator[IndexEntry]:
        """See Plans."""
        return self._walk(table_keys.due_key(table_keys.LATE, shard), " ", "~")

    def _walk(self, due_key: str, first: str, last: str) -> Iterator[IndexEntry]:
        request: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": self._index,
            "KeyConditionExpression": "due_key = :due_key AND slot_key BETWEEN :first AND :last",
            "ExpressionAttributeValues": items.wire({":due_key": due_key, ":first": first, ":last": last}),
        }
        return self._entries("query", request)

    @staticmethod
    def _entries(operation: str, request: dict[str, Any]) -> Iterator[IndexEntry]:
        """The entries that a query or scan of the index finds, page by page."""
        read = getattr(client("dynamodb"), operation)
        position: dict[str, Any] = {}
        while True:
            with translated("index"):
                page = read(**request, **position)
            yield from map(entry_of, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _batch(
        self, keys: Sequence[tuple[str, str]], attributes: Sequence[str] = (), *, consistent: bool = False
    ) -> Iterator[items.Item]:
        """Items by key, in batches; keys that DynamoDB left over are asked for again."""
        for start in range(0, len(keys), _BATCH):
            request: dict[str, Any] = {
                "Keys": [items.wire({"pk": pk, "sk": sk}) for pk, sk in keys[start : start + _BATCH]]
            }
            if consistent:
                request["ConsistentRead"] = True
            if attributes:
                # By placeholders, since some names are words of DynamoDB's own.
                request["ProjectionExpression"] = ", ".join(f"#{name}" for name in attributes)
                request["ExpressionAttributeNames"] = {f"#{name}": name for name in attributes}
            left: dict[str, Any] = {self._name: request}
            for _ in range(_TRIES):
                with translated("batch read"):
                    answer = client("dynamodb").batch_get_item(RequestItems=left)
                yield from map(items.plain, answer["Responses"].get(self._name, ()))
                left = answer.get("UnprocessedKeys") or {}
                if not left:
                    break
            else:
                raise Unreachable("batch read: keys stay unprocessed")

    def profiles_of(self, borrower_ids: Sequence[str]) -> dict[str, Profile]:
        """See Plans."""
        keys = [table_keys.profile(borrower_id) for borrower_id in borrower_ids]
        return {table_keys.name_in(item["pk"]): items.read_profile(item) for item in self._batch(keys, items.ROUTE)}

    def ledgers_of(self, borrower_ids: Sequence[str]) -> dict[str, Ledger]:
        """See Plans."""
        keys = [table_keys.ledger(borrower_id) for borrower_id in borrower_ids]
        return {table_keys.name_in(item["pk"]): items.read_ledger(item) for item in self._batch(keys)}

    def recorded(self, reminder_ids: Sequence[str]) -> set[str]:
        """See Plans."""
        keys = [table_keys.record(reminder_id) for reminder_id in sorted(set(reminder_ids))]
        return {table_keys.name_in(item["sk"]) for item in self._batch(keys, ("pk", "sk"))}

    def oldest_parked(self) -> datetime | None:
        """Since when the oldest awaited event is parked, eventually consistent; None if none is."""
        with translated("index"):
            page = client("dynamodb").query(
                TableName=self._name,
                IndexName=UNRESOLVED_INDEX,
                KeyConditionExpression="unresolved = :aside",
                ExpressionAttributeValues=items.wire({":aside": PARKED}),
                Limit=1,
            )
        return instant.from_text(page["Items"][0]["unresolved_at"]["S"]) if page["Items"] else None

    def save_checkpoint(self, run: str, shard: int, checkpoint: Checkpoint) -> None:
        """See Plans."""
        item = {
            **items.key_item(table_keys.checkpoint(run, shard)),
            "covered": instant.to_ms(checkpoint.covered),
            "target": checkpoint.target and instant.to_ms(checkpoint.target),
            "position": checkpoint.position,
            "since": checkpoint.since and instant.to_ms(checkpoint.since),
            "queued": checkpoint.queued or None,
            "held": checkpoint.held or None,
            "rules": checkpoint.rules or None,
            "failed": checkpoint.failed or None,
        }
        try:
            with translated("checkpoint"):
                client("dynamodb").put_item(
                    TableName=self._name,
                    Item=items.wire(item),
                    ConditionExpression="attribute_not_exists(pk) OR covered <= :covered",
                    ExpressionAttributeValues=items.wire({":covered": item["covered"]}),
                )
        except LedgerMoved:
            return  # a later run came further


def _in_use(item: items.Item) -> InUse:
    pairs = (pair.rsplit("#", 1) for pair in item.get("pairs", ()))
    return InUse(
        frozenset((zone_key, send_time) for zone_key, send_time in pairs),
        frozenset(int(days) for days in item.get("graces", ())),
    )


def _checkpoint(item: items.Item) -> Checkpoint:
    target = instant.from_ms(int(item["target"])) if "target" in item else None
    since = instant.from_ms(int(item["since"])) if "since" in item else None
    return Checkpoint(
        instant.from_ms(int(item["covered"])),
        target,
        item.get("position", ""),
        since,
        int(item.get("queued", 0)),
        bool(item.get("held")),
        item.get("rules", ""),
        bool(item.get("failed")),
    )
