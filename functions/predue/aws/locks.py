"""Who holds what: an event's id belongs to one body for good, unless that was rejected; a loan is one message's for a
while.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from predue.aws import items, table_keys
from predue.aws.clients import client, code_of, translated
from predue.borrowers.ports import EventState
from predue.domain import instant
from predue.errors import EventConflict, LedgerMoved, LoanBusy

_KEEP_EVENTS = timedelta(days=90)
_KEEP_LOCKS = timedelta(days=1)


class EventIds:
    """The part of the port Dues that knows which events were applied.

    An item's `progress` is `begun` while its body is being applied, `released` if that changed nothing and the id is
    free again, and absent once it is applied.
    """

    _name: str

    def _put_event(
        self, event: str, body_hash: str, at: datetime, progress: str, condition: str
    ) -> tuple[bool, items.Item]:
        """Write what is known of an event's id on a condition; whether it was written, and what stood there."""
        stamp = {"at": instant.to_ms(at), "expires_at": instant.to_epoch(at + _KEEP_EVENTS)}
        values = {":hash": body_hash, ":begun": "begun", ":released": "released"}
        try:
            answer = client("dynamodb").put_item(
                TableName=self._name,
                Item=items.wire(
                    items.key_item(table_keys.event_id(event)) | {"hash": body_hash, "progress": progress} | stamp
                ),
                ConditionExpression=condition,
                ExpressionAttributeNames={name: name[1:] for name in ("#hash", "#progress") if name in condition},
                ExpressionAttributeValues=items.wire({name: one for name, one in values.items() if name in condition}),
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            stood: Any = error.response.get("Item", {})
            return False, items.plain(stood)
        return True, items.plain(answer.get("Attributes", {}))

    def begin(self, event: str, body_hash: str, at: datetime) -> EventState:
        """See Dues."""
        with translated("event"):
            taken, before = self._put_event(
                event, body_hash, at, "begun", "attribute_not_exists(pk) OR #progress = :released"
            )
        if taken:
            return "begun" if before.get("hash") == body_hash else "new"
        if before.get("hash") != body_hash:
            raise EventConflict("event_id: another body came under this id before")
        # What was begun keeps the instant of its first try.
        return "begun" if before.get("progress") == "begun" else "applied"

    def first_came(self, event: str) -> datetime:
        """See Dues."""
        with translated("event"):
            found: Any = client("dynamodb").get_item(
                TableName=self._name, Key=items.wire(items.key_item(table_keys.event_id(event))), ConsistentRead=True
            )
        return instant.from_ms(int(items.plain(found["Item"])["at"]))

    def mark_applied(self, event: str, body_hash: str, at: datetime) -> None:
        """See Dues."""
        with translated("event"):
            taken, _ = self._put_event(event, body_hash, at, "", "#hash = :hash")
        if not taken:
            raise EventConflict("event_id: another body came under this id meanwhile")

    def release(self, event: str, body_hash: str, at: datetime) -> None:
        """See Dues."""
        with translated("event"):
            self._put_event(event, body_hash, at, "released", "#progress = :begun AND #hash = :hash")


class TableLoanLocks:
    """The part of the table that lets one message at a time be allotted on a loan."""

    _name: str

    def lock_loan(self, loan_id: str, token: str, now: datetime, until: datetime) -> None:
        """Be the only one who allots payments on a loan, until an instant at the latest; raises LoanBusy while
        somebody else is.
        """
        item = items.key_item(table_keys.loan_lock(loan_id)) | {"token": token, "busy_until": instant.to_ms(until)}
        free = "attribute_not_exists(pk) OR busy_until <= :now OR #token = :token"
        try:
            with translated("loan lock"):
                client("dynamodb").put_item(
                    TableName=self._name,
                    Item=items.wire(item | {"expires_at": instant.to_epoch(until + _KEEP_LOCKS)}),
                    ConditionExpression=free,
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues=items.wire({":now": instant.to_ms(now), ":token": token}),
                )
        except LedgerMoved:
            raise LoanBusy("another message about this loan is being applied") from None

    def release_loan(self, loan_id: str, token: str) -> None:
        """Let the next one allot payments on a loan; whoever lost the lock meanwhile changes nothing."""
        with suppress(LedgerMoved), translated("loan lock"):
            client("dynamodb").update_item(
                TableName=self._name,
                Key=items.wire(items.key_item(table_keys.loan_lock(loan_id))),
                UpdateExpression="SET busy_until = :free",
                ConditionExpression="#token = :token",
                ExpressionAttributeNames={"#token": "token"},
                ExpressionAttributeValues=items.wire({":free": 0, ":token": token}),
            )
