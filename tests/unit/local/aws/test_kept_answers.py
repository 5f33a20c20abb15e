"""What is kept instead of being worked out anew changes no answer."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.serialize import ResponseSerializer

from infrastructure.local.aws.kept_answers import kept_answers
from infrastructure.local.runs import run
from tests.flow.small import Book, Line, standing, utc

VALUES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, st.text(min_size=1, max_size=4)),
        st.builds(lambda number: {"N": str(number)}, st.integers(-99, 99)),
        st.builds(lambda raw: {"B": raw}, st.binary(min_size=1, max_size=4)),
        st.builds(lambda on: {"BOOL": on}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda texts: {"SS": sorted(texts)}, st.sets(st.text("abc", min_size=1), min_size=1)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda several: {"L": several}, st.lists(inner, max_size=3)),
        st.builds(lambda named: {"M": named}, st.dictionaries(st.sampled_from(["Item", "S", "item", "L"]), inner)),
    ),
    max_leaves=6,
)


@pytest.fixture(autouse=True, scope="module")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "local")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        yield


def told(call: Any, **given_to: Any) -> Any:
    """What a call answers, an error too, without what differs from call to call."""
    try:
        answer = call(**given_to)
    except Exception as error:  # noqa: BLE001 - the errors are compared
        answer = {"error": str(error), **getattr(error, "response", {})}
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def of_the_table(item: dict[str, Any]) -> list[Any]:
    with mock_aws():
        table = boto3.client("dynamodb")
        table.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        key = {"pk": {"S": "one"}}
        new = {"TableName": "t", "Item": key | item, "ConditionExpression": "attribute_not_exists(pk)"}
        return [
            told(table.put_item, **new, ReturnConsumedCapacity="TOTAL"),
            told(table.put_item, **new, ReturnValuesOnConditionCheckFailure="ALL_OLD"),
            told(table.get_item, TableName="t", Key=key, ReturnConsumedCapacity="INDEXES"),
            told(table.scan, TableName="t", Limit=1),
            told(table.get_item, TableName="u", Key=key),
        ]


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "Attributes", "LastEvaluatedKey"]), VALUES))
def test_the_table_answers_the_same_whatever_stands_in_an_item(item: dict[str, Any]) -> None:
    plain = of_the_table(item)
    with kept_answers():
        assert of_the_table(item) == plain


def of_other_services() -> list[Any]:
    with mock_aws():
        queues, parameters, secrets = (boto3.client(name) for name in ("sqs", "ssm", "secretsmanager"))
        queue = queues.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        parameters.put_parameter(Name="p", Value="v", Type="String")
        secrets.create_secret(Name="s", SecretString="{}")
        (found,) = told(parameters.get_parameters, Names=["p", "other"])["Parameters"]
        secret = told(secrets.get_secret_value, SecretId="s")
        return [
            queue,
            told(queues.get_queue_attributes, QueueUrl=queue, AttributeNames=["VisibilityTimeout", "QueueArn"]),
            sorted(told(queues.send_message, QueueUrl=queue, MessageBody="b")),
            [(one["Body"], sorted(one)) for one in told(queues.receive_message, QueueUrl=queue)["Messages"]],
            told(queues.receive_message, QueueUrl=queue),
            told(queues.send_message, QueueUrl=f"{queue}-not", MessageBody="b"),
            {name: value for name, value in found.items() if name != "LastModifiedDate"},
            (secret["Name"], secret["SecretString"], sorted(secret)),
            told(secrets.get_secret_value, SecretId="not"),
        ]


def test_queues_parameters_and_secrets_answer_the_same() -> None:
    plain = of_other_services()
    with kept_answers():
        assert of_other_services() == plain
        assert of_other_services() == plain, "also with all of it kept"


def around_the_slot(folder: Path) -> tuple[list[Line], list[Line]]:
    book = Book().borrower().installment().paid(utc(10, 15, 30))
    with standing(folder, book, utc(10, 14)) as stack:
        stack.until(utc(10, 16))
        return stack.contacts, stack.wire


def test_what_functions_do_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = around_the_slot(tmp_path)
    monkeypatch.setattr(run, "kept_answers", contextlib.nullcontext)
    assert around_the_slot(tmp_path) == kept
    assert kept[0]


def test_the_shortcut_is_gone_after_its_block() -> None:
    before = ResponseSerializer.get_value
    with kept_answers():
        assert ResponseSerializer.get_value is not before
    assert ResponseSerializer.get_value is before
