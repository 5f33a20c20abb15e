from typing import Any

import pytest

from infrastructure.cost.bill import bill, per_million, prices
from infrastructure.cost.meter import Meter, Stored, item_size


def units(operation: str, params: dict[str, Any], parsed: dict[str, Any], service: str = "dynamodb") -> float:
    meter = Meter()
    meter.count(service, operation, params, parsed)
    assert meter.calls[f"{service}.{operation}"] == 1
    return meter.units[f"{service}.{operation}"]


def item(size: int, **more: str) -> dict[str, Any]:
    """An item of so many bytes."""
    fields = {name: {"S": value} for name, value in more.items()}
    return fields | {"b": {"S": "x" * (size - 1 - item_size(fields))}}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é"}, 2),
        ({"N": "12345"}, 4),
        ({"N": "-1.50"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}, {"S": "c"}]}, 3 + 3 + 2),
        ({"M": {"k": {"S": "ab"}}}, 3 + 1 + 1 + 2),
        ({"SS": ["ab", "cde"]}, 5),
        ({"B": b"abcd"}, 4),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(value: dict[str, Any], size: int) -> None:
    assert item_size({"name": value}) == 4 + size


@pytest.mark.parametrize(("size", "strong"), [(100, 1), (4096, 1), (4097, 2), (8192, 2), (8193, 3)])
def test_a_read_costs_a_unit_for_each_four_kilobytes_and_half_if_eventual(size: int, strong: float) -> None:
    got = {"Item": item(size)}
    assert units("GetItem", {"ConsistentRead": True}, got) == strong
    assert units("GetItem", {}, got) == strong / 2


def test_a_read_of_nothing_costs_as_the_smallest() -> None:
    assert units("GetItem", {"ConsistentRead": True}, {}) == 1
    assert units("Query", {}, {"Items": []}) == 0.5


def test_a_query_is_rounded_once_over_all_its_items() -> None:
    assert units("Query", {"ConsistentRead": True}, {"Items": [item(1024)] * 4}) == 1
    assert units("Query", {"ConsistentRead": True}, {"Items": [item(1024)] * 5}) == 2


def test_a_batch_is_rounded_for_each_of_its_items() -> None:
    parsed = {"Responses": {"t": [item(100), item(4097), item(100)]}}
    asked: dict[str, Any] = {"t": {"Keys": [{}] * 3}}
    assert units("BatchGetItem", {"RequestItems": asked}, parsed) == 0.5 + 1 + 0.5


def test_what_a_batch_does_not_find_costs_as_the_smallest_item() -> None:
    asked: dict[str, Any] = {"t": {"Keys": [{}] * 5}}
    assert units("BatchGetItem", {"RequestItems": asked}, {"Responses": {"t": [item(100)]}}) == 5 * 0.5


def test_a_batch_that_reads_consistently_costs_whole_units() -> None:
    params = {"RequestItems": {"t": {"ConsistentRead": True}}}
    assert units("BatchGetItem", params, {"Responses": {"t": [item(100), item(100)]}}) == 2


@pytest.mark.parametrize(("size", "cost"), [(10, 1), (1024, 1), (1025, 2), (3000, 3)])
def test_a_write_costs_a_unit_for_each_kilobyte(size: int, cost: int) -> None:
    assert units("PutItem", {"Item": item(size)}, {}) == cost


def test_a_write_costs_once_more_for_each_index_it_stands_in() -> None:
    assert units("PutItem", {"Item": item(500, due_key="a", slot_key="b")}, {}) == 2
    assert units("PutItem", {"Item": item(500, due_key="a")}, {}) == 1
    assert units("PutItem", {"Item": item(500, unresolved="a", unresolved_at="b")}, {}) == 2


KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}


def cost_of(meter: Meter, operation: str, params: dict[str, Any], parsed: dict[str, Any] | None = None) -> float:
    """The units of one more call."""
    name = f"dynamodb.{operation}"
    before = meter.units[name]
    meter.count("dynamodb", operation, {"TableName": "t", **params}, parsed or {})
    return meter.units[name] - before


def test_a_write_costs_by_the_larger_of_what_stood_there_and_what_stands_there_now() -> None:
    meter = Meter()
    assert cost_of(meter, "PutItem", {"Item": KEY | item(3000)}) == 3
    assert cost_of(meter, "PutItem", {"Item": KEY | item(100)}) == 3
    assert cost_of(meter, "PutItem", {"Item": KEY | item(100)}) == 1
    assert cost_of(meter, "UpdateItem", {"Key": KEY}, {"Attributes": KEY | item(1500)}) == 2


def test_a_write_whose_condition_fails_costs_its_units_and_changes_nothing() -> None:
    meter = Meter()
    assert cost_of(meter, "PutItem", {"Item": KEY | item(1500)}) == 2
    assert cost_of(meter, "PutItem", {"Item": KEY | item(2500)}, {"Error": {}}) == 3
    assert cost_of(meter, "PutItem", {"Item": KEY | item(100)}) == 2


def test_an_entry_of_an_index_costs_when_it_comes_moves_or_goes_and_nothing_while_it_stays() -> None:
    meter = Meter()
    here, there = KEY | item(90, due_key="a", slot_key="b"), KEY | item(90, due_key="a", slot_key="c")
    assert cost_of(meter, "PutItem", {"Item": here}) == 2
    assert cost_of(meter, "PutItem", {"Item": here}) == 1
    assert cost_of(meter, "PutItem", {"Item": there}) == 3
    later = there | {"written_at": {"N": "1"}}
    assert cost_of(meter, "PutItem", {"Item": later}) == 2
    assert cost_of(meter, "PutItem", {"Item": later}) == 1
    assert cost_of(meter, "PutItem", {"Item": KEY | item(50)}) == 2
    assert cost_of(meter, "DeleteItem", {"Key": KEY}) == 1


def test_meters_of_one_stack_share_what_stands_in_its_tables() -> None:
    stored = Stored()
    assert cost_of(Meter(stored), "PutItem", {"Item": KEY | item(3000)}) == 3
    assert cost_of(Meter(stored), "DeleteItem", {"Key": KEY}) == 3


def seconds_of(function: str, *calls: str) -> float:
    meter = Meter()
    meter.at_work = function
    meter.invoked(function)
    for name in calls:
        meter.count(name.partition(".")[0], name.partition(".")[2], {}, {})
    price = prices()["lambda"]
    return bill(meter, 0)["lambda time"] / float(price["memory_gb"] * price["gb_second"])


def test_a_function_with_workers_pays_for_its_processor_or_its_share_of_the_waiting_and_others_for_both() -> None:
    price = prices()["lambda"]
    share = price["memory_gb"] / price["memory_gb_of_a_processor"]
    busy = (price["milliseconds_cpu_per_start"] + price["milliseconds_cpu_per_call"]) / share
    slow = price["milliseconds_per_provider"]
    assert seconds_of("plan", "ssm.GetParameters") == pytest.approx((busy + price["milliseconds_per_call"]) / 1000)
    assert seconds_of("deliver", "ssm.GetParameters") == pytest.approx(busy / 1000)
    busy += 39 * price["milliseconds_cpu_per_call"] / share
    many = max(busy, (busy + 40 * slow) / price["workers"])
    assert seconds_of("deliver", *["sesv2.SendEmail"] * 40) == pytest.approx(many / 1000)


def test_a_queue_call_costs_a_request_for_each_64_kilobytes() -> None:
    entries = [{"MessageBody": "x" * 30_000}] * 3
    assert units("SendMessageBatch", {"Entries": entries[:1]}, {}, "sqs") == 1
    assert units("SendMessageBatch", {"Entries": entries}, {}, "sqs") == 2
    assert units("ReceiveMessage", {}, {}, "sqs") == 1


def test_a_bill_prices_what_was_counted_and_leaves_the_providers_fees_apart() -> None:
    meter = Meter()
    for _ in range(1000):
        meter.count("dynamodb", "PutItem", {"Item": item(10)}, {})
        meter.count("dynamodb", "GetItem", {"ConsistentRead": True}, {})
        meter.count("sesv2", "SendEmail", {}, {})
    costs = bill(meter, log_bytes=10**9)
    price = prices()
    assert costs["dynamodb writes"] == pytest.approx(price["dynamodb"]["million_write_units"] / 1000)
    assert costs["dynamodb reads"] == pytest.approx(price["dynamodb"]["million_read_units"] / 1000)
    assert costs["logs"] == pytest.approx(price["logs"]["gb_ingested"])
    assert costs["sqs"] == 0
    assert not any("ses" in name or "email" in name for name in costs)


def test_the_cost_of_a_million_is_the_cost_of_one_a_million_times() -> None:
    assert per_million({"a": 0.5, "b": 0.25}, 1000)["total_usd"] == pytest.approx(750)
    assert per_million({"a": 1.0}, 0).get("total_usd") is None
