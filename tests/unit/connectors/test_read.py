"""What holds for every form, whatever it is sent."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predue.connectors import FORMS, read
from predue.connectors.avro import _known as known
from predue.connectors.form import MOST_EVENTS
from predue.errors import InvalidEvent
from predue.events.models import read_event
from tests.unit.connectors.messages import but, message, source
from tests.unit.connectors.schemas import SCHEMAS, encoded
from tests.unit.connectors.test_cloudevents import PAID as CLOUD
from tests.unit.connectors.test_mapping import EXAMPLE, OPENED

PAID = {"type": "installment.paid", "event_id": "e", "sequence": 1, "loan_id": "L", "installment_no": 1, "amount": "1"}
GOOD: dict[str, list[Any]] = {
    "predue": [PAID, [PAID]],
    "cloudevents": [CLOUD, [CLOUD]],
    "fineract": [message(f"fineract/{name}") for name in ("loan_disbursal", "loan_repayment_due", "loan_charge_off")],
    "mambu": [message(f"mambu/{name}") for name in ("disbursement_with_schedule", "streamed_repayment", "write_off")],
    "mapping": [OPENED],
}
EXTREMES = [
    10**400,
    -1,
    0.0,
    1e308,
    float("nan"),
    "",
    "#",
    "\x00",
    "\uff19",
    "1" * 5000,
    "2026-13-45",
    "9999-12-31",
    True,
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(EXTREMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def places(told: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a message."""
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(told: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The message with another value in one place."""
    if not path:
        return value
    told = told.copy()
    told[path[0]] = changed(told[path[0]], path[1:], value)
    return told


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, Any]:
    """A good message of some form with anything in one or two of its places."""
    form = draw(st.sampled_from(sorted(GOOD)))
    told = draw(st.sampled_from(GOOD[form]))
    for _ in range(draw(st.integers(1, 2))):
        told = changed(told, draw(st.sampled_from(places(told))), draw(anything))
    return form, told


def maps_or_refuses(form: str, told: Any, payments: str = "stated") -> None:
    """Anything becomes events that can be read, is ignored, or is refused."""
    try:
        reading = read(form, told, source(mapping=EXAMPLE, schemas=SCHEMAS, payments=payments))
    except InvalidEvent:
        return
    for event in reading.events:
        assert read_event(event.body()) == event


@given(spoilt(), st.sampled_from(["stated", "allotted"]))
@settings(max_examples=600, deadline=None)
def test_a_spoilt_message_maps_is_ignored_or_is_refused(made: tuple[str, Any], payments: str) -> None:
    maps_or_refuses(*made, payments)


@given(st.sampled_from(sorted(FORMS)), anything)
@settings(max_examples=300, deadline=None)
def test_any_json_maps_is_ignored_or_is_refused(form: str, told: Any) -> None:
    maps_or_refuses(form, told)


MARKS = [bytes.fromhex(mark) for mark in known(SCHEMAS)]


@given(st.sampled_from(MARKS), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_under_a_known_schema_are_read_or_refused(mark: bytes, data: bytes) -> None:
    maps_or_refuses("fineract", b"\xc3\x01" + mark + data)


@given(st.integers(10, 250), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_message_with_a_wrong_byte_is_read_or_refused(place: int, byte: int) -> None:
    data = bytearray(encoded(GOOD["fineract"][0]))
    data[place] = byte
    maps_or_refuses("fineract", bytes(data))


@pytest.mark.parametrize("form", sorted(GOOD))
def test_every_form_reads_what_it_is_for(form: str) -> None:
    for told in GOOD[form][:1]:
        assert read(form, told, source(mapping=EXAMPLE)).events


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_message_that_is_nested_very_deeply_is_refused_or_ignored(form: str) -> None:
    deep: Any = json.loads("[" * 900 + "]" * 900)
    for told in (deep, *(changed(one, (key,), deep) for one in GOOD[form] if isinstance(one, dict) for key in one)):
        maps_or_refuses(form, told)


def test_an_event_is_not_nested_deeply() -> None:
    assert read("predue", {**PAID, "extra": json.loads("[" * 60 + "]" * 60)}, source()).events
    with pytest.raises(InvalidEvent, match="deeply"):
        read("predue", {**PAID, "extra": json.loads("[" * 900 + "]" * 900)}, source())


def test_a_message_that_becomes_very_many_events_is_refused() -> None:
    many = [{**PAID, "event_id": str(number)} for number in range(MOST_EVENTS + 1)]
    assert len(read("predue", many[1:], source()).events) == MOST_EVENTS
    with pytest.raises(InvalidEvent, match="events"):
        read("predue", many, source())


def test_an_event_is_read_before_any_is_given_so_that_a_message_counts_whole_or_not_at_all() -> None:
    with pytest.raises(InvalidEvent, match="amount"):
        read("predue", [PAID, {**PAID, "event_id": "e-2", "amount": "0"}], source())


def test_the_own_form_takes_the_sources_name_where_a_body_gives_none() -> None:
    assert read("predue", PAID, source("bank")).events[0].source == "bank"
    assert read("predue", but(PAID, source="core"), source("bank")).events[0].source == "core"


def test_the_same_event_twice_in_a_message_is_one_and_another_under_its_id_is_refused() -> None:
    assert len(read("predue", [PAID, PAID], source()).events) == 2
    with pytest.raises(InvalidEvent, match="event_id"):
        read("predue", [PAID, {**PAID, "amount": "2"}], source())


def test_nobody_pays_for_a_form_that_is_not_used() -> None:
    code = (
        "import sys, json; from predue.connectors import MessageSource, read;"
        f"read('predue', json.loads({json.dumps(PAID)!r}), MessageSource('core', dict));"
        "print(sorted({'fastavro', 'jmespath', 'predue.connectors.fineract'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout == "[]\n"
