"""The sparse index of open dues in memory: a mapping by borrower and due, which is also kept sorted by slot key, as
DynamoDB keeps it.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, MutableMapping
from datetime import date
from typing import NamedTuple

from predue.borrowers.ports import IndexEntry


class DueKey(NamedTuple):
    """Where a due lies inside a borrower's partition, in the order of the table's sort key."""

    due_date: date
    loan_id: str
    installment_no: int


Place = tuple[str, DueKey]
Indexed = tuple[str, str, IndexEntry]
"""Partition, sort key, and what the index shows."""


class DueIndex(MutableMapping[Place, Indexed]):
    """See the module."""

    def __init__(self) -> None:
        self._known: dict[Place, Indexed] = {}
        self._sorted: dict[str, list[tuple[str, Place]]] = {}

    def __getitem__(self, place: Place) -> Indexed:
        return self._known[place]

    def __setitem__(self, place: Place, indexed: Indexed) -> None:
        stood = self._known.get(place)
        if stood is None or stood[:2] != indexed[:2]:
            if stood is not None:
                del self[place]
            insort(self._sorted.setdefault(indexed[0], []), (indexed[1], place))
        self._known[place] = indexed

    def __delitem__(self, place: Place) -> None:
        partition, slot_key, _ = self._known.pop(place)
        keys = self._sorted[partition]
        del keys[bisect_left(keys, (slot_key, place))]
        if not keys:
            del self._sorted[partition]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def between(self, partition: str, first: str, last: str) -> list[IndexEntry]:
        """The entries of a partition between two sort keys, both included, in their order."""
        keys = self._sorted.get(partition, ())
        found = []
        for number in range(bisect_left(keys, (first,)), len(keys)):
            slot_key, place = keys[number]
            if slot_key > last:
                break
            found.append(self._known[place][2])
        return found
