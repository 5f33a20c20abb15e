import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from predue.aws import clients
from tests.flow.small import Book, Standing, standing, told, utc
from tests.functions.recorded import batch, call, failed, recorded

START = utc(10, 15, 1)
"""A minute after the slot of New York: what is due is open, and no schedule fires before five past."""
POISON = [
    "no json",
    "[]",
    "[null]",
    "null",
    "{}",
    '{"v":2}',
    '{"v":1,"borrower":"nobody","day":"2026-12-10","slot":"2026-12-10T15:00:00Z","keys":["x#1#2026-12-10#T0"],"deferred":0}',
    '{"v":1,"borrower":"b-0","day":"2026-12-09","slot":"2026-12-09T15:00:00Z","keys":["x#1#2026-12-10#T0"],"deferred":0}',
    '{"v":1,"borrower":"b-0","day":"2026-12-10","slot":"2026-12-10T15:00:00","keys":["x#1#2026-12-10#T0"],"deferred":0}',
    '{"v":1,"borrower":"b-0","day":"2026-12-10","slot":"2026-12-10T15:00:00Z","keys":[],"deferred":0}',
    '{"v":1,"borrower":"b-0","day":"2026-12-10","slot":"2026-12-10T15:00:00Z","keys":["x#1"],"deferred":0}',
]


def book(borrowers: int = 1, **fields: str) -> Book:
    made = Book()
    for number in range(borrowers):
        made.borrower(f"b-{number}", **fields).installment(f"b-{number}", loan_id=f"loan-{number}")
    return made


def job(number: int) -> str:
    body = json.loads(recorded("deliver_sms")["Records"][0]["body"])
    return json.dumps(body | {"borrower": f"b-{number}", "keys": [f"loan-{number}#1#2026-12-10#T0"]})


@pytest.mark.parametrize(("name", "channel", "number"), [("deliver_sms", "sms", "1"), ("deliver_email", "email", "2")])
def test_a_recorded_job_is_delivered_on_its_channel(name: str, channel: str, number: str, tmp_path: Path) -> None:
    made = Book().borrower(f"b-{number}", channels=channel).installment(f"b-{number}", loan_id=f"loan-{number}")
    with standing(tmp_path, made, START, known=utc(10, 14)) as stand:
        assert failed(call(stand.stack, name, recorded(name))) == []
        assert [line["channel"] for line in stand.wire] == [channel]
        assert told(stand.contacts) == {("T0", "sent", "")}


def test_a_poison_record_in_a_batch_of_ten_is_named_and_the_nine_are_done_once(tmp_path: Path) -> None:
    event = batch("deliver_sms", [*map(job, range(4)), "no json", *map(job, range(4, 9))])
    with standing(tmp_path, book(9), START, known=utc(10, 14)) as stand:
        for _ in range(3):
            assert failed(call(stand.stack, "deliver_sms", event)) == ["m-4"]
        assert len(stand.contacts) == 9
        reached = [line["reminder_id"] for line in stand.wire]
        assert len(reached) == len(set(reached)) == 9


def test_every_kind_of_poison_is_named_and_stops_nothing_else(tmp_path: Path) -> None:
    event = batch("deliver_sms", [*POISON, job(0)])
    with standing(tmp_path, book(), START, known=utc(10, 14)) as stand:
        assert failed(call(stand.stack, "deliver_sms", event)) == [f"m-{number}" for number in range(len(POISON))]
        assert told(stand.contacts) == {("T0", "sent", "")}


def test_a_batch_of_nothing_but_poison_is_answered_and_raises_nothing(tmp_path: Path) -> None:
    with standing(tmp_path, book(), START, known=utc(10, 14)) as stand:
        assert failed(call(stand.stack, "deliver_sms", batch("deliver_sms", ["x", "y"]))) == ["m-0", "m-1"]


def test_the_same_job_twice_in_a_batch_is_one_call(tmp_path: Path) -> None:
    with standing(tmp_path, book(), START, known=utc(10, 14)) as stand:
        call(stand.stack, "deliver_sms", batch("deliver_sms", [job(0), job(0)]))
        call(stand.stack, "deliver_email", batch("deliver_email", [job(0)]))
        assert len(stand.wire) == len(stand.contacts) == 1


def test_a_job_on_the_wrong_queue_is_forwarded_and_not_sent(tmp_path: Path) -> None:
    with standing(tmp_path, book(channels="email"), START, known=utc(10, 14)) as stand:
        assert failed(call(stand.stack, "deliver_sms", batch("deliver_sms", [job(0)]))) == []
        assert stand.wire == []
        stand.until(utc(10, 15, 2))
        assert [line["channel"] for line in stand.wire] == ["email"]


def pack(*jobs: str) -> str:
    return f"[{','.join(jobs)}]"


def test_the_jobs_of_a_pack_are_all_delivered(tmp_path: Path) -> None:
    with standing(tmp_path, book(12), START, known=utc(10, 14)) as stand:
        packs = [pack(*map(job, range(10))), pack(job(10), job(11))]
        assert failed(call(stand.stack, "deliver_sms", batch("deliver_sms", packs))) == []
        assert len(stand.wire) == len(stand.contacts) == 12


@pytest.mark.parametrize("bad", ['{"v":2}', "7", job(0).replace("b-0", "nobody")])
def test_a_bad_job_in_a_pack_goes_on_alone_and_brings_back_no_other(bad: str, tmp_path: Path) -> None:
    with standing(tmp_path, book(3), START, known=utc(10, 14)) as stand:
        event = batch("deliver_sms", [pack(job(0), bad, job(1)), job(2)])
        assert failed(call(stand.stack, "deliver_sms", event)) == []
        assert len(stand.wire) == 3
        stand.until(utc(10, 23))
        assert stand.stack.dead_letters() == {"predue-sms-dead-letters": 1}
        assert len(stand.wire) == 3


def test_a_pack_whose_bad_job_cannot_go_on_alone_comes_back_whole_and_calls_nobody_twice(tmp_path: Path) -> None:
    with standing(tmp_path, book(2), START, known=utc(10, 14)) as stand:
        deliver = stand.stack.functions["predue-deliver-sms"]
        broken = replace(deliver, environment={**deliver.environment, "SMS_QUEUE_URL": "http://localhost/none"})
        event = batch("deliver_sms", [pack(job(0), "{}", job(1))])
        for _ in range(2):
            assert failed(stand.stack.invoke(broken, event)) == ["m-0"]
        assert len(stand.wire) == 2


def test_workers_side_by_side_deliver_each_job_of_a_pack_once(tmp_path: Path) -> None:
    with standing(tmp_path, book(10), START, known=utc(10, 14)) as stand:
        deliver = stand.stack.functions["predue-deliver-sms"]
        several = replace(deliver, environment={**deliver.environment, "WORKERS": "8"})
        jobs = pack(*map(job, range(10)))
        assert failed(stand.stack.invoke(several, batch("deliver_sms", [jobs, jobs]))) == []
        assert len(stand.wire) == len(stand.contacts) == 10
        assert told(stand.contacts) == {("T0", "sent", "")}


def test_a_function_with_too_little_time_left_begins_no_job_and_names_them_all(tmp_path: Path) -> None:
    with standing(tmp_path, book(2), START, known=utc(10, 14)) as stand:
        hurried = replace(stand.stack.functions["predue-deliver-sms"], timeout=13)
        event = batch("deliver_sms", [job(0), job(1)])
        assert failed(stand.stack.invoke(hurried, event)) == ["m-0", "m-1"]
        assert stand.contacts == stand.wire == []


@pytest.mark.parametrize("parameter", ["POLICY_PARAMETER", "SWITCH_PARAMETER"])
def test_without_policy_or_switch_every_job_is_named_and_nothing_is_sent(parameter: str, tmp_path: Path) -> None:
    with standing(tmp_path, book(2), START, known=utc(10, 14)) as stand:
        clients.client("ssm").delete_parameter(Name=stand.environment[parameter])
        stand.until(utc(10, 15, 2))
        answer = call(stand.stack, "deliver_sms", batch("deliver_sms", [job(0), job(1)]))
        assert failed(answer) == ["m-0", "m-1"]
        assert stand.contacts == stand.wire == []
        assert any(line.get("FailedClosed") for line in stand.log)


def test_without_keys_no_email_goes_out(tmp_path: Path) -> None:
    with standing(tmp_path, book(channels="email"), START, known=utc(10, 14)) as stand:
        secret = stand.environment["KEYS_SECRET"]
        clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString="{}")
        stand.until(utc(10, 15, 4))
        stand.stack.clock.move_to(utc(10, 15, 9))
        assert failed(call(stand.stack, "deliver_email", batch("deliver_email", [job(0)]))) == ["m-0"]
        assert stand.contacts == stand.wire == []


# Receipts


def receipts(stand: Standing, *changes: dict[str, Any], channel: str = "sms") -> list[str]:
    """The recorded event of a channel about the reminder that was sent, changed in each way."""
    body = json.loads(recorded("record_receipts")["Records"][0 if channel == "sms" else 1]["body"])
    reminder = stand.contacts[0]["reminder_id"]
    if channel == "sms":
        body["context"]["reminder_id"] = reminder
    else:
        body["mail"]["tags"]["reminder_id"] = [reminder]
    return [json.dumps(body | change) for change in changes]


def sent(stand: Standing, channel: str = "sms") -> None:
    name = f"deliver_{channel}"
    call(stand.stack, name, batch(name, [job(0)]))


def test_receipts_that_come_within_the_batching_window_are_taken_in_together(tmp_path: Path) -> None:
    with standing(tmp_path, book(12), START, known=utc(10, 14)) as stand:
        call(stand.stack, "deliver_sms", batch("deliver_sms", [pack(*map(job, range(10))), pack(job(10), job(11))]))
        stand.until(utc(10, 23))
        assert [line["receipt"] for line in stand.contacts] == ["delivered"] * 12
        assert 0 < stand.stack.meter.invocations["predue-record-receipts"] < 12


@contextmanager
def atomic() -> Iterator[None]:
    """Within this, moto answers one request at a time, as DynamoDB does for an item: by itself it checks a condition
    and writes in two steps, between which another thread may come.
    """
    lock, answer = threading.RLock(), BotocoreStubber.__call__

    def one_at_a_time(stubber: BotocoreStubber, *given: Any, **named: Any) -> Any:
        with lock:
            return answer(stubber, *given, **named)

    with mock.patch.object(BotocoreStubber, "__call__", one_at_a_time):
        yield


def test_workers_side_by_side_take_in_each_receipt(tmp_path: Path) -> None:
    with standing(tmp_path, book(10), START, known=utc(10, 14)) as stand, atomic():
        call(stand.stack, "deliver_sms", batch("deliver_sms", [pack(*map(job, range(10)))]))
        events = [
            json.dumps({"eventType": kind, "messageId": "m", "context": {"reminder_id": line["reminder_id"]}})
            for line in stand.contacts
            for kind in ("TEXT_SENT", "TEXT_DELIVERED", "TEXT_SENT")
        ]
        record = stand.stack.functions["predue-record-receipts"]
        several = replace(record, environment={**record.environment, "WORKERS": "8"})
        assert failed(stand.stack.invoke(several, batch("record_receipts", ["x", *events]))) == ["m-0"]
        assert [line["receipt"] for line in stand.contacts] == ["delivered"] * 10


def test_a_delivered_email_comes_to_the_queue_without_its_address_and_is_noted(tmp_path: Path) -> None:
    with standing(tmp_path, book(channels="email"), START, known=utc(10, 14)) as stand:
        sent(stand, "email")
        bodies: list[str] = []
        put = stand.stack._put

        def note(queue_arn: str, body: str) -> None:
            bodies.append(body)
            put(queue_arn, body)

        with mock.patch.object(stand.stack, "_put", note):
            stand.until(utc(10, 16))
        assert [json.loads(body)["eventType"] for body in bodies] == ["Delivery"]
        assert "@" not in bodies[0]
        assert [line["receipt"] for line in stand.contacts] == ["delivered"]


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_a_providers_event_as_sns_delivers_it_raw_is_taken_into_the_record(channel: str, tmp_path: Path) -> None:
    with standing(tmp_path, book(channels=channel), START, known=utc(10, 14)) as stand:
        sent(stand, channel)
        event = batch("record_receipts", receipts(stand, {}, channel=channel))
        assert failed(call(stand.stack, "record_receipts", event)) == []
        assert [line["receipt"] for line in stand.contacts] == ["delivered"]


def test_receipts_in_the_wrong_order_or_twice_leave_the_highest(tmp_path: Path) -> None:
    with standing(tmp_path, book(), START, known=utc(10, 14)) as stand:
        sent(stand)
        kinds = ["TEXT_DELIVERED", "TEXT_SENT", "TEXT_UNREACHABLE", "TEXT_DELIVERED"]
        bodies = receipts(stand, *({"eventType": kind} for kind in kinds))
        assert failed(call(stand.stack, "record_receipts", batch("record_receipts", bodies))) == []
        assert [line["receipt"] for line in stand.contacts] == ["delivered"]


def test_a_receipt_that_comes_before_its_record_is_kept_for_later(tmp_path: Path) -> None:
    with standing(tmp_path, book(2), START, known=utc(10, 14)) as stand:
        sent(stand)
        (body,) = receipts(stand, {})
        early = json.loads(body)
        early["context"]["reminder_id"] = early["context"]["reminder_id"][:16] + "a" * 16
        event = batch("record_receipts", [json.dumps(early), body])
        assert failed(call(stand.stack, "record_receipts", event)) == ["m-0"]


@pytest.mark.parametrize(
    "poison", ["x", "[]", "{}", '{"eventType":"TEXT_DELIVERED"}', '{"eventType":"Delivery","mail":{"tags":{}}}', "7"]
)
def test_a_message_that_is_no_receipt_of_ours_is_named(poison: str, tmp_path: Path) -> None:
    with standing(tmp_path, book(), START, known=utc(10, 14)) as stand:
        sent(stand)
        event = batch("record_receipts", [poison, *receipts(stand, {})])
        assert failed(call(stand.stack, "record_receipts", event)) == ["m-0"]
        assert [line["receipt"] for line in stand.contacts] == ["delivered"]


def test_an_event_that_says_nothing_of_delivery_is_ignored(tmp_path: Path) -> None:
    with standing(tmp_path, book(channels="email"), START, known=utc(10, 14)) as stand:
        sent(stand, "email")
        event = batch("record_receipts", receipts(stand, {"eventType": "Open"}, channel="email"))
        assert failed(call(stand.stack, "record_receipts", event)) == []
        assert [line["receipt"] for line in stand.contacts] == [""]


@pytest.mark.parametrize(
    ("change", "receipt", "reason"),
    [
        ({"eventType": "Complaint", "complaint": {}}, "complained", "opted_out"),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}}, "bounced", "address_suppressed"),
    ],
)
def test_a_complaint_and_a_hard_bounce_end_email_to_the_borrower(
    change: dict[str, Any], receipt: str, reason: str, tmp_path: Path
) -> None:
    made = book(channels="email").installment("b-0", loan_id="loan-later")
    with standing(tmp_path, made, START, known=utc(10, 14)) as stand:
        sent(stand, "email")
        event = batch("record_receipts", receipts(stand, change, channel="email"))
        assert failed(call(stand.stack, "record_receipts", event)) == []
        assert [line["receipt"] for line in stand.contacts] == [receipt]
        later = job(0).replace("loan-0", "loan-later")
        call(stand.stack, "deliver_email", batch("deliver_email", [later]))
        assert ("T0", "suppressed", reason) in told(stand.contacts)
        assert len(stand.wire) == 1
