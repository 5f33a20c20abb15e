"""The borrower's side of the table: live state, records, and what events read and writes."""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from predue.aws import items, table_keys
from predue.aws.case_items import Cases
from predue.aws.clients import client, code_of, translated
from predue.aws.locks import EventIds, TableLoanLocks
from predue.borrowers.ports import State
from predue.domain import instant
from predue.domain.due import KEEP, Due
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.domain.record import RECORD, Record
from predue.errors import LedgerMoved

_PARK = timedelta(days=180)


(_OPEN_OUTCOME,) = RECORD.into("sent")
"""The outcome that another may replace."""
"""The key of the item that holds the places, send times and graces in use."""
PARKED = "aside"
"""The partition of the index of unresolved items that lists what is parked."""


def shard_of(borrower_id: str, shards: int) -> int:
    """The shard of a borrower."""
    return int.from_bytes(hashlib.sha256(borrower_id.encode()).digest()[:4]) % shards


class Table(Cases, EventIds, TableLoanLocks):
    """One DynamoDB table; implements the ports Borrowers, Dues and Addresses.

    `shards` tells into how many shards a due date is split; only whoever writes dues is asked.
    """

    def __init__(self, name: str, shards: Callable[[], int]) -> None:
        self._name = name
        self._shards = shards

    # Reading

    def _get(self, pk: str, sk: str) -> items.Item | None:
        with translated("read"):
            found = client("dynamodb").get_item(
                TableName=self._name, Key=items.wire({"pk": pk, "sk": sk}), ConsistentRead=True
            )
        return items.plain(found["Item"]) if "Item" in found else None

    def _range(self, pk: str, first: str, last: str) -> list[items.Item]:
        """The items of a partition between two sort keys, strongly consistent, all pages."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": items.wire({":pk": pk, ":first": first, ":last": last}),
            "ConsistentRead": True,
        }
        found: list[items.Item] = []
        while True:
            with translated("read"):
                page = client("dynamodb").query(**request)
            found += map(items.plain, page["Items"])
            if "LastEvaluatedKey" not in page:
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _all(self, pk: str, prefix: str) -> list[items.Item]:
        """The items of a partition whose sort keys begin with a prefix, as `_range` reads them."""
        return self._range(pk, prefix, table_keys.end_of(prefix))

    def load(self, borrower_id: str, until: date) -> State:
        """See Borrowers."""
        # "$" sorts right after "#", so the range ends with the last due of its last date.
        return self._state(borrower_id, table_keys.dues_until(until))

    def _state(self, borrower_id: str, last: str) -> State:
        profile, ledger, dues = None, Ledger(borrower_id), []
        for item in self._range(table_keys.borrower(borrower_id), table_keys.STATE, last):
            if item["sk"] == table_keys.LEDGER:
                ledger = items.read_ledger(item)
            elif item["sk"] == table_keys.PROFILE:
                profile = items.read_profile(item)
            else:
                dues.append(items.read_due(item))
        return State(profile, ledger, tuple(dues))

    def all_dues(self, borrower_id: str) -> tuple[Due, ...]:
        """See Dues."""
        return tuple(map(items.read_due, self._all(table_keys.borrower(borrower_id), table_keys.DUES)))

    def profile(self, borrower_id: str) -> Profile | None:
        """See Dues."""
        item = self._get(*table_keys.profile(borrower_id))
        return None if item is None else items.read_profile(item)

    def ledger(self, borrower_id: str) -> Ledger:
        """See Dues."""
        item = self._get(*table_keys.ledger(borrower_id))
        return Ledger(borrower_id) if item is None else items.read_ledger(item)

    def due(self, borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Due | None:
        """See Dues."""
        item = self._get(*table_keys.due(borrower_id, due_date, loan_id, installment_no))
        return None if item is None else items.read_due(item)

    def record(self, reminder_id: str) -> Record | None:
        """See Borrowers."""
        item = self._get(*table_keys.record(reminder_id))
        return None if item is None else items.read_record(item)

    # Writing

    def _put(self, item: items.Item, condition: str = "", values: items.Item | None = None) -> None:
        request: dict[str, Any] = {"TableName": self._name, "Item": items.wire(item)}
        if condition:
            request["ConditionExpression"] = condition
        if values:
            request["ExpressionAttributeValues"] = items.wire(values)
        with translated("write"):
            client("dynamodb").put_item(**request)

    def _put_versioned(self, item: items.Item) -> None:
        """Write an item whose `version` is the stored one, raised by one."""
        read = item["version"]
        condition, values = ("version = :read", {":read": read}) if read else ("attribute_not_exists(pk)", None)
        self._put(item | {"version": read + 1}, condition, values)

    def write_ledger(self, ledger: Ledger) -> Ledger:
        """See Borrowers."""
        written = ledger._replace(version=ledger.version + 1)
        token = secrets.token_hex(4)
        exists = ledger.version > 0
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": items.wire(items.ledger_item(written) | {"w": token}),
            "ConditionExpression": "version = :read" if exists else "attribute_not_exists(pk)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if exists:
            request["ExpressionAttributeValues"] = items.wire({":read": ledger.version})
        with translated("ledger"):
            try:
                client("dynamodb").put_item(**request)
            except ClientError as error:
                # The SDK repeats a write whose answer was lost: the condition then fails because the first one had
                # succeeded.
                stored: Any = error.response.get("Item", {})
                if code_of(error) != "ConditionalCheckFailedException" or stored.get("w") != {"S": token}:
                    raise
        return written

    def bump(self, borrower_id: str) -> None:
        """See Dues."""
        with translated("ledger"):
            client("dynamodb").update_item(
                TableName=self._name,
                Key=items.wire(items.key_item(table_keys.ledger(borrower_id))),
                UpdateExpression="ADD version :one",
                ExpressionAttributeValues=items.wire({":one": 1}),
            )

    def write_record(self, record: Record) -> bool:
        """See Borrowers."""
        try:
            self._put(
                items.record_item(record), "attribute_not_exists(pk) OR outcome = :open", {":open": _OPEN_OUTCOME}
            )
        except LedgerMoved:
            return False
        return True

    def settle_record(self, record: Record, before: Record) -> None:
        """Store what a receipt made of a record; raises LedgerMoved if it changed meanwhile."""
        self._put(
            items.record_item(record),
            "outcome = :outcome AND (receipt = :receipt OR attribute_not_exists(receipt))",
            {":outcome": before.outcome, ":receipt": before.receipt or "-"},
        )

    def raise_receipt(self, reminder_id: str, status: str, provider_message_id: str, lower: Sequence[str]) -> bool:
        """See Borrowers."""
        values = {f":lower{number}": one for number, one in enumerate(lower)}
        known = "attribute_exists(pk) AND outcome <> :open"
        below = "attribute_not_exists(receipt)" + (f" OR receipt IN ({', '.join(values)})" if values else "")
        try:
            with translated("receipt"):
                client("dynamodb").update_item(
                    TableName=self._name,
                    Key=items.wire(items.key_item(table_keys.record(reminder_id))),
                    UpdateExpression="SET receipt = :status, "
                    "provider_message_id = if_not_exists(provider_message_id, :id)",
                    ConditionExpression=f"{known} AND ({below})",
                    ExpressionAttributeValues=items.wire(
                        {":status": status, ":id": provider_message_id, ":open": _OPEN_OUTCOME, **values}
                    ),
                )
        except LedgerMoved:
            return False
        return True

    def write_profile(self, profile: Profile) -> None:
        """See Dues."""
        self._put_versioned(items.profile_item(profile))

    def write_due(
        self, due: Due, zone_key: str, send_time: str, at: datetime, *, indexed: bool, overdue: bool = False
    ) -> None:
        """See Dues."""
        item = items.due_item(due)
        item["expires_at"] = instant.to_epoch(instant.from_text(f"{due.last_day.isoformat()}T00:00:00Z") + KEEP)
        if indexed:
            shard = shard_of(due.borrower_id, self._shards())
            item["due_key"] = table_keys.due_key(table_keys.LATE if overdue else due.due_date.isoformat(), shard)
            item["slot_key"] = table_keys.slot_key(
                zone_key, send_time, due.borrower_id, due.loan_id, due.installment_no, due.due_date
            )
            item["written_at"] = instant.to_ms(at)
        self._put_versioned(item)

    # Pointers, events, places in use

    def pointer(self, loan_id: str, installment_no: int) -> tuple[str, date] | None:
        """See Dues."""
        item = self._get(*table_keys.pointer(loan_id, installment_no))
        return None if item is None else (item["borrower_id"], date.fromisoformat(item["due_date"]))

    def point(self, loan_id: str, installment_no: int, borrower_id: str, due_date: date, before: date | None) -> None:
        """See Dues."""
        item = {
            **items.key_item(table_keys.pointer(loan_id, installment_no)),
            "borrower_id": borrower_id,
            "due_date": due_date.isoformat(),
        }
        values = {":borrower": borrower_id, ":new": due_date.isoformat()}
        condition = "borrower_id = :borrower AND due_date = :new OR "
        if before is None:
            condition += "attribute_not_exists(pk)"
        else:
            condition += "borrower_id = :borrower AND due_date = :before"
            values[":before"] = before.isoformat()
        self._put(item, condition, values)

    def installments(self, loan_id: str) -> dict[int, tuple[date, Due | None]]:
        """See Dues."""
        found = {}
        for item in self._all(table_keys.loan(loan_id), table_keys.INSTALLMENTS):
            number, due_date = int(table_keys.name_in(item["sk"])), date.fromisoformat(item["due_date"])
            found[number] = (due_date, self.due(item["borrower_id"], due_date, loan_id, number))
        return found

    def use(self, zone_key: str, send_time: str, grace_days: int) -> None:
        """See Dues."""
        with translated("places in use"):
            client("dynamodb").update_item(
                TableName=self._name,
                Key=items.wire(items.key_item(table_keys.IN_USE)),
                UpdateExpression="ADD pairs :pair, graces :grace",
                ExpressionAttributeValues={
                    ":pair": {"SS": [f"{zone_key}#{send_time}"]},
                    ":grace": {"NS": [str(grace_days)]},
                },
            )

    def park(self, about: str, event: str, body: dict[str, Any], at: datetime, *, awaited: bool) -> None:
        """See Dues; what is awaited stands in the sparse index, whose oldest entry tells how long."""
        kept = {
            "body": json.dumps(body, default=str),
            "at": instant.to_ms(at),
            "expires_at": instant.to_epoch(at + _PARK),
        }
        if awaited:
            kept |= {"unresolved": PARKED, "unresolved_at": instant.to_text(at)}
        self._put(items.key_item(table_keys.parked(about, event)) | kept)

    def parked(self, about: str) -> list[dict[str, Any]]:
        """See Dues."""
        bodies: list[dict[str, Any]] = [
            json.loads(item["body"]) for item in self._all(table_keys.parked(about)[0], table_keys.EVENTS)
        ]
        return sorted(bodies, key=lambda body: int(body["sequence"]))

    def drop_parked(self, about: str, event: str) -> None:
        """See Dues."""
        with translated("parked"):
            client("dynamodb").delete_item(
                TableName=self._name, Key=items.wire(items.key_item(table_keys.parked(about, event)))
            )

    def write_consent(self, borrower_id: str, at: datetime, event: str, body: dict[str, Any]) -> None:
        """See Dues."""
        source = event.partition("#")[0]
        stated = {
            name: value for name, value in body.items() if name in ("type", "channel", "consent", "text", "sequence")
        }
        sequence = int(body.get("sequence", 0))
        item = {
            **items.key_item(table_keys.consent(borrower_id, sequence, event)),
            "at": instant.to_ms(at),
            "source": source,
        }
        try:
            self._put(item | {"said": json.dumps(stated, default=str)}, "attribute_not_exists(pk)")
        except LedgerMoved:
            return  # the same event, applied again

    # Opaque names and contact points

    def name_borrower(self, ref: str, borrower_id: str) -> None:
        """Note to whom a borrower's opaque name belongs."""
        self._put(items.key_item(table_keys.borrower_ref(ref)) | {"borrower_id": borrower_id})

    def borrower_of(self, ref: str) -> str | None:
        """The borrower behind an opaque name."""
        item = self._get(*table_keys.borrower_ref(ref))
        return None if item is None else str(item["borrower_id"])

    def suppress(self, address_ref: str, reason: str, at: datetime) -> None:
        """See Addresses."""
        self._put(items.key_item(table_keys.contact_point(address_ref)) | {"reason": reason, "at": instant.to_ms(at)})

    def suppressed(self, address_ref: str) -> bool:
        """See Addresses."""
        return self._get(*table_keys.contact_point(address_ref)) is not None

    def link(self, address_ref: str, borrower_id: str) -> None:
        """See Addresses."""
        self._put(items.key_item(table_keys.contact_point_of(address_ref, borrower_id)))

    def linked(self, address_ref: str) -> list[str]:
        """See Addresses."""
        return [
            table_keys.name_in(item["sk"])
            for item in self._all(table_keys.contact_point(address_ref)[0], table_keys.BORROWERS)
        ]
