import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from infrastructure.local.sam.template import ACCOUNT, REGION
from predue.aws import clients, queues
from predue.aws.bus import EventBus
from predue.aws.queues import OneOffSchedules, SqsQueues
from predue.domain.due import Change, Due
from predue.domain.job import Job, parts
from predue.domain.ledger import Mark
from predue.domain.stage import StageKey
from predue.errors import PredueError, Unreachable
from tests.aws.line import DAY, Line

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
ARNS = {channel: f"arn:aws:sqs:{REGION}:{ACCOUNT}:predue-{channel}" for channel in ("sms", "email")}
ROLE, DEAD_LETTERS = f"arn:aws:iam::{ACCOUNT}:role/defer", f"arn:aws:sqs:{REGION}:{ACCOUNT}:dead"


def job(number: int = 1, deferred: int = 0) -> Job:
    key = StageKey(f"loan-{number}", 1, DAY, "T-3")
    return Job(f"b-{number}", key.day(), NOW, (key,), deferred)


@pytest.fixture
def urls(line: Line) -> dict[str, str]:
    made = {channel: clients.client("sqs").create_queue(QueueName=f"predue-{channel}") for channel in ("sms", "email")}
    line.sent.clear()
    return {channel: str(queue["QueueUrl"]) for channel, queue in made.items()}


def waiting(url: str) -> Iterator[str]:
    sqs = clients.client("sqs")
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        yield from (message["Body"] for message in messages)


def jobs_in(messages: Iterable[str]) -> list[Job]:
    return sorted((Job.read(part) for message in messages for part in parts(message)), key=str)


def test_ten_jobs_share_a_message_and_ten_messages_a_call_and_all_arrive_as_they_were(
    urls: dict[str, str], line: Line
) -> None:
    jobs = [job(number) for number in range(121)]
    SqsQueues(urls).send("sms", jobs)
    packs = [
        [len(parts(entry["MessageBody"])) for entry in request["Entries"]]
        for request in line.of("sqs.SendMessageBatch")
    ]
    assert packs == [[10] * 10, [10, 10, 1]]
    assert jobs_in(waiting(urls["sms"])) == sorted(jobs, key=str)
    assert list(waiting(urls["email"])) == []


def test_large_jobs_share_no_message_beyond_what_a_call_may_hold(urls: dict[str, str], line: Line) -> None:
    keys = tuple(StageKey(f"loan-{number}", 1, DAY, "T-3") for number in range(300))
    jobs = [replace(job(number), keys=keys) for number in range(25)]
    SqsQueues(urls).send("sms", jobs)
    calls = line.of("sqs.SendMessageBatch")
    assert all(sum(len(entry["MessageBody"]) for entry in call["Entries"]) < 256 * 1024 for call in calls)
    assert jobs_in(waiting(urls["sms"])) == sorted(jobs, key=str)


def test_no_jobs_make_no_request(urls: dict[str, str], line: Line) -> None:
    SqsQueues(urls).send("sms", [])
    assert line.sent == []


def test_a_delay_is_told_to_the_queue_and_no_delay_is_not(urls: dict[str, str], line: Line) -> None:
    SqsQueues(urls).send("sms", [job()], delay_seconds=300)
    SqsQueues(urls).send("sms", [job()])
    entries = [request["Entries"][0] for request in line.of("sqs.SendMessageBatch")]
    assert [entry.get("DelaySeconds") for entry in entries] == [300, None]


def test_entries_that_the_queue_refused_are_sent_again_and_no_other(urls: dict[str, str], line: Line) -> None:
    failed = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
    done = [{"Id": number, "MessageId": "m", "MD5OfMessageBody": "d"} for number in ("0", "2")]
    line.reply("sqs.SendMessageBatch", {"Successful": done, "Failed": failed})
    SqsQueues(urls).send("sms", [job(number) for number in range(30)])
    requests = line.of("sqs.SendMessageBatch")
    assert [request["Entries"] for request in requests[1:]] == [[requests[0]["Entries"][1]]]


def test_jobs_that_the_queue_keeps_refusing_are_an_error_and_no_silence(urls: dict[str, str], line: Line) -> None:
    failed = [{"Id": "0", "Code": "InternalError", "SenderFault": False}]
    line.reply("sqs.SendMessageBatch", {"Successful": [], "Failed": failed}, times=20)
    with pytest.raises(Unreachable):
        SqsQueues(urls).send("sms", [job()])


def test_a_queue_that_does_not_answer_is_unreachable(urls: dict[str, str], line: Line) -> None:
    line.no_answer("sqs.SendMessageBatch", times=10)
    with pytest.raises(Unreachable):
        SqsQueues(urls).send("sms", [job()])


def test_a_queue_message_holds_ids_and_nothing_else(urls: dict[str, str], line: Line) -> None:
    SqsQueues(urls).send("sms", [job()])
    body = json.loads(line.of("sqs.SendMessageBatch")[0]["Entries"][0]["MessageBody"])
    assert set(body) == {"v", "borrower", "day", "slot", "keys", "deferred"}


# One-off schedules


@pytest.fixture
def later(line: Line) -> OneOffSchedules:
    clients.client("scheduler").create_schedule_group(Name="deferred")
    line.sent.clear()
    return OneOffSchedules(ARNS, "deferred", ROLE, DEAD_LETTERS)


def schedules() -> list[dict[str, Any]]:
    scheduler = clients.client("scheduler")
    found = scheduler.list_schedules(GroupName="deferred")["Schedules"]
    return [scheduler.get_schedule(GroupName="deferred", Name=one["Name"]) for one in found]


def test_a_job_put_off_becomes_a_schedule_that_puts_it_back_and_goes_away(later: OneOffSchedules) -> None:
    later.at(NOW, "sms", job(deferred=2))
    (made,) = schedules()
    assert made["ScheduleExpression"] == "at(2026-12-02T15:00:00)"
    assert made["ScheduleExpressionTimezone"] == "UTC"
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert made["Target"]["Arn"] == ARNS["sms"]
    assert made["Target"]["RoleArn"] == ROLE
    assert made["Target"]["DeadLetterConfig"] == {"Arn": DEAD_LETTERS}
    assert jobs_in([made["Target"]["Input"]]) == [job(deferred=2)]


def test_a_schedule_removes_itself_after_it_ran(later: OneOffSchedules, line: Line) -> None:
    later.at(NOW, "sms", job())
    assert [request["ActionAfterCompletion"] for request in line.of("scheduler.CreateSchedule")] == ["DELETE"]


def test_the_same_schedule_again_is_one_schedule(later: OneOffSchedules) -> None:
    for _ in range(3):
        later.at(NOW, "sms", job())
    assert len(schedules()) == 1


def test_schedules_that_differ_in_job_channel_or_instant_are_several(later: OneOffSchedules) -> None:
    later.at(NOW, "sms", job())
    later.at(NOW, "email", job())
    later.at(NOW, "sms", job(deferred=1))
    later.at(NOW, "sms", job(2))
    later.at(NOW + timedelta(hours=1), "sms", job())
    assert len(schedules()) == 5


def test_the_instant_of_a_schedule_is_told_in_utc(later: OneOffSchedules) -> None:
    later.at(NOW.astimezone(timezone(timedelta(hours=5, minutes=45))), "sms", job())
    assert [one["ScheduleExpression"] for one in schedules()] == ["at(2026-12-02T15:00:00)"]


def test_a_schedule_whose_answer_was_lost_is_made_once(later: OneOffSchedules, line: Line) -> None:
    line.lose_answer("scheduler.CreateSchedule")
    later.at(NOW, "sms", job())
    assert len(line.of("scheduler.CreateSchedule")) == 2
    assert len(schedules()) == 1


def test_a_scheduler_that_throttles_is_unreachable(later: OneOffSchedules, line: Line) -> None:
    line.say("scheduler.CreateSchedule", "ThrottlingException", status=429, times=10)
    with pytest.raises(Unreachable):
        later.at(NOW, "sms", job())


def test_a_schedule_group_that_is_missing_is_an_error_that_time_does_not_heal(
    later: OneOffSchedules, line: Line
) -> None:
    line.say("scheduler.CreateSchedule", "ResourceNotFoundException", status=404, times=10)
    with pytest.raises(PredueError) as caught:
        later.at(NOW, "sms", job())
    assert not caught.value.retry
    assert len(line.of("scheduler.CreateSchedule")) == 1


# The bus

EVENT_ID = 32 * "e"


def overdue() -> Due:
    changes = (Change(NOW, open=True),)
    return Due(
        "b-1",
        "loan-1",
        3,
        DAY,
        12345,
        "USD",
        2,
        changes,
        payments={"core#p1": 345},
        disputes={"core": Mark(1, on=True)},
    )


def test_a_hand_over_tells_ids_and_figures_and_nothing_personal(line: Line) -> None:
    clients.client("events").create_event_bus(Name="predue")
    EventBus("predue").overdue(overdue(), EVENT_ID, NOW)
    (request,) = line.of("eventbridge.PutEvents")
    (entry,) = request["Entries"]
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == ("predue", "InstallmentOverdue", "predue")
    detail = json.loads(entry["Detail"])
    assert detail.pop("at") == "2026-12-02T15:00:00Z"
    assert detail.pop("version") == 1
    assert detail.pop("event_id") == EVENT_ID
    assert detail == {
        "borrower_id": "b-1",
        "loan_id": "loan-1",
        "installment_no": 3,
        "due_date": "2026-12-05",
        "outstanding": "120.00",
        "currency": "USD",
        "grace_days": 2,
        "disputed": True,
    }


def test_a_hand_over_that_the_bus_did_not_take_is_not_taken_for_done(line: Line) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    line.reply("eventbridge.PutEvents", refused)
    with pytest.raises(Unreachable, match="InternalFailure"):
        EventBus("predue").overdue(overdue(), EVENT_ID, NOW)


def test_messages_are_filled_up_to_their_bound_and_not_beyond() -> None:
    assert [len(pack) for pack in queues._packed(["a" * 12_000, "b" * 12_000, "c"])] == [24_003, 1]
