from typing import Any

import pytest

from tests.infrastructure.stack import FUNCTION, ROOT, Resource, Stack


def alarms(stack: Stack, metric: str, watched: Resource) -> list[Resource]:
    """The alarms on a metric of a resource."""
    return [
        alarm
        for alarm in stack.of("AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == metric
        and any(watched.is_named_by(dimension["Value"]) for dimension in alarm.get("Dimensions") or [])
    ]


def settings(alarm: Resource, *names: str) -> tuple[Any, ...]:
    return tuple(alarm.get(name) for name in names)


def test_the_first_dead_letter_raises_an_alarm(dead_letter_queue: Resource, stack: Stack) -> None:
    (alarm,) = alarms(stack, "ApproximateNumberOfMessagesVisible", dead_letter_queue)
    assert settings(alarm, "Namespace", "Threshold", "ComparisonOperator", "EvaluationPeriods") == (
        "AWS/SQS",
        0,
        "GreaterThanThreshold",
        1,
    )


def test_messages_that_wait_too_long_raise_an_alarm(source_queue: Resource, stack: Stack) -> None:
    (alarm,) = alarms(stack, "ApproximateAgeOfOldestMessage", source_queue)
    assert settings(alarm, "Namespace", "Statistic", "ComparisonOperator") == (
        "AWS/SQS",
        "Maximum",
        "GreaterThanThreshold",
    )
    # Longer than a job may wait by its own delay, shorter than the shortest day of allowed hours.
    assert 900 < alarm.get("Threshold") <= 3600


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_a_function_that_fails_or_is_held_back_raises_an_alarm(metric: str, function: Resource, stack: Stack) -> None:
    (alarm,) = alarms(stack, metric, function)
    assert settings(alarm, "Namespace", "Statistic", "Threshold", "ComparisonOperator") == (
        "AWS/Lambda",
        "Sum",
        0,
        "GreaterThanThreshold",
    )


def test_a_scheduled_function_that_did_not_run_raises_an_alarm_though_it_tells_nothing(stack: Stack) -> None:
    for function, _, _ in stack.events("ScheduleV2"):
        (alarm,) = alarms(stack, "Invocations", function)
        assert settings(alarm, "Namespace", "Statistic", "Threshold", "ComparisonOperator", "TreatMissingData") == (
            "AWS/Lambda",
            "Sum",
            1,
            "LessThanThreshold",
            "breaching",
        )
        assert alarm.get("Period") * alarm.get("EvaluationPeriods") <= 1800


def test_a_queue_fed_function_that_fails_closed_raises_an_alarm(stack: Stack) -> None:
    watched = {
        dimension["Value"]: settings(alarm, "Namespace", "Threshold", "ComparisonOperator")
        for alarm in stack.of("AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == "FailedClosed"
        for dimension in alarm.get("Dimensions")
        if dimension["Name"] == "service"
    }
    reading = [f for f, _, _ in stack.events("SQS") if "POLICY_PARAMETER" in f.get("Environment", "Variables")]
    assert [function.name for function in reading] == ["DeliverSms", "DeliverEmail", "IngestEvents", "ImportBook"]
    for function in reading:
        variables = function.get("Environment", "Variables")
        namespace, service = variables["POWERTOOLS_METRICS_NAMESPACE"], variables["POWERTOOLS_SERVICE_NAME"]
        assert watched[service] == (namespace, 0, "GreaterThanThreshold"), function


@pytest.mark.parametrize(
    ("metric", "service", "statistic", "threshold"),
    [
        ("FailedClosed", "ingest", "Sum", 0),
        ("FailedClosed", "ingest_events", "Sum", 0),
        ("ParkedDropped", "ingest_events", "Sum", 0),
        ("EventConflict", "ingest", "Sum", 0),
        ("ParkedDropped", "ingest", "Sum", 0),
        ("SignatureRefused", "ingest", "Sum", 50),
        ("OldestParkedHours", "close_day", "Maximum", 24),
        ("VolumeHeld", "plan_reminders", "Sum", 0),
        ("ImportHeld", "import_book", "Sum", 0),
        ("ImportRefused", "import_book", "Sum", 0),
        ("ImportClosedNothing", "import_book", "Sum", 0),
        ("ParkedDropped", "import_book", "Sum", 0),
        ("Unusable", "publish_events", "Sum", 0),
        ("WebhookFailed", "call_webhooks", "Sum", 0),
        ("WebhookGone", "call_webhooks", "Sum", 0),
        ("FailedClosed", "call_webhooks", "Sum", 0),
    ],
)
def test_what_goes_wrong_unseen_raises_an_alarm_on_what_its_function_counts(
    metric: str, service: str, statistic: str, threshold: int, stack: Stack
) -> None:
    dimension = [{"Name": "service", "Value": service}]
    (alarm,) = [
        one
        for one in stack.of("AWS::CloudWatch::Alarm")
        if (one.get("MetricName"), one.get("Dimensions")) == (metric, dimension)
    ]
    assert settings(alarm, "Namespace", "Statistic", "Threshold", "ComparisonOperator") == (
        "predue",
        statistic,
        threshold,
        "GreaterThanThreshold",
    )
    services = [f.get("Environment", "Variables", "POWERTOOLS_SERVICE_NAME") for f in stack.of(FUNCTION)]
    assert service in services
    source = "".join(path.read_text() for path in (ROOT / "functions").rglob("*.py"))
    assert f'"{metric}"' in source


def test_events_that_are_told_late_raise_an_alarm(stack: Stack) -> None:
    for function, _, _ in stack.events("DynamoDB"):
        (alarm,) = alarms(stack, "IteratorAge", function)
        assert settings(alarm, "Namespace", "Statistic", "Threshold", "ComparisonOperator") == (
            "AWS/Lambda",
            "Maximum",
            15 * 60 * 1000,
            "GreaterThanThreshold",
        )


def test_an_api_that_keeps_failing_raises_an_alarm_and_a_webhook_that_asks_for_a_repeat_does_not(
    api: Resource, stack: Stack
) -> None:
    (alarm,) = alarms(stack, "5xx", api)
    assert settings(alarm, "Period", "EvaluationPeriods", "DatapointsToAlarm") == (300, 3, None)
    assert settings(alarm, "Namespace", "Threshold", "ComparisonOperator") == (
        "AWS/ApiGateway",
        0,
        "GreaterThanThreshold",
    )


def test_a_table_that_refuses_work_raises_an_alarm(table: Resource, stack: Stack) -> None:
    assert alarms(stack, "ReadThrottleEvents", table)
    assert alarms(stack, "WriteThrottleEvents", table)


def test_every_alarm_is_heard_and_says_what_it_means(stack: Stack) -> None:
    (topic,) = [topic for topic in stack.of("AWS::SNS::Topic") if topic.template.name == "Alarms"]
    assert stack.of("AWS::CloudWatch::Alarm")
    for alarm in stack.of("AWS::CloudWatch::Alarm"):
        assert [stack.named_by(action) for action in alarm.get("AlarmActions")] == [topic], alarm
        assert alarm.get("AlarmDescription"), alarm
        assert alarm.get("ActionsEnabled") is not False, alarm
        assert alarm.get("TreatMissingData") in ("breaching", "notBreaching", "ignore"), alarm


def test_the_alarm_topic_has_a_reader_when_an_address_is_given(stack: Stack) -> None:
    (email,) = [s for s in stack.of("AWS::SNS::Subscription") if s.get("Protocol") == "email"]
    topic = stack.named_by(email.get("TopicArn"))
    assert topic is not None
    assert topic.template.name == "Alarms"
    assert email.get("Endpoint") == "on-call@example.com"
