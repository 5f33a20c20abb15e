import base64
import json
from typing import Any

import pytest

from predue.connectors import Reading, read
from predue.errors import InvalidEvent
from predue.events.models import TYPES
from tests.unit.connectors.messages import bodies, but, source

PAID: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234",
    "source": "https://loans.example.com/core",
    "type": "com.example.installment.paid",
    "datacontenttype": "application/json",
    "sequence": "0000000017",
    "data": {"loan_id": "L-1", "installment_no": 1, "amount": "12.50"},
}
EVENT = {
    "type": "installment.paid",
    "event_id": "101353857e3d/A234-1234",
    "source": "core",
    "sequence": 17,
    "loan_id": "L-1",
    "installment_no": 1,
    "amount": "12.5",
}


def cloud(told: Any, headers: dict[str, str] | None = None) -> Reading:
    return read("cloudevents", told, source(), headers)


def test_every_type_of_ours_is_understood() -> None:
    assert len(TYPES) == 12
    assert {"installment.scheduled", "borrower.hold_ended"} <= TYPES


def test_a_structured_event_becomes_ours() -> None:
    assert bodies(cloud(PAID)) == [EVENT]


def test_a_type_needs_no_prefix() -> None:
    assert bodies(cloud(but(PAID, type="installment.paid"))) == [EVENT]


def test_another_type_is_ignored_even_if_its_name_ends_alike() -> None:
    for name in ("com.example.loan.opened", "reinstallment.paid", "installment.paid.v2"):
        assert cloud(but(PAID, type=name)) == Reading((), ("type",))


def test_a_batch_is_each_of_its_events() -> None:
    other = but(PAID, id="2", type="com.example.other")
    reading = cloud([PAID, other, but(PAID, id="3")])
    assert bodies(reading) == [EVENT, {**EVENT, "event_id": "101353857e3d/3"}]
    assert reading.ignored == ("type",)
    assert cloud([]) == Reading()


def test_in_binary_mode_the_attributes_are_headers() -> None:
    headers = {f"CE-{name.title()}": value for name, value in PAID.items() if isinstance(value, str)}
    assert bodies(cloud(PAID["data"], headers)) == [EVENT]


def test_a_header_may_be_percent_encoded() -> None:
    headers = {f"ce-{name}": value for name, value in PAID.items() if isinstance(value, str)}
    assert cloud(PAID["data"], headers | {"ce-id": "a%20b"}).events[0].event_id == "101353857e3d/a b"


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ('"A 1"', "A 1"),
        ('"A\\"1\\\\"', 'A"1\\'),
        ('"A%201"', "A 1"),
        ("%C3%A4", "\u00e4"),
        ('A"1', 'A"1'),
        ("%22A%22", '"A"'),
    ],
)
def test_a_header_may_be_quoted_before_it_is_percent_encoded(written: str, read_as: str) -> None:
    headers = {f"ce-{name}": value for name, value in PAID.items() if isinstance(value, str)}
    assert cloud(PAID["data"], headers | {"ce-id": written}).events[0].event_id == f"101353857e3d/{read_as}"


def test_a_header_in_another_encoding_is_refused() -> None:
    headers = {f"ce-{name}": value for name, value in PAID.items() if isinstance(value, str)}
    with pytest.raises(InvalidEvent, match="ce-id: is not percent-encoded in UTF-8"):
        cloud(PAID["data"], headers | {"ce-id": "%E4"})


def test_data_may_come_in_base64() -> None:
    told = {**PAID, "data_base64": base64.b64encode(json.dumps(PAID["data"]).encode()).decode()}
    del told["data"]
    assert bodies(cloud(told)) == [EVENT]


def test_without_the_extension_the_sequence_is_that_of_the_data() -> None:
    assert cloud(but(PAID, sequence=None, data__sequence=5)).events[0].sequence == 5


def test_the_same_id_of_another_source_is_another_event() -> None:
    ids = {cloud(but(PAID, source=origin)).events[0].event_id for origin in ("a", "b", "a")}
    assert len(ids) == 2


def test_the_data_cannot_name_another_event() -> None:
    told = but(PAID, data__event_id="x", data__source="y", data__type="borrower.updated")
    assert bodies(cloud(told)) == [{**EVENT, "type": "installment.paid"}]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"id": "core#1"}, "event_id"),
        ({"type": 5.5}, "type"),
        ({"sequence": "later"}, "sequence"),
        ({"sequence": None}, "sequence"),
        ({"data": None}, "data"),
        ({"data": "text"}, "data"),
        ({"data_base64": "!"}, "data_base64"),
        ({"data_base64": "bm8="}, "data_base64"),
        ({"data__amount": None}, "amount"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidEvent, match=names):
        cloud(but(PAID, **changes))


def test_a_wrong_event_of_a_batch_refuses_the_whole_batch() -> None:
    with pytest.raises(InvalidEvent, match=r"\[1\]"):
        cloud([PAID, but(PAID, specversion="2.0")])
