"""The shortcut answers exactly as moto itself does."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from infrastructure.local.aws.fast_moto import fast_queries

NAMES = [f"pk-{number}" for number in range(3)]
SORTS = [f"s#{number}" for number in range(5)]
HASHES = ["2026-12-10#0", "2026-12-11#0"]
ITEMS = st.fixed_dictionaries(
    {"pk": st.sampled_from(NAMES), "sk": st.sampled_from(SORTS)},
    optional={
        "due_key": st.sampled_from(HASHES),
        "slot_key": st.sampled_from(["a#1", "a#2", "b#1", "c"]),
        "body": st.text(max_size=3),
    },
)
KEYS = st.tuples(st.sampled_from(NAMES), st.sampled_from(SORTS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), ITEMS),
        st.tuples(st.just("index"), KEYS, st.sampled_from(HASHES), st.sampled_from(["a#1", "b#1"])),
        st.tuples(st.just("unindex"), KEYS),
        st.tuples(st.just("delete"), KEYS),
    ),
    max_size=25,
)


@pytest.fixture(autouse=True, scope="module")
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "local")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_PROFILE", raising=False)
        with mock_aws():
            yield


def create(client: Any, name: str) -> None:
    def keys(first: str, second: str) -> list[dict[str, str]]:
        return [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": second, "KeyType": "RANGE"}]

    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk", "due_key", "slot_key")],
        KeySchema=keys("pk", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due_index",
                "KeySchema": keys("due_key", "slot_key"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def key(given_key: tuple[str, str]) -> dict[str, Any]:
    return {"pk": {"S": given_key[0]}, "sk": {"S": given_key[1]}}


def apply(client: Any, name: str, step: tuple[Any, ...]) -> None:
    match step:
        case ("put", item):
            client.put_item(TableName=name, Item={field: {"S": value} for field, value in item.items()})
        case ("index", at, due_key, slot_key):
            client.update_item(
                TableName=name,
                Key=key(at),
                UpdateExpression="SET due_key = :d, slot_key = :s",
                ExpressionAttributeValues={":d": {"S": due_key}, ":s": {"S": slot_key}},
            )
        case ("unindex", at):
            client.update_item(TableName=name, Key=key(at), UpdateExpression="REMOVE due_key, slot_key")
        case ("delete", at):
            client.delete_item(TableName=name, Key=key(at))


def answers(client: Any, name: str, limit: int, *, forward: bool) -> list[Any]:
    """All that queries on table and index say, page by page."""
    found: list[Any] = []
    ranges: list[tuple[str, str, str | None, str, str, str]] = [("pk", "sk", None, pk, "s#1", "s#3") for pk in NAMES]
    ranges += [("due_key", "slot_key", "due_index", due, "a#", "b$") for due in HASHES]
    for first, second, index, value, low, high in ranges:
        request: dict[str, Any] = {
            "TableName": name,
            "KeyConditionExpression": f"{first} = :v AND {second} BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":v": {"S": value}, ":low": {"S": low}, ":high": {"S": high}},
            "Limit": limit,
            "ScanIndexForward": forward,
        } | ({"IndexName": index} if index else {})
        while True:
            page = client.query(**request)
            found.append((page["Items"], page["Count"], page["ScannedCount"], page.get("LastEvaluatedKey")))
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(1, 4), st.booleans())
def test_every_query_answers_as_moto_itself_does(steps: list[tuple[Any, ...]], limit: int, forward: bool) -> None:  # noqa: FBT001 - drawn
    client = boto3.client("dynamodb")
    create(client, "slow")
    with fast_queries():
        create(client, "fast")
        for step in steps:
            apply(client, "slow", step)
            apply(client, "fast", step)
        fast = answers(client, "fast", limit, forward=forward)
    slow = answers(client, "slow", limit, forward=forward)
    for name in ("slow", "fast"):
        client.delete_table(TableName=name)
    assert fast == slow


def test_the_shortcut_is_gone_after_its_block() -> None:
    from moto.dynamodb.models.table import Table  # noqa: PLC0415 - moto is slow to import

    before = Table.query, Table.all_items, Table.put_item
    with fast_queries():
        assert Table.query is not before[0]
    assert (Table.query, Table.all_items, Table.put_item) == before
