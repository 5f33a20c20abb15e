"""The recorded events are such as the services send to these very functions."""

import hashlib
import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import (
    APIGatewayProxyEventV2Model,
    DynamoDBStreamModel,
    EventBridgeModel,
    SqsModel,
)

from infrastructure.local.aws.streams import filters, lets_through
from infrastructure.local.runtime.emulator import Deployed
from infrastructure.local.runtime.scene import deployed, template
from infrastructure.local.sam.template import ACCOUNT, REGION, Resource
from tests.functions.recorded import EVENTS, recorded


def name_of(resource: Resource, _attribute: str) -> str:
    return str(resource.get("QueueName", default=resource.name))


FUNCTIONS = {one.module: one for one in deployed(template(name_of))}
functions = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda one: one.module)


def test_there_is_one_event_for_each_function_of_the_template_and_no_other() -> None:
    assert sorted(path.stem for path in EVENTS.glob("*.json")) == sorted(FUNCTIONS)


# Fields by the developer guides: Lambda, "Using Lambda with Amazon EventBridge Scheduler" and "Using Lambda with Amazon
# SQS"; API Gateway, "Create AWS Lambda proxy integrations for HTTP APIs", payload format 2.0.
SCHEDULED = {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
QUEUED = {
    "messageId",
    "receiptHandle",
    "body",
    "attributes",
    "messageAttributes",
    "md5OfBody",
    "eventSource",
    "eventSourceARN",
    "awsRegion",
}
ATTRIBUTES = {"ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"}
REQUEST = {"version", "routeKey", "rawPath", "rawQueryString", "headers", "requestContext", "isBase64Encoded"}
CONTEXT = {
    "accountId",
    "apiId",
    "domainName",
    "domainPrefix",
    "http",
    "requestId",
    "routeKey",
    "stage",
    "time",
    "timeEpoch",
}


def scheduled(event: Any, properties: Any) -> None:
    EventBridgeModel.model_validate(event)
    assert set(event) == SCHEDULED
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.scheduler", "Scheduled Event", "{}")
    assert event["resources"] == [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{properties['Name']}"]


def queued(event: Any, properties: Any) -> None:
    SqsModel.model_validate(event)
    assert 0 < len(event["Records"]) <= properties["BatchSize"]
    for record in event["Records"]:
        assert set(record) == QUEUED
        assert ATTRIBUTES <= set(record["attributes"]) <= ATTRIBUTES | {"AWSTraceHeader"}
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert record["eventSourceARN"] == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{properties['Queue']}"
        assert record["eventSource"] == "aws:sqs"
        sent, received = (int(record["attributes"][name]) for name in sorted(ATTRIBUTES - {"SenderId"})[::-2])
        assert sent <= received


def requested(event: Any, properties: Any) -> None:
    APIGatewayProxyEventV2Model.model_validate(event)
    assert set(event) - {"body", "pathParameters", "cookies", "queryStringParameters"} == REQUEST
    assert set(event["requestContext"]) == CONTEXT
    assert event["version"] == properties["PayloadFormatVersion"]
    assert event["routeKey"] == event["requestContext"]["routeKey"] == f"{properties['Method']} {properties['Path']}"
    path = properties["Path"].format(**event["pathParameters"])
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == path


def streamed(event: Any, properties: Any) -> None:
    """Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB", example event."""
    DynamoDBStreamModel.model_validate(event)
    assert 0 < len(event["Records"]) <= properties["BatchSize"]
    for record in event["Records"]:
        assert set(record) == STREAMED
        assert set(record["dynamodb"]) - {"OldImage"} == CHANGED
        assert ("OldImage" in record["dynamodb"]) is (record["eventName"] == "MODIFY")
        # Nothing that the filter keeps away.
        assert lets_through(filters(properties), record)


STREAMED = {"eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"}
CHANGED = {"ApproximateCreationDateTime", "Keys", "NewImage", "SequenceNumber", "SizeBytes", "StreamViewType"}
SHAPES = {"ScheduleV2": scheduled, "SQS": queued, "HttpApi": requested, "DynamoDB": streamed}


@functions
def test_an_event_has_the_form_of_the_source_that_the_template_gives_its_function(function: Deployed) -> None:
    event = recorded(function.module)
    refused = []
    for kind, properties in function.events:
        try:
            SHAPES[kind](event, properties)
        except AssertionError as error:
            refused.append(str(error))
    assert len(refused) < len(function.events), refused


def test_the_recorded_receipts_are_events_that_the_configuration_sets_ask_for() -> None:
    kinds = [json.loads(record["body"])["eventType"] for record in recorded("record_receipts")["Records"]]
    assert kinds == ["TEXT_DELIVERED", "Delivery"]
