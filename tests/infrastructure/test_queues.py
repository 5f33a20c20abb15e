from datetime import timedelta
from typing import Any

import pytest

from infrastructure.local.aws.streams import filters, lets_through
from predue.outbound import outbound_webhooks
from tests.infrastructure.stack import STACK, Resource, Stack

FED_BY_QUEUE = STACK.events("SQS")
DAY = 86_400

each_feed = pytest.mark.parametrize(
    ("consumer", "event"),
    [(function, event) for function, _, event in FED_BY_QUEUE],
    ids=[str(f) for f, _, _ in FED_BY_QUEUE],
)


def source(event: dict[str, Any]) -> Resource:
    queue = STACK.named_by(event["Queue"])
    assert queue is not None
    return queue


def test_each_channel_the_receipts_events_imports_and_webhooks_have_a_queue_that_feeds_a_function() -> None:
    fed = {source(event).name for _, _, event in FED_BY_QUEUE}
    assert fed == {"SmsQueue", "EmailQueue", "ReceiptsQueue", "EventsQueue", "ImportsQueue", "WebhooksQueue"}


@each_feed
def test_one_failed_record_does_not_fail_its_batch(consumer: Resource, event: dict[str, Any]) -> None:
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"], consumer
    # A message of the deliver functions holds ten jobs.
    assert event["BatchSize"] <= (5 if consumer.name.startswith("Deliver") else 100)


@each_feed
def test_a_queue_cannot_start_more_functions_than_its_provider_takes(consumer: Resource, event: dict[str, Any]) -> None:
    assert 2 <= int(event["ScalingConfig"]["MaximumConcurrency"]) <= 1000, consumer


@each_feed
def test_a_message_stays_hidden_for_six_times_the_time_that_its_function_may_run(
    consumer: Resource, event: dict[str, Any]
) -> None:
    window = event.get("MaximumBatchingWindowInSeconds", 0)
    assert source(event).get("VisibilityTimeout") >= 6 * consumer.get("Timeout") + window


@each_feed
def test_a_redelivery_finds_the_lease_of_the_claim_before_it_over(consumer: Resource, event: dict[str, Any]) -> None:
    lease = int(consumer.get("Environment", "Variables", "LEASE_SECONDS") or 0)
    delivers = consumer.name.startswith("Deliver")
    assert (lease > consumer.get("Timeout")) is delivers
    assert source(event).get("VisibilityTimeout") > lease


@each_feed
def test_what_fails_five_times_or_more_is_kept_and_what_fails_less_is_tried_again(
    consumer: Resource, event: dict[str, Any]
) -> None:
    redrive = source(event).get("RedrivePolicy")
    assert redrive is not None, consumer
    assert redrive["maxReceiveCount"] >= 5
    dead_letters = STACK.named_by(redrive["deadLetterTargetArn"])
    assert dead_letters is not None
    assert dead_letters.name == source(event).name.replace("Queue", "DeadLetters")


def test_a_queue_feeds_a_function_or_keeps_what_failed(queue: Resource, stack: Stack) -> None:
    feeds = queue.name in {source(event).name for _, _, event in FED_BY_QUEUE}
    assert feeds is not (queue.name in stack.dead_letter_queues())


def test_dead_letters_are_kept_for_14_days(dead_letter_queue: Resource) -> None:
    assert dead_letter_queue.get("MessageRetentionPeriod") == 14 * DAY
    assert dead_letter_queue.get("RedrivePolicy") is None


def test_a_job_outlives_a_weekend_without_its_function_but_not_its_dead_letters(source_queue: Resource) -> None:
    assert 3 * DAY <= source_queue.get("MessageRetentionPeriod") < 14 * DAY


def test_dead_letters_of_a_queue_come_from_that_queue_only(source_queue: Resource) -> None:
    dead_letters = STACK.named_by(source_queue.get("RedrivePolicy", "deadLetterTargetArn"))
    assert dead_letters is not None
    allowed = dead_letters.get("RedriveAllowPolicy")
    assert allowed["redrivePermission"] == "byQueue"
    assert [arn.rpartition(":")[2] for arn in allowed["sourceQueueArns"]] == [source_queue.get("QueueName")]


def test_an_event_is_kept_for_longer_than_a_subscriber_is_called_and_a_subscriber_longer_than_a_day(
    stack: Stack,
) -> None:
    (queue,) = [one for one in stack.of("AWS::SQS::Queue") if one.name == "WebhooksQueue"]
    tries = queue.get("RedrivePolicy", "maxReceiveCount")
    shortest = sum(
        (outbound_webhooks.wait(number, 0, "x") / (1 + outbound_webhooks.JITTER) for number in range(1, tries)),
        timedelta(),
    )
    longest = sum(
        (outbound_webhooks.wait(number, 0, "x") * (1 + outbound_webhooks.JITTER) for number in range(1, tries)),
        timedelta(),
    )
    assert shortest > timedelta(hours=24)
    assert longest.total_seconds() + queue.get("VisibilityTimeout") * tries < queue.get("MessageRetentionPeriod")


def test_what_predue_tells_goes_to_the_webhooks_and_nothing_else_of_the_bus_does(stack: Stack) -> None:
    rules = [one for one in stack.of("AWS::Events::Rule") if one.get("EventBusName")]
    (rule,) = [one for one in rules if one.get("EventPattern") == {"source": ["predue"]}]
    assert {one.name for one in rules} == {"EventsRule", rule.name}
    assert stack.named_by(rule.get("EventBusName")) == stack.of("AWS::Events::EventBus")[0]
    (target,) = rule.get("Targets")
    found = [stack.named_by(arn) for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"])]
    assert [one.name for one in found if one] == ["WebhooksQueue", "WebhooksDeadLetters"]
    assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] == DAY


def test_the_stream_brings_outcomes_and_stops_only_and_keeps_what_could_not_be_told(stack: Stack) -> None:
    ((function, _, event),) = stack.events("DynamoDB")
    assert function.name == "PublishEvents"
    brought = [
        (name, sk, outcome)
        for name in ("INSERT", "MODIFY", "REMOVE")
        for sk in ("A#ledger", "A#profile", "D#x", "R#x", "S#x", "I#1")
        for outcome in ("unknown", "sent")
        if lets_through(filters(event), change(name, sk, outcome))
    ]
    assert {(name, sk) for name, sk, _ in brought if name == "INSERT"} == {("INSERT", "R#x"), ("INSERT", "S#x")}
    assert {outcome for name, _, outcome in brought if name == "MODIFY"} == {"unknown"}
    assert not [one for one in brought if one[0] == "REMOVE"]
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert event["BisectBatchOnFunctionError"] is True
    # Before the stream forgets what it holds, after 24 hours.
    assert 12 * 3600 < event["MaximumRecordAgeInSeconds"] < DAY
    kept = stack.named_by(event["DestinationConfig"]["OnFailure"]["Destination"])
    assert kept is not None
    assert kept.name == "PublishDeadLetters"


def change(name: str, sk: str, outcome: str) -> dict[str, Any]:
    """A change of an item as the stream tells it; of a new one there is no image from before."""
    image = {"outcome": {"S": outcome}} if sk.startswith("R#") else {}
    images = {"OldImage": image} if name != "INSERT" else {}
    return {"eventName": name, "dynamodb": {"Keys": {"pk": {"S": "x"}, "sk": {"S": sk}}, **images}}


def test_a_notification_that_cannot_reach_its_queue_is_kept(subscription: Resource) -> None:
    if subscription.get("Protocol") == "sqs":
        dead_letters = STACK.named_by(subscription.get("RedrivePolicy", "deadLetterTargetArn"))
        assert dead_letters is not None
        assert dead_letters.type == "AWS::SQS::Queue"


def test_provider_events_come_as_their_provider_wrote_them(subscription: Resource) -> None:
    if subscription.get("Protocol") == "sqs":
        assert subscription.get("RawMessageDelivery") is True


def test_provider_events_of_each_channel_reach_the_receipts_queue(stack: Stack) -> None:
    topics = {
        stack.named_by(subscription.get("TopicArn"))
        for subscription in stack.of("AWS::SNS::Subscription")
        if (queue := stack.named_by(subscription.get("Endpoint"))) is not None and queue.name == "ReceiptsQueue"
    }
    emails = [one.get("EventDestination") for one in stack.of("AWS::SES::ConfigurationSetEventDestination")]
    (sms,) = stack.of("AWS::SMSVOICE::ConfigurationSet")
    texts = sms.get("EventDestinations")
    assert all(one["Enabled"] for one in (*emails, *texts))
    by_topic = [one for one in emails if "SnsDestination" in one]
    assert topics == {
        *(stack.named_by(one["SnsDestination"]["TopicARN"]) for one in by_topic),
        *(stack.named_by(one["SnsDestination"]["TopicArn"]) for one in texts),
    }
    # What calls for an act must not be lost: the default bus takes events by best effort.
    assert {"bounce", "complaint", "reject"} <= {kind for one in by_topic for kind in one["MatchingEventTypes"]}
    by_bus = [one for one in emails if one not in by_topic]
    assert {kind for one in by_bus for kind in one["MatchingEventTypes"]} == {"delivery", "deliveryDelay"}


def test_deliveries_come_from_the_default_bus_by_a_rule_of_our_own_emails_without_their_address(stack: Stack) -> None:
    (rule,) = [one for one in stack.of("AWS::Events::Rule") if one.name == "EmailDeliveries"]
    assert rule.get("EventBusName") is None
    pattern = rule.get("EventPattern")
    assert pattern["source"] == ["aws.ses"]
    configuration = stack.named_by(pattern["detail"]["mail"]["tags"]["ses:configuration-set"][0])
    assert configuration is not None
    assert configuration.name == "EmailConfiguration"
    (target,) = rule.get("Targets")
    queue, dead_letters = (stack.named_by(arn) for arn in (target["Arn"], target["DeadLetterConfig"]["Arn"]))
    assert queue is not None
    assert dead_letters is not None
    assert (queue.name, dead_letters.name) == ("ReceiptsQueue", "ReceiptsDeadLetters")
    paths = target["InputTransformer"]["InputPathsMap"]
    assert set(paths.values()) == {"$.detail.eventType", "$.detail.mail.messageId", "$.detail.mail.tags.reminder_id[0]"}
