"""TableLoanLocks: who alone may allot payments on a loan for a while."""

from contextlib import suppress
from datetime import datetime, timedelta

from predue.aws import items
from predue.aws.clients import client, translated
from predue.domain import instant
from predue.errors import LedgerMoved, LoanBusy

_KEEP = timedelta(days=1)


class TableLoanLocks:
    """The part of the table that lets one message at a time be allotted on a loan."""

    _name: str

    def lock_loan(self, loan_id: str, token: str, now: datetime, until: datetime) -> None:
        """Be the only one who allots payments on a loan, until an instant at the latest; raises LoanBusy while
        somebody else is.
        """
        item = {"pk": f"L#{loan_id}", "sk": "T", "token": token, "busy_until": instant.to_ms(until)}
        free = "attribute_not_exists(pk) OR busy_until <= :now OR #token = :token"
        try:
            with translated("turn"):
                client("dynamodb").put_item(
                    TableName=self._name,
                    Item=items.wire(item | {"expires_at": instant.to_epoch(until + _KEEP)}),
                    ConditionExpression=free,
                    ExpressionAttributeNames={"#token": "token"},
                    ExpressionAttributeValues=items.wire({":now": instant.to_ms(now), ":token": token}),
                )
        except LedgerMoved:
            raise LoanBusy("another message about this loan is being applied") from None

    def release_loan(self, loan_id: str, token: str) -> None:
        """Let the next one allot payments on a loan; whoever lost the turn meanwhile changes nothing."""
        with suppress(LedgerMoved), translated("turn"):
            client("dynamodb").update_item(
                TableName=self._name,
                Key=items.wire({"pk": f"L#{loan_id}", "sk": "T"}),
                UpdateExpression="SET busy_until = :free",
                ConditionExpression="#token = :token",
                ExpressionAttributeNames={"#token": "token"},
                ExpressionAttributeValues=items.wire({":free": 0, ":token": token}),
            )
