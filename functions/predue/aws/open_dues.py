"""The open dues of all borrowers, as the index shows them; only an import of a complete statement asks."""

import json
from collections.abc import Sequence
from datetime import date

from predue.aws import items, table_keys
from predue.aws.clients import client, translated
from predue.aws.plans import TablePlans, entry_of
from predue.borrowers.ports import IndexEntry
from predue.domain.due import Due


class TableOpenDues(TablePlans):
    """Implements the port OpenDues over one table and its index."""

    def all_open(self, after: str) -> tuple[list[IndexEntry], str]:
        """See OpenDues; the index is sparse and its entries are small, so that to read all of it costs little.

        A page holds a megabyte, and may hold nothing though others follow (DynamoDB API reference, "Scan").
        """
        position = {"ExclusiveStartKey": json.loads(after)} if after else {}
        with translated("index"):
            page = client("dynamodb").scan(TableName=self._name, IndexName=self._index, **position)
        rest = json.dumps(page["LastEvaluatedKey"]) if "LastEvaluatedKey" in page else ""
        return [entry_of(item) for item in page["Items"]], rest

    def dues_of(self, entries: Sequence[IndexEntry]) -> list[Due]:
        """See OpenDues."""
        keys = [table_keys.due(one.borrower_id, one.due_date, one.loan_id, one.installment_no) for one in entries]
        return [items.read_due(item) for item in self._batch(keys, consistent=True)]

    def due_dates_of(self, installments: Sequence[tuple[str, int]]) -> dict[tuple[str, int], date]:
        """See OpenDues."""
        keys = [table_keys.pointer(loan_id, number) for loan_id, number in installments]
        return {
            (table_keys.name_in(item["pk"]), int(table_keys.name_in(item["sk"]))): date.fromisoformat(item["due_date"])
            for item in self._batch(keys, consistent=True)
        }
