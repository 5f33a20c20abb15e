from typing import Any

import pytest

from tests.infrastructure.stack import STACK, Resource, Stack

SCHEDULED = STACK.events("ScheduleV2")

each_schedule = pytest.mark.parametrize(
    ("scheduled", "event"),
    [(function, event) for function, _, event in SCHEDULED],
    ids=[str(f) for f, _, _ in SCHEDULED],
)


def test_the_planner_and_the_closing_run_start_every_quarter_hour_and_not_together() -> None:
    assert {function.name: event["ScheduleExpression"] for function, _, event in SCHEDULED} == {
        "PlanReminders": "cron(0/15 * * * ? *)",
        "CloseDay": "cron(5/15 * * * ? *)",
    }


@each_schedule
def test_a_schedule_neither_shifts_its_start_nor_follows_a_local_clock(
    scheduled: Resource, event: dict[str, Any]
) -> None:
    assert event["FlexibleTimeWindow"] == {"Mode": "OFF"}, scheduled
    assert event["ScheduleExpressionTimezone"] == "UTC"


@each_schedule
def test_two_stacks_in_one_account_have_schedules_of_different_names(
    scheduled: Resource, event: dict[str, Any]
) -> None:
    assert event["Name"] == scheduled.get("FunctionName")
    assert event["Name"].startswith("predue-")


@each_schedule
def test_a_start_that_fails_is_tried_again_until_the_next_one_and_then_kept(
    scheduled: Resource, event: dict[str, Any]
) -> None:
    assert event["RetryPolicy"]["MaximumRetryAttempts"] >= 1, scheduled
    assert event["RetryPolicy"]["MaximumEventAgeInSeconds"] == 900
    dead_letters = STACK.named_by(event["DeadLetterConfig"]["Arn"])
    assert dead_letters is not None
    assert dead_letters.name == "ScheduleDeadLetters"


@each_schedule
def test_a_shard_that_fails_is_tried_twice_again_and_then_kept(scheduled: Resource, event: dict[str, Any]) -> None:
    assert event
    asynchronous = scheduled.get("EventInvokeConfig")
    assert asynchronous["MaximumRetryAttempts"] == 2
    dead_letters = STACK.named_by(asynchronous["DestinationConfig"]["OnFailure"]["Destination"])
    assert dead_letters is not None
    assert dead_letters.name == "AsyncDeadLetters"


@each_schedule
def test_a_schedule_may_start_the_scheduled_functions_and_do_nothing_else(
    scheduled: Resource, event: dict[str, Any], stack: Stack
) -> None:
    role = stack.named_by(event["RoleArn"])
    assert role is not None
    (start,) = [s for s in role.statements() if "lambda:InvokeFunction" in s.actions]
    assert [arn.rpartition(":")[2] for arn in start.resources] == [
        other.get("FunctionName") for other, _, _ in SCHEDULED
    ]
    assert scheduled.get("FunctionName") in start.resources[0] + start.resources[1]
    (keep,) = [s for s in role.statements() if "sqs:SendMessage" in s.actions]
    assert keep.resources == [event["DeadLetterConfig"]["Arn"]]


def test_one_off_schedules_may_put_jobs_back_and_keep_those_that_they_could_not(stack: Stack) -> None:
    (role,) = {stack.named_by(f.get("Environment", "Variables", "DEFER_ROLE_ARN")) for f in deferring(stack)}
    assert role is not None
    (put,) = [s for s in role.statements() if "sqs:SendMessage" in s.actions]
    assert {queue.name for arn in put.resources if (queue := stack.named_by(arn))} == {
        "SmsQueue",
        "EmailQueue",
        "DeferDeadLetters",
    }
    assert {action for s in role.statements() for action in s.actions} == {
        "sts:AssumeRole",
        "sqs:SendMessage",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }


def test_a_deliver_function_can_name_all_that_a_one_off_schedule_needs(stack: Stack) -> None:
    assert {function.name for function in deferring(stack)} == {"DeliverSms", "DeliverEmail"}
    for function in deferring(stack):
        settings = function.get("Environment", "Variables")
        assert {"DEFER_GROUP", "DEFER_ROLE_ARN", "DEFER_DLQ_ARN", "SMS_QUEUE_ARN", "EMAIL_QUEUE_ARN"} <= settings.keys()
        group, dead_letters = stack.named_by(settings["DEFER_GROUP"]), stack.named_by(settings["DEFER_DLQ_ARN"])
        assert group is not None
        assert group.type == "AWS::Scheduler::ScheduleGroup"
        assert dead_letters is not None
        assert dead_letters.name == "DeferDeadLetters"


def deferring(stack: Stack) -> list[Resource]:
    return [
        function
        for function in stack.of("AWS::Serverless::Function")
        if "DEFER_ROLE_ARN" in function.get("Environment", "Variables")
    ]
