"""Two other designs of the same job, as the SDK calls that each makes for its reminders, counted by the same meter.

`floor`: the least that a correct design needs, with no audit record: packed jobs, one conditional claim, one receipt.
`naive`: what a first design does: three reads, a status in an index, idempotency records, a transaction for the caps,
and a message, an event and a log of each step for every reminder.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto import mock_aws

from infrastructure.cost.bill import bill
from infrastructure.cost.meter import Meter
from infrastructure.local.aws.wire import Wire
from predue.aws import items

_REMINDERS = 250
_JOBS_OF_A_MESSAGE = 25
_RECEIPTS_OF_A_CALL = 100
_TODAY = "2026-12-20#0"


class Site:
    """A table with an index, a queue, a sender, and the meter at their wire."""

    def __init__(self, session: boto3.session.Session) -> None:
        self.meter = Meter()
        self._wire = Wire(session, self.meter)
        self.table: Any = session.client("dynamodb")
        self._sqs: Any = session.client("sqs")
        self._ses: Any = session.client("sesv2")
        self._events: Any = session.client("events")
        with self._uncounted():
            self.table.create_table(**_SCHEMA)
            self._url = self._sqs.create_queue(QueueName="q")["QueueUrl"]
            self._ses.create_email_identity(EmailIdentity="a@example.com")
            for number in range(_REMINDERS):
                self.table.put_item(TableName="ttt", Item=items.wire(_due(number)))

    @contextmanager
    def _uncounted(self) -> Iterator[None]:
        """Within this, calls are set-up, or AWS's own."""
        self._wire.meter = Meter()
        try:
            yield
        finally:
            self._wire.meter = self.meter

    def function(self, name: str) -> None:
        """A function is called, and at work from now on."""
        self.meter.invoked(name)
        self.meter.at_work = name

    def queue(self, bodies: list[str]) -> None:
        """Queue up to ten messages with one call."""
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)

    def poll(self) -> None:
        """Lambda's poller takes up to ten messages and deletes them when its function is done."""
        self.meter.at_work = ""
        got = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)["Messages"]
        entries = [{"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(got)]
        self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)

    def send(self) -> None:
        """Hand one message to the provider."""
        content = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
        self._ses.send_email(
            FromEmailAddress="a@example.com", Destination={"ToAddresses": ["b@example.com"]}, Content=content
        )

    def receipts(self, first: int, count: int) -> None:
        """Receipts come by topic and queue, and each is one write."""
        for start in range(0, count, 10):
            few = min(10, count - start)
            for _ in range(few):
                self.meter.published()
            with self._uncounted():
                self.queue(["r"] * few)
            self.poll()
        self.function("receipts")
        for number in range(first, first + count):
            self.update(f"R#{number}", "R", "SET receipt = :value", "delivered")

    def update(self, pk: str, sk: str, expression: str, value: Any, condition: str = "") -> None:
        """Update one item."""
        more = {"ConditionExpression": condition} if condition else {}
        self.table.update_item(
            TableName="ttt",
            Key=items.wire({"pk": pk, "sk": sk}),
            UpdateExpression=expression,
            ExpressionAttributeValues=items.wire({":value": value}),
            **more,
        )

    def event(self) -> None:
        """Put one event on the bus."""
        self._events.put_events(Entries=[{"Source": "s", "DetailType": "sent", "Detail": "{}"}])


def floor(site: Site, reminders: int) -> int:
    """One index read for all, packed jobs, a claim and a receipt each."""
    site.function("plan")
    site.table.query(
        TableName="ttt",
        IndexName="due",
        KeyConditionExpression="due_key = :today",
        ExpressionAttributeValues=items.wire({":today": _TODAY}),
    )
    site.queue(["j" * 60 * _JOBS_OF_A_MESSAGE] * (reminders // _JOBS_OF_A_MESSAGE))
    site.poll()
    site.function("deliver")
    for number in range(reminders):
        site.update(f"B#{number}", "L", "ADD n :value", 1, "attribute_not_exists(n) OR n < :value")
        site.send()
    for first in range(0, reminders, _RECEIPTS_OF_A_CALL):
        site.receipts(first, min(_RECEIPTS_OF_A_CALL, reminders - first))
    return 1400 * (2 + reminders // _RECEIPTS_OF_A_CALL)


def naive(site: Site, reminders: int) -> int:
    """A status in an index, records of idempotency, a transaction for the caps, and one of everything for each."""
    for number in range(reminders):
        who = f"B#{number}"
        site.function("plan")
        site.update(who, "D", "SET slot_key = :value", f"queued#{number}")
        site.queue(["j" * 300])
        site.poll()
        site.function("deliver")
        for kind in ("D", "P", "L"):
            site.table.get_item(TableName="ttt", Key=items.wire({"pk": who, "sk": kind}), ConsistentRead=True)
        once = {"pk": f"I#{number}", "sk": "I", "status": "INPROGRESS"}
        site.table.put_item(TableName="ttt", Item=items.wire(once), ConditionExpression="attribute_not_exists(pk)")
        counters = [{"Put": {"TableName": "ttt", "Item": items.wire({"pk": who, "sk": kind})}} for kind in ("C", "K")]
        site.table.transact_write_items(TransactItems=counters)
        site.send()
        site.update(who, "D", "SET slot_key = :value", f"sent#{number}")
        site.table.put_item(TableName="ttt", Item=items.wire(once | {"status": "COMPLETED"}))
        site.event()
        site.receipts(number, 1)
    return 3000 * reminders


DESIGNS: dict[str, Callable[[Site, int], int]] = {"floor": floor, "naive": naive}
"""Each makes the calls of so many reminders, and says how many bytes it logged."""


def measure(design: Callable[[Site, int], int]) -> dict[str, float]:
    """Dollars by cause for a million reminders of a design."""
    with mock_aws():
        site = Site(boto3.session.Session("x", "x", region_name="us-east-1"))
        log_bytes = design(site, _REMINDERS)
        return {cause: dollars / _REMINDERS * 1e6 for cause, dollars in bill(site.meter, log_bytes).items()}


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


_SCHEMA: dict[str, Any] = {
    "TableName": "ttt",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "due_key", "slot_key")
    ],
    "KeySchema": _keys("pk", "sk"),
    "GlobalSecondaryIndexes": [
        {"IndexName": "due", "KeySchema": _keys("due_key", "slot_key"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
    ],
}


def _due(number: int) -> dict[str, Any]:
    return {"pk": f"B#{number}", "sk": "D", "amount": 12_000, "due_key": _TODAY, "slot_key": f"due#{number:08d}"}
