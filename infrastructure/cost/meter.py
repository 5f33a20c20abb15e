"""Counts AWS calls and what they consume, from requests and answers at the wire; exact, and the same on every machine.

DynamoDB units follow from item sizes: a read unit is 4 KB strongly consistent, half of it eventually; a write unit is
1 KB, and a write that touches an index costs as much again (developer guide, "Capacity unit consumption for
operations"). SQS bills by 64 KB.
"""

import math
from collections import Counter
from typing import Any

_READ_UNIT = 4096
_WRITE_UNIT = 1024
_SQS_CHUNK = 65536
_INDEX_KEYS = (("due_key", "slot_key"), ("unresolved", "unresolved_at"))


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


class Meter:
    """`calls` and `units` by `service.Operation`; units are DynamoDB's read and write units and SQS's requests of 64
    KB.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self.invocations: Counter[str] = Counter()

    def count(self, service: str, operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> None:
        """Count one call that was answered."""
        name = f"{service}.{operation}"
        self.calls[name] += 1
        units = self._units(operation, params, parsed) if service in ("dynamodb", "sqs") else 0
        if units:
            self.units[name] += units  # type: ignore[assignment]  # half units make the sum a float

    @staticmethod
    def _units(operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> float:
        consistent = bool(params.get("ConsistentRead"))
        match operation:
            case "GetItem":
                return _reads(item_size(parsed.get("Item", {})), consistent=consistent)
            case "Query":
                return _reads(sum(map(item_size, parsed.get("Items", ()))), consistent=consistent)
            case "BatchGetItem":
                asked = params.get("RequestItems", {})
                return sum(
                    _reads(item_size(item), consistent=bool(asked.get(table, {}).get("ConsistentRead")))
                    for table, items in parsed.get("Responses", {}).items()
                    for item in items
                )
            case "PutItem":
                item = params["Item"]
                indexes = sum(all(key in item for key in keys) for keys in _INDEX_KEYS)
                return max(1, math.ceil(item_size(item) / _WRITE_UNIT)) + indexes
            case "UpdateItem" | "DeleteItem":
                return 1
            case "SendMessageBatch":
                return max(
                    1, math.ceil(sum(len(entry["MessageBody"].encode()) for entry in params["Entries"]) / _SQS_CHUNK)
                )
            case "SendMessage" | "ReceiveMessage" | "DeleteMessageBatch" | "DeleteMessage":
                return 1
        return 0
