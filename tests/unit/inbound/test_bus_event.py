import json
from typing import Any

import pytest

from predue.errors import InvalidEvent
from predue.inbound import bus_event
from predue.inbound.deliveries import Delivery
from predue.inbound.sources import Source

SOURCES = [
    Source("core", bus="com.lender.loans"),
    Source("mambu", form="mambu", bus="com.lender.mambu"),
    Source("web", keys=("k",)),
]
DETAIL = {"event_id": "e-1", "loan_id": "L-1"}
EVENT: dict[str, Any] = {"source": "com.lender.loans", "detail-type": "installment.paid", "detail": DETAIL}


def read(**changes: Any) -> Delivery:
    return bus_event.read(json.dumps(EVENT | {name.replace("_", "-"): one for name, one in changes.items()}), SOURCES)


def test_an_event_is_the_message_of_the_source_that_has_its_name() -> None:
    told = read()
    assert (told.source.name, told.messages) == ("core", ({"type": "installment.paid", **DETAIL},))
    assert (told.single, told.headers) == (True, {})


def test_a_message_of_another_form_stands_in_the_detail_as_it_is() -> None:
    told = read(source="com.lender.mambu", detail_type="LoanSystemMessage")
    assert (told.source.name, told.messages) == ("mambu", (DETAIL,))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": "com.stranger"}, "source"),
        ({"source": None}, "source"),
        ({"source": ["com.lender.loans"]}, "source"),
        ({"source": ""}, "source"),
        ({"detail": []}, "detail"),
        ({"detail": None}, "detail"),
        ({"detail": "{}"}, "detail"),
        ({"detail": {**DETAIL, "type": "installment.cancelled"}}, "type"),
        ({"source": "com.lender.mambu"}, "detail-type"),
    ],
)
def test_an_event_that_is_nobodys_or_contradicts_itself_names_what_is_wrong(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(**changes)
    assert [name for name, _ in caught.value.fields] == [field]


@pytest.mark.parametrize("text", ["", "x", "[]", "7", '"a"', '{"a": 1, "a": 1}', "[" * 100_000])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(InvalidEvent):
        bus_event.read(text, SOURCES)
