"""No personal data in logs, metrics, queues, schedules, URLs or any file that a run leaves for other tools."""

import json
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.runs.run import run
from predue import wiring
from predue.aws import clients
from tests.flow.published import event as event_body
from tests.flow.published import open_door, tell
from tests.flow.receiver import receiving, subscribe, subscriber
from tests.flow.small import DUE, Book, play, standing, utc

NAME = "Xanthippe Quorvelian"
LOCAL, DOMAIN = "xq.zebrafinch", "quagmire-mail.example"
PHONE = "+12125550147"
OPENID = "wxopenid_vortigern"
TENANT_MARK = ("xanthippe", "quorvelian", "zebrafinch", "quagmire", "5550147", "vortigern", "2125550147")


def found_in(texts: Iterable[str]) -> set[str]:
    """The personal parts that stand in any of the texts, however they are cased or punctuated."""
    plain = "\n".join(texts).lower()
    bare = "".join(character for character in plain if character not in " ()-.%+")
    return {part for part in TENANT_MARK if part in plain or part in bare}


def book() -> Book:
    made = Book()
    person: dict[str, Any] = {"name": NAME, "phone": PHONE, "email": f"{LOCAL}@{DOMAIN}", "wechat_openid": OPENID}
    made.borrower("b-sms", **person).installment("b-sms", loan_id="l-sms")
    made.borrower("b-mail", **person, channels="email").installment("b-mail", loan_id="l-mail")
    made.borrower("b-stop", **person).installment("b-stop", loan_id="l-stop")
    made.borrower("b-bad", **person | {"phone": f"{PHONE}x", "email": f"{LOCAL}@@{DOMAIN}"})
    made.installment("b-bad", loan_id="l-bad")
    made.borrower("b-locale", **person, time_zone=NAME, locale=f"{LOCAL}@{DOMAIN}", jurisdiction=PHONE[2:])
    made.installment("b-locale", loan_id="l-locale")
    made.event(utc(10, 12), "borrower.opted_out", borrower_id="b-stop", channel="all", note=NAME)
    made.event(utc(10, 13), "borrower.updated", borrower_id="b-sms", name=NAME, phone=PHONE, text=NAME)
    made.event(utc(10, 13), "borrower.hold_started", borrower_id="b-stop", reason="hardship", note=NAME)
    made.event(utc(10, 13), "borrower.hold_started", borrower_id="b-bad", reason=f"{NAME} is ill")
    return made


def spoiled(folder: Path, made: Book) -> None:
    """Rows that will be rejected, with personal data in every column, and events that cannot be applied."""
    made.borrower("b-rejected", name=NAME, preferred_time=PHONE, channels=NAME)
    made.borrower("b-mail", name=NAME, phone=PHONE)
    made.installment("b-mail", loan_id="l-x", amount=PHONE, currency=NAME)
    made.installment("b-mail", loan_id="l-y", status=f"{LOCAL}@{DOMAIN}", grace_days=PHONE)
    made.installment(NAME, loan_id="l-z")
    made.event(utc(10, 14), "borrower.updated", borrower_id="b-mail", preferred_time=PHONE, channels=[NAME])
    made.event(utc(10, 14), "installment.paid", loan_id="l-mail", installment_no=1, amount=f"{LOCAL}@{DOMAIN}")
    made.event(utc(10, 14), NAME, borrower_id="b-mail")
    made.write(folder)


OUTPUTS = (
    "contacts.jsonl",
    "records.jsonl",
    "wire.jsonl",
    "overdue.jsonl",
    "cases.jsonl",
    "rejected.csv",
    "warnings.csv",
    "logs.jsonl",
    "summary.json",
)


def test_the_scan_finds_what_is_planted() -> None:
    assert found_in(["all is well", "b-sms", "l-sms"]) == set()
    assert found_in([f"hello {NAME.upper()}"]) == {"xanthippe", "quorvelian"}
    assert found_in([json.dumps({"to": f"{LOCAL}@{DOMAIN}"})]) == {"zebrafinch", "quagmire"}
    assert found_in(["(212) 555-0147"]) == found_in([PHONE]) == {"5550147", "2125550147"}
    assert found_in(["/u?to=xq%2Ezebrafinch%40x"]) == {"zebrafinch"}
    assert amounts_in(["Please pay $7,351.26", "owed: 7351.26"]) == {"7,351.26", AMOUNT}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("personal")
    made = book()
    spoiled(folder, made)
    return play(folder, made, DUE, DUE, through=run).out


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_file_of_a_run_holds_personal_data(name: str, outputs: Path) -> None:
    text = (outputs / name).read_text(encoding="utf-8")
    assert text or name == "overdue.jsonl"
    assert found_in([text]) == set()


def test_the_run_that_was_scanned_sent_suppressed_and_rejected(outputs: Path) -> None:
    summary = json.loads((outputs / "summary.json").read_text(encoding="utf-8"))
    rejected = (outputs / "rejected.csv").read_text(encoding="utf-8").splitlines()
    assert summary["rejected_rows"] == len(rejected) - 1 == 8
    lines = [json.loads(line) for line in (outputs / "contacts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["outcome"] for line in lines} >= {"sent", "suppressed"}
    assert any("_aws" in line for line in (outputs / "logs.jsonl").read_text(encoding="utf-8").splitlines())


EVENT_ID = ("sqs.SendMessageBatch", "sqs.SendMessage", "scheduler.CreateSchedule", "lambda.Invoke", "events.PutEvents")


def event_id() -> list[str]:
    """What is sent to the services that carry messages, from now on."""
    sent: list[str] = []
    for operation in EVENT_ID:
        clients.client(operation.partition(".")[0]).meta.events.register(
            f"before-parameter-build.{operation}", lambda params, **_: sent.append(json.dumps(params, default=str))
        )
    return sent


def test_no_queue_message_schedule_call_or_event_holds_personal_data(tmp_path: Path) -> None:
    with standing(tmp_path, book(), utc(10, 11, 50), Publish="bus") as stand:
        sent = event_id()
        stand.switch(utc(10, 14, 55), "sms", "email")
        stand.switch(utc(10, 15, 20))
        stand.until(utc(10, 15, 50))
        # A provider's own events name the address; they come from outside, and are ignored here.
        ours = [text for text in sent if "eventType" not in text]
        assert len(ours) > 4
        assert any("CaseOpened" in text for text in ours)
        assert len(stand.wire) >= 2
        assert found_in(ours) == set()


AMOUNT = "7351.26"
EXCEPTED = ("predue-receipts", "predue-receipts-dead-letters")
"""Queues that hold what the provider wrote (docs/architecture.md, "Promise 8 and the receipts queue"); the other two
excepted ones hold what loan systems put on the bus, which nobody does here.
"""


def amounts_in(texts: Iterable[str]) -> set[str]:
    """The ways in which the amount stands in any of the texts."""
    plain = "\n".join(texts)
    return {way for way in (AMOUNT, "7,351.26", "735126", "7.351,26", "7351,26") if way in plain}


def queue_of(sent: str) -> str:
    return str(json.loads(sent).get("QueueUrl", "")).rpartition("/")[2]


def test_nothing_that_is_told_logged_or_queued_in_a_whole_run_with_webhooks_holds_personal_data(tmp_path: Path) -> None:
    made = book()
    for row in made.installments:
        row["amount"] = AMOUNT
    parameters: dict[str, Any] = {"Publish": "webhooks", "WebhookAddresses": "any"}
    with receiving() as receiver, standing(tmp_path, made, utc(6, 3), **parameters) as stand:
        receiver.clock = stand.stack.clock
        subscribe(stand, lender=subscriber(receiver))
        open_door(stand)
        sent = event_id()
        stand.until(utc(9, 16))
        person: dict[str, Any] = {
            "name": NAME,
            "phone": PHONE,
            "email": f"{LOCAL}@{DOMAIN}",
            "note": f"{NAME} owes {AMOUNT}",
        }
        tell(stand, event_body("borrower.updated", "t-1", borrower_id="b-mail", **person))
        tell(stand, event_body("borrower.opted_out", "t-2", borrower_id="b-sms", channel="all", note=NAME))
        tell(stand, event_body("installment.paid", "t-3", loan_id="l-bad", amount=AMOUNT, note=NAME))
        tell(stand, event_body(NAME, "t-4", borrower_id=NAME, amount=AMOUNT))
        receiver.status = 503
        stand.until(utc(11, 6))
        receiver.status = 204
        stand.until(utc(13))
        hooked = [json.dumps(call.body) for call in receiver.calls]
        ours = [text for text in sent if queue_of(text) not in EXCEPTED]
        logged = [json.dumps(line) for line in stand.log]
        told = [json.dumps(one) for one in stand.stack.bus.emitted]
        assert {call.body["type"] for call in receiver.taken} == {
            "ReminderSent",
            "ReminderSuppressed",
            "BorrowerOptedOut",
            "InstallmentOverdue",
            "CaseOpened",
            "EarlyWarningRaised",
        }
        assert any("_aws" in line for line in stand.log)
        for texts in (logged, told, hooked, ours):
            assert found_in(texts) == set()
        assert amounts_in(logged) == set()
        assert amounts_in(told) == {AMOUNT}
        # What is left to collect is a field of the hand-over, and of nothing else (docs/events.md).
        owed = json.dumps({"outstanding": AMOUNT})[1:-1]
        assert (
            amounts_in([text.replace(owed, "").replace(json.dumps(owed)[1:-1], "") for text in told + hooked]) == set()
        )


def broken(*_: Any, **__: Any) -> None:
    raise ValueError(f"{NAME} {LOCAL}@{DOMAIN} {PHONE} {OPENID}")


DEFECTS = {
    "deliver-email": (
        "predue.reminders.deliver.render",
        "predue.reminders.deliver.decide",
        "predue.aws.items.read_profile",
        "predue.aws.providers.Ses.send",
        "predue.aws.table.Table.write_ledger",
    ),
    "record-receipts": ("predue.aws.table.Table.raise_receipt",),
    "plan-reminders": ("predue.reminders.planner._plan_page", "predue.aws.items.read_profile"),
    "close-day": ("predue.aws.plans.TablePlans.overdue", "predue.reminders.closing.CloseTally"),
}


@pytest.mark.parametrize(("function", "defect"), [(name, one) for name, many in DEFECTS.items() for one in many])
def test_a_handler_that_fails_with_personal_data_in_its_error_logs_none_of_it(
    function: str, defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whom the recorded job of the email queue names.
    made = Book().borrower("b-2", name=NAME, phone=PHONE, email=f"{LOCAL}@{DOMAIN}", channels="email")
    made.installment("b-2", loan_id="loan-2")
    with standing(tmp_path, made, utc(10, 15, 1), known=utc(10, 14)) as stand:
        monkeypatch.setattr(defect, broken)
        queued = function in ("deliver-email", "record-receipts")
        with nullcontext() if queued else pytest.raises(ValueError, match=NAME):
            stand.stack.invoke(stand.stack.functions[f"predue-{function}"], event(function))
        assert any(line.get("error") == "ValueError" for line in stand.log)
        assert found_in(map(json.dumps, stand.log)) == set()


def event(function: str) -> dict[str, Any]:
    path = Path(__file__).parents[1] / "events" / f"{function.replace('-', '_')}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_an_unsubscribe_link_tells_nothing_of_whom_it_belongs_to(tmp_path: Path) -> None:
    with standing(tmp_path, book(), utc(10, 14, 51)) as stand, stand.stack.feeding():
        for borrower in ("b-sms", "b-mail", "b-stop"):
            profile = wiring.table().profile(borrower)
            assert profile is not None
            url = wiring.unsubscribe_url(profile.ref)
            assert found_in([url]) == set()
            assert borrower not in url
            assert url.startswith("https://")
