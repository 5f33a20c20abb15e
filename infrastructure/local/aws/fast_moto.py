"""Makes moto's DynamoDB find a query's candidates by key; moto itself walks, and sorts, the whole table at every query.

The candidates are all that changes: what a query means, how it sorts and pages stays moto's own code. A test compares
the two.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_all_items = Table.all_items
_query = Table.query
_put_item = Table.put_item
_update_item = DynamoDBBackend.update_item
_SIGNATURE = inspect.signature(_query)


class _Candidates:
    """By table: for each index the keys of the items that once had a value of its hash attribute; stale ones are
    filtered by moto.
    """

    def __init__(self) -> None:
        self._keys: dict[int, dict[str, dict[str, set[tuple[Any, Any]]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(set))
        )
        self.narrowed: list[Any] | None = None

    def note(self, table: Any, attributes: dict[str, Any]) -> None:
        """Note an item that is written."""
        for index in table.all_indexes():
            for key in index.schema:
                value = attributes.get(key["AttributeName"])
                if key["KeyType"] == "HASH" and value is not None:
                    whole = (_key_text(attributes[table.hash_key_attr]), _key_text(attributes[table.range_key_attr]))
                    self._keys[id(table)][index.name][_key_text(value)].add(whole)

    def of_index(self, table: Any, index_name: str, conditions: list[tuple[str, Any]]) -> list[Any]:
        """The items that may satisfy the hash key conditions of a query on an index."""
        by_text = {
            (_key_text(hash_key), _key_text(range_key))
            for _, value in conditions
            for hash_key, range_key in self._keys[id(table)][index_name][_key_text(value)]
        }
        return [item for hash_key, range_key in by_text if (item := _find(table, hash_key, range_key)) is not None]


def _key_text(value: Any) -> str:
    raw = getattr(value, "value", value)
    return str(next(iter(raw.values())) if isinstance(raw, dict) else raw)


def _find(table: Any, hash_key: str, range_key: str) -> Any:
    return table.items.get(DynamoType({"S": hash_key}), {}).get(DynamoType({"S": range_key}))


@contextmanager
def fast_queries() -> Iterator[None]:
    """Within this, moto's tables with string keys answer queries in time that depends on the answer, not on the
    table.
    """
    candidates = _Candidates()

    def all_items(self: Any) -> Any:
        if candidates.narrowed is None:
            return _all_items(self)
        return sorted(candidates.narrowed, key=lambda item: (item.hash_key, item.range_key))

    def put_item(self: Any, item_attrs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        candidates.note(self, item_attrs)
        return _put_item(self, item_attrs, *args, **kwargs)

    def query(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        given = _SIGNATURE.bind(self, hash_key, *args, **kwargs).arguments
        if given.get("index_name"):
            candidates.narrowed = candidates.of_index(self, given["index_name"], given.get("hash_key_conditions") or [])
        else:
            candidates.narrowed = list(self.items.get(hash_key, {}).values())
        try:
            return _query(self, hash_key, *args, **kwargs)
        finally:
            candidates.narrowed = None

    def update_item(self: Any, table_name: str, *args: Any, **kwargs: Any) -> Any:
        item = _update_item(self, table_name, *args, **kwargs)
        candidates.note(self.get_table(table_name), item.attrs)
        return item

    replaced: dict[tuple[Any, str], Any] = {
        (Table, "all_items"): all_items,
        (Table, "put_item"): put_item,
        (Table, "query"): query,
    }
    replaced[DynamoDBBackend, "update_item"] = update_item
    before = {(owner, name): getattr(owner, name) for owner, name in replaced}
    try:
        for (owner, name), function in replaced.items():
            setattr(owner, name, function)
        yield
    finally:
        for (owner, name), function in before.items():
            setattr(owner, name, function)
