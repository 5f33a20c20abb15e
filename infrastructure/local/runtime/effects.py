"""What each function must have done when it was called in the real runtime, by its handler's file."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from infrastructure.local.runs import outputs
from infrastructure.local.runtime.scene import EMAIL, FILE, LATE, RECEIPTS, SIGNING_KEY, SMS, Scene
from predue import wiring
from predue.aws import clients
from predue.aws.bucket_files import BucketFiles
from predue.domain.job import parts
from predue.domain.record import Record
from predue.imports.import_state import REPORT
from predue.runtime import settings


class Missed(Exception):
    """A function answered, but what it is there for has not happened."""


def _jobs_are_queued(_made: Scene, _answer: Any) -> str:
    queued = set()
    for channel, url in wiring.queue_urls().items():
        found = clients.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ())
        queued |= {(channel, job["borrower"]) for message in found for job in parts(message["Body"])}
    _must(queued >= {("sms", SMS), ("email", EMAIL)}, f"it queued {sorted(queued)}")
    return "queued both reminders"


def _the_day_is_closed(made: Scene, _answer: Any) -> str:
    closed = [(one.outcome, one.reason) for one in _records(LATE)]
    due = wiring.table().due(LATE, made.day - timedelta(days=1), "loan-3", 1)
    _must(closed == [("expired", "no_run")], f"the records of the passed day are {closed}")
    _must(bool(due and due.handed_over_at), "what left its grace unpaid was not handed over")
    return "expired a stage, handed a due over"


def _sent_once(channel: str, borrower: str) -> "Effect":
    def check(made: Scene, _answer: Any) -> str:
        sent = [(one.outcome, one.reason) for one in _records(borrower) if one.reminder_id not in RECEIPTS]
        wire = [line["channel"] for line in made.server.wire]
        _must(wire == [channel], f"the carriers were called {len(wire)} times: {wire}; records {sent}")
        _must(sent == [("sent", "")], f"the records are {sent}")
        return "sent once, however often called"

    return check


def _receipts_are_noted(_made: Scene, _answer: Any) -> str:
    noted = {one.reminder_id: one.receipt for one in _records(SMS)}
    _must(noted == dict.fromkeys(RECEIPTS, "delivered"), f"the receipts are {noted}")
    return "noted both deliveries"


def _email_is_stopped(_made: Scene, answer: Any) -> str:
    _must(answer["statusCode"] == 200 and "</html>" in answer["body"], f"it answered {answer}")  # noqa: PLR2004
    ledger = wiring.table().ledger(EMAIL)
    _must(bool(ledger.stops("email")), f"the stops are {dict(ledger.opt_outs)}")
    return "stopped email, answered a page"


def _the_loan_is_paid(made: Scene, answer: Any) -> str:
    _must(answer["statusCode"] == 200, f"it answered {answer}")  # noqa: PLR2004
    return _is_paid(made, SMS, "loan-1")


def _the_other_loan_is_paid(made: Scene, _answer: Any) -> str:
    return _is_paid(made, EMAIL, "loan-2")


def _is_paid(made: Scene, borrower: str, loan: str) -> str:
    due = wiring.table().due(borrower, made.day, loan, 1)
    _must(due is not None and due.closed_by == "paid", "the payment was not counted")
    return "counted a payment once"


def _the_file_is_imported(made: Scene, _answer: Any) -> str:
    due = wiring.table().due(SMS, made.day, "loan-9", 1)
    _must(due is not None and due.closed_by is None, "the installment of the file is not there")
    report = json.loads(BucketFiles(settings.env("BOOKS_BUCKET")).get(FILE + REPORT))
    stated = {name: report[name] for name in ("status", "applied", "rejected")}
    _must(stated == {"status": "done", "applied": 1, "rejected": 0}, f"the report says {stated}")
    return "imported a file once"


def _events_are_published(_made: Scene, _answer: Any) -> str:
    stated = set()
    url = settings.env("WEBHOOKS_QUEUE_URL")
    while found := clients.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        stated |= {(event["detail-type"], event["detail"]["borrower_id"]) for event in map(_emitted, found)}
    case = {("CaseOpened", LATE), ("EarlyWarningRaised", LATE)}
    _must(stated == {("ReminderSent", SMS), ("BorrowerOptedOut", EMAIL)} | case, f"the bus has {sorted(stated)}")
    return "told two outcomes, a stop and a case"


def _emitted(message: Mapping[str, Any]) -> Any:
    return json.loads(message["Body"])


def _the_subscriber_has_it(made: Scene, _answer: Any) -> str:
    ids = {headers["webhook-id"] for headers, _ in made.server.hooked}
    _must(len(ids) == 1, f"the subscriber was told of {len(ids)} events")
    for headers, body in made.server.hooked:
        stated = Webhook(SIGNING_KEY).verify(body, headers)
        _must(stated["type"] == "ReminderSent", f"the subscriber was told {stated['type']}")
    return "called the subscriber, signed"


Effect = Callable[[Scene, Any], str]
"""Says in a few words what was done, or raises Missed."""
EFFECTS: dict[str, Effect] = {
    "plan_reminders": _jobs_are_queued,
    "close_day": _the_day_is_closed,
    "deliver_sms": _sent_once("sms", SMS),
    "deliver_email": _sent_once("email", EMAIL),
    "record_receipts": _receipts_are_noted,
    "ingest": _the_loan_is_paid,
    "ingest_events": _the_other_loan_is_paid,
    "import_book": _the_file_is_imported,
    "publish_events": _events_are_published,
    "call_webhooks": _the_subscriber_has_it,
    "unsubscribe": _email_is_stopped,
}


def check(made: Scene, module: str, answer: Any) -> str:
    """Raise Missed unless an answer is one that its caller takes for done, and the function did what it is for."""
    if isinstance(answer, dict) and answer.get("batchItemFailures"):
        raise Missed(f"it named failed messages: {answer['batchItemFailures']}")
    if module not in EFFECTS:
        raise Missed(f"{Path(__file__).name} does not say what it must have done")
    with made.acting():
        return EFFECTS[module](made, answer)


def _must(held: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as the sentence that it is
    if not held:
        raise Missed(otherwise)


def _records(borrower: str) -> list[Record]:
    found = outputs.records(settings.env("TABLE_NAME"))
    return [one for one in found if one.borrower_id == borrower]
