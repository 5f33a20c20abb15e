"""Counts AWS calls and what they consume, from requests and answers at the wire; exact, and the same on every machine.

DynamoDB units follow from item sizes: a read unit is 4 KB strongly consistent, half of it eventually; a write unit is
1 KB of the larger of the item before and after, and each entry of an index that comes or goes is a write of its own
(developer guide, "Capacity unit consumption for operations"). SQS bills by 64 KB.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

_READ_UNIT = 4096
_WRITE_UNIT = 1024
_SQS_CHUNK = 65536
_INDEXES = (("due_key", "slot_key", "written_at"), ("unresolved", "unresolved_at", ""))
"""Partition key, sort key and projected attribute of each (infrastructure/storage.yaml)."""


def item_size(item: dict[str, Any]) -> int:
    """The bytes of a typed item as DynamoDB counts them: names and values in UTF-8, and a little for each container."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.lstrip("-0").replace(".", "")) / 2) + 1
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(one) for one in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in content.items())
        case "SS" | "NS" | "BS":
            return sum(len(str(one).encode()) for one in content)
    return len(content)


def _reads(sizes: int, *, consistent: bool) -> float:
    return max(1, math.ceil(sizes / _READ_UNIT)) * (1 if consistent else 0.5)


class _Stored(NamedTuple):
    """What the bill needs to know of an item that stands in a table: its bytes, and its keys in each index with what is
    projected.
    """

    size: int
    index_keys: tuple[Any, ...]


_NOTHING = _Stored(0, (None,) * len(_INDEXES))


class Stored:
    """The items of all tables, as every meter of a stack shares them: a write is billed by the larger of what stood
    there and what stands there now, and by what changes in the indexes.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[str, str, str], _Stored] = {}

    def write(self, table: str, key: dict[str, Any], item: dict[str, Any], *, failed: bool) -> float:
        """The units of one write of `item`, which is empty for a deletion; a failed condition costs them, too."""
        name = (table, str(key.get("pk")), str(key.get("sk")))
        before = self._items.get(name, _NOTHING)
        after = _Stored(item_size(item), tuple(_entry(item, names) for names in _INDEXES)) if item else _NOTHING
        units = max(1, math.ceil(max(before.size, after.size) / _WRITE_UNIT))
        if failed:
            return units
        self._items[name] = after
        return units + sum(map(_index_units, before.index_keys, after.index_keys))


def _entry(item: dict[str, Any], names: tuple[str, str, str]) -> Any:
    partition, sort, projected = names
    if partition not in item or sort not in item:
        return None
    return str(item[partition]), str(item[sort]), str(item.get(projected))


def _index_units(before: Any, after: Any) -> int:
    """An entry that comes or goes is a write, one that moves is two, one whose projected attribute changes is one, and
    one that stays is none (developer guide, "Using global secondary indexes", write capacity).
    """
    if before == after:
        return 0
    if before is not None and after is not None and before[:2] == after[:2]:
        return 1
    return (before is not None) + (after is not None)


class Meter:
    """`calls` and `units` by `service.Operation`; units are DynamoDB's read and write units and SQS's requests of 64
    KB.

    `at_work` is the function that calls, empty for AWS's own part; `work` counts the calls of each.
    """

    def __init__(self, stored: Stored | None = None) -> None:
        self.calls: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self.invocations: Counter[str] = Counter()
        self.work: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.at_work = ""
        self._stored = stored or Stored()

    def invoked(self, function: str) -> None:
        """Count one call of a function."""
        self.invocations[function] += 1

    def published(self) -> None:
        """Count one message to a topic; its delivery to a queue costs nothing (SNS pricing, "SQS")."""
        self.calls["sns.Publish"] += 1

    def count(self, service: str, operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> None:
        """Count one call that was answered."""
        name = f"{service}.{operation}"
        self.calls[name] += 1
        if self.at_work:
            self.work[self.at_work][name] += 1
        units = self._units(operation, params, parsed) if service in ("dynamodb", "sqs") else 0
        if units:
            self.units[name] += units  # type: ignore[assignment]  # half units make the sum a float

    def _units(self, operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> float:
        consistent = bool(params.get("ConsistentRead"))
        failed = "Error" in parsed
        table = str(params.get("TableName"))
        match operation:
            case "GetItem":
                return _reads(item_size(parsed.get("Item", {})), consistent=consistent)
            case "Query":
                return _reads(sum(map(item_size, parsed.get("Items", ()))), consistent=consistent)
            case "BatchGetItem":
                return sum(
                    _batch_reads(asked, parsed.get("Responses", {}).get(name, ()))
                    for name, asked in params.get("RequestItems", {}).items()
                )
            case "PutItem":
                return self._stored.write(table, params["Item"], params["Item"], failed=failed)
            case "UpdateItem":
                return self._stored.write(table, params["Key"], parsed.get("Attributes", {}), failed=failed)
            case "DeleteItem":
                return self._stored.write(table, params["Key"], {}, failed=failed)
            case "TransactWriteItems":
                puts = [action["Put"] for action in params["TransactItems"] if "Put" in action]
                # Each write of a transaction is prepared and then committed, and costs twice.
                return 2 * sum(
                    self._stored.write(str(put["TableName"]), put["Item"], put["Item"], failed=failed) for put in puts
                )
            case "SendMessageBatch":
                return max(
                    1, math.ceil(sum(len(entry["MessageBody"].encode()) for entry in params["Entries"]) / _SQS_CHUNK)
                )
            case "SendMessage" | "ReceiveMessage" | "DeleteMessageBatch" | "DeleteMessage":
                return 1
        return 0


def _batch_reads(asked: dict[str, Any], items: Sequence[dict[str, Any]]) -> float:
    """Each item is rounded for itself, and one that is not there costs as the smallest."""
    consistent = bool(asked.get("ConsistentRead"))
    missing = max(0, len(asked.get("Keys", ())) - len(items))
    return sum(_reads(size, consistent=consistent) for size in (*map(item_size, items), *([0] * missing)))
