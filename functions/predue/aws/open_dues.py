"""The open dues of all borrowers, as the index shows them; only an import of a complete statement asks."""

from collections.abc import Iterator, Sequence
from datetime import date

from predue.aws import items
from predue.aws.plans import TablePlans
from predue.due import Due
from predue.ports import IndexEntry


class TableOpenDues(TablePlans):
    """Implements the port OpenDues over one table and its index."""

    def all_open(self) -> Iterator[IndexEntry]:
        """See OpenDues; the index is sparse and its entries are small, so that to read all of it costs little."""
        return self._entries("scan", {"TableName": self._name, "IndexName": self._index})

    def dues_of(self, entries: Sequence[IndexEntry]) -> list[Due]:
        """See OpenDues."""
        keys = [
            (items.borrower_pk(one.borrower_id), items.due_sk(one.due_date, one.loan_id, one.installment_no))
            for one in entries
        ]
        return [items.read_due(item) for item in self._batch(keys, consistent=True)]

    def due_dates_of(self, installments: Sequence[tuple[str, int]]) -> dict[tuple[str, int], date]:
        """See OpenDues."""
        keys = [(f"L#{loan_id}", f"I#{number}") for loan_id, number in installments]
        return {
            (item["pk"][2:], int(item["sk"][2:])): date.fromisoformat(item["due_date"])
            for item in self._batch(keys, consistent=True)
        }
