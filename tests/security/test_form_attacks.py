"""Whatever is sent in the form of another system: a 4xx or an ordinary answer, no state, and nothing of it in a log."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.flow.forms import AVRO, BOOK, SECRET, START, SYSTEMS, System, cloud, proof, put
from tests.flow.published import counted, open_door, raw, table
from tests.flow.small import Standing, standing
from tests.signing import signed
from tests.unit.connectors.messages import but
from tests.unit.connectors.schemas import encoded

MARK = "Quorvelian"
BINARY = System({"secrets": [SECRET], "form": "cloudevents"}, {}, {})
SENDERS: dict[str, System] = {
    "fineract": System(AVRO.setting | {"bus": None}, AVRO.opened, AVRO.paid),
    "mambu": SYSTEMS["mambu, stated"],
    "mapping": SYSTEMS["mapping"],
    "clouds": BINARY,
    "signing-clouds": SYSTEMS["cloudevents"],
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("forms"), BOOK, START) as made:
        buses = {name: {**one.setting, "bus": f"com.lender.{name}"} for name, one in SENDERS.items()}
        open_door(made, buses)
        yield made


def post(door: Standing, name: str, body: bytes, **headers: str) -> Any:
    given = proof(door, SENDERS[name], body) | {"content-type": "application/json"}
    return raw(door, body, given | {key.replace("_", "-"): value for key, value in headers.items()}, name)


# Avro

WHOLE = encoded(but(SYSTEMS["fineract, stated"].opened, data__clientExternalId=MARK))
HEADER = WHOLE[:10]
HUGE = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
"""The largest number of Avro's zigzag coding: a length or a count of 2**63 - 1."""
NEGATIVE = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"


def _record(name: str, fields: list[dict[str, Any]]) -> str:
    return json.dumps({"type": "record", "name": name, "namespace": "org.apache.fineract.avro", "fields": fields})


def bomb() -> tuple[str, ...]:
    """A schema that refers to itself, as a message might try to bring one."""
    return (_record("Deep", [{"name": "in", "type": ["null", "org.apache.fineract.avro.Deep"]}]),)


def with_schema_inside() -> bytes:
    """An object container file, which brings its own schema."""
    stream = io.BytesIO()
    fastavro.writer(stream, json.loads(bomb()[0]), [{"in": {"in": None}}])
    return stream.getvalue()


AVROS = {
    "nothing but a marker": b"\xc3\x01",
    "no marker": WHOLE[2:],
    "another schema": b"\xc3\x01" + b"\x07" * 8 + WHOLE[10:],
    "a file with its own schema": with_schema_inside(),
    "a huge length of text": HEADER + b"\x02" + HUGE + MARK.encode(),
    "a negative length of text": HEADER + b"\x02" + NEGATIVE + MARK.encode(),
    "a number without end": HEADER + b"\xff" * 5000,
    "no UTF-8": HEADER + b"\x02\x04\xff\xfe" + WHOLE[12:],
    "cut": WHOLE[:-5],
    "more behind it": WHOLE + MARK.encode(),
    "only zeros": HEADER + b"\x00" * 100_000,
    "text that is no Avro": MARK.encode() * 50,
}


@pytest.mark.parametrize("case", AVROS)
def test_hostile_avro_is_a_422_and_leaves_nothing(case: str, door: Standing) -> None:
    before, logged = table(door), len(door.log)
    received = post(door, "fineract", AVROS[case], content_type="avro/binary")
    assert received.status == 422
    assert table(door) == before
    assert MARK not in json.dumps([received.body, door.log[logged:]])
    assert not [line for line in door.log[logged:] if line.get("level") in {"ERROR", "WARNING"}]


def test_hostile_avro_in_base64_inside_of_json_is_a_422(door: Standing) -> None:
    for data in [*AVROS.values(), b"", HEADER]:
        body = but(SYSTEMS["fineract, stated"].opened, data=base64.b64encode(data).decode())
        assert post(door, "fineract", json.dumps(body).encode()).status == 422


def test_a_bulk_message_inside_of_a_bulk_message_means_nothing_more(door: Standing) -> None:
    bulk = {"type": "BulkBusinessEvent", "dataschema": "x.BulkMessagePayloadV1"}
    inner = but(SYSTEMS["fineract, stated"].opened, **bulk, data={"datas": []})
    for _ in range(4):
        inner = but(inner, data={"datas": [inner] * 3})
    assert post(door, "fineract", json.dumps(inner).encode()).body == {"status": "ignored"}


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(at=st.integers(10, len(WHOLE) - 1), put=st.binary(min_size=1, max_size=12), cut=st.integers(0, 12))
@example(at=11, put=HUGE, cut=1)
def test_any_bytes_in_the_place_of_others_are_taken_or_refused(at: int, put: bytes, cut: int, door: Standing) -> None:
    logged = len(door.log)
    received = post(door, "fineract", WHOLE[:at] + put + WHOLE[at + cut :], content_type="avro/binary")
    assert received.status in {200, 422, 409}
    assert not [line for line in door.log[logged:] if line.get("level") in {"ERROR", "WARNING"}]


# JSON

_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def _paths(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a message stands."""
    if path:
        yield path
    inner = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for name, value in inner:
        yield from _paths(value, (*path, name))


GENUINE = {
    "fineract": [SYSTEMS["fineract, stated"].opened, SYSTEMS["fineract, allotted"].paid],
    "mambu": [SYSTEMS["mambu, stated"].opened, SYSTEMS["mambu, stated"].paid],
    "mapping": [SYSTEMS["mapping"].opened, SYSTEMS["mapping"].paid],
    "clouds": [SYSTEMS["cloudevents"].opened],
    "signing-clouds": [SYSTEMS["cloudevents"].paid],
}


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Any]:
    """A genuine message of a form with one to three of its values replaced by anything."""
    name = draw(st.sampled_from(sorted(GENUINE)))
    told = draw(st.sampled_from(GENUINE[name]))
    for _ in range(draw(st.integers(1, 3))):
        told = but(told)
        path = draw(st.sampled_from(sorted(_paths(told), key=repr)))
        inner = told
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = draw(_ANYTHING)
    return name, told


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=spoiled(), several=st.booleans())
def test_a_message_with_anything_for_a_value_is_taken_or_refused_by_webhook_and_bus(
    drawn: tuple[str, Any], door: Standing, *, several: bool
) -> None:
    name, told = drawn
    logged = len(door.log)
    received = post(door, name, json.dumps([told, told] if several else told).encode())
    assert received.status in {200, 207, 409, 422, 400}
    put(door, told, source=f"com.lender.{name}", kind="LoanSystemMessage")
    door.until(door.stack.clock())
    assert not [line for line in door.log[logged:] if line.get("level") == "ERROR"]
    assert counted(door, "Unexpected") == 0


DEEP: Any = MARK
for _ in range(40):
    DEEP = [DEEP]
LONG = [{"number": index, "dueAt": "2026-06-15", "amountInCents": 1} for index in range(3000)]
HOSTILE = {
    "nested": ("mapping", {**SYSTEMS["mapping"].opened, "x": DEEP}, 400),
    "nested in a text": ("mambu", {"metadata": {"eid": "e", "occurred_at": "x"}, "body": "[" * 50_000}, 422),
    "the same name twice in a text": (
        "mambu",
        {"metadata": {"eid": "e", "occurred_at": "2026-06-01T00:00:00Z"}, "body": '{"event": "A", "event": "B"}'},
        422,
    ),
    "nested in base64": (
        "clouds",
        {**cloud("installment.paid", "9"), "data_base64": base64.b64encode(b"[" * 50_000).decode()},
        422,
    ),
    "too many for one message": ("mapping", but(SYSTEMS["mapping"].opened, loan__schedule=LONG), 422),
    "too many rows": (
        "fineract",
        but(SYSTEMS["fineract, stated"].opened, data__repaymentSchedule__periods=[{"period": 1}] * 6000),
        422,
    ),
    "keys of the table": ("mapping", but(SYSTEMS["mapping"].opened, loan__number=f"L#{MARK}"), 422),
    "another tenant's id": ("mapping", but(SYSTEMS["mapping"].opened, loan__number=f"acme~{MARK}"), 422),
    "another's name": (
        "signing-clouds",
        cloud("installment.paid", "9", amount="1.00", source=MARK) | {"source": ""},
        422,
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_message_is_a_4xx_leaves_nothing_and_nothing_of_it_is_logged(case: str, door: Standing) -> None:
    name, told, status = HOSTILE[case]
    before, logged = table(door), len(door.log)
    received = post(door, name, json.dumps(told).encode())
    assert received.status == status
    assert received.headers["Content-Type"] == "application/problem+json"
    assert [line for line in table(door) if '"progress": {"S": "refused"}' not in line] == [
        line for line in before if '"progress": {"S": "refused"}' not in line
    ]
    assert MARK not in json.dumps([received.body, door.log[logged:]])


# Headers


def test_headers_that_no_signature_covers_say_nothing(door: Standing) -> None:
    told = cloud("installment.paid", "21", amount="1.00", loan_id="LOAN-9")
    tricks = {"ce_specversion": "1.0", "ce_type": "com.x.installment.cancelled", "ce_id": MARK, "ce_source": "/y"}
    assert post(door, "signing-clouds", json.dumps(told).encode(), **tricks).status == 200
    kept = [line for line in table(door) if "LOAN-9" in line]
    assert kept
    assert not [line for line in kept if MARK in line or "cancelled" in line]
    # Without a body that says what it is, the headers do not say so either.
    assert post(door, "signing-clouds", json.dumps(told["data"]).encode(), **tricks).status == 422


def test_a_structured_event_is_what_its_body_says_whatever_its_headers_add(door: Standing) -> None:
    told = cloud("installment.paid", "22", amount="1.00", loan_id="LOAN-8")
    tricks = {"ce_specversion": "1.0", "ce_type": "com.x.installment.cancelled", "ce_id": MARK, "ce_source": "/y"}
    body = json.dumps(told).encode()
    assert post(door, "clouds", body, content_type="application/cloudevents+json", **tricks).status == 200
    assert not [line for line in table(door) if "LOAN-8" in line and MARK in line]


@pytest.mark.parametrize(
    "headers",
    [
        {"ce_specversion": "1.0"},
        {"ce_specversion": "1.0", "ce_id": "%00", "ce_type": "installment.paid", "ce_source": "%ff"},
        {"ce_specversion": "1.0", "ce_id": "%23", "ce_type": "installment.paid", "ce_source": "/"},
        {"ce_specversion": "1.0", "ce_id": "9", "ce_type": "installment.paid", "ce_source": "/", "ce_data": "{}"},
        {"ce_specversion": "1.0", "ce_id": "9", "ce_type": "installment.paid", "ce_source": "/", "ce_sequence": "1e9"},
        {"ce_specversion": "1.0,1.0", "ce_id": "9", "ce_type": "installment.paid", "ce_source": "/"},
        {"ce_id": "9", "ce_type": "installment.paid", "ce_source": "/", "ce_sequence": "1"},
        {"ce_specversion": "1.0", "ce_id": "9", "ce_type": MARK, "ce_source": "/", "ce_data_base64": "W10="},
    ],
)
def test_attributes_of_a_binary_event_that_are_wrong_are_a_4xx(headers: dict[str, str], door: Standing) -> None:
    received = post(door, "clouds", b'{"loan_id": "L", "installment_no": 1}', **headers)
    assert received.status == 422 or received.body == {"status": "ignored"}


def test_the_right_secret_in_the_wrong_place_is_a_401(door: Standing) -> None:
    body, secret = b"{}", SYSTEMS["mambu, stated"].setting["secrets"][0]
    for headers in (
        {"authorization": secret},
        {"x-authorization": f"Bearer {secret}"},
        {"cookie": f"authorization=Bearer {secret}"},
        {"authorization": f"Bearer {secret}, Basic x"},
    ):
        assert raw(door, body, {"content-type": "application/json", **headers}, "mambu").status == 401
    stolen = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
    assert raw(door, body, stolen, "fineract").status == 401
    assert raw(door, body, signed(body, START) | {"content-type": "application/json"}, "mambu").status == 401
    assert SECRET not in json.dumps(door.log)


# The bus


@pytest.mark.parametrize("text", ["", "x", "[" * 50_000, '{"source": 1, "detail": {}}', json.dumps({"detail": MARK})])
def test_a_message_of_the_queue_that_is_no_event_is_kept_and_its_text_is_not_logged(text: str, door: Standing) -> None:
    kept, logged = door.stack.dead_letters().get("predue-events-dead-letters", 0), len(door.log)
    function = door.stack.functions["predue-ingest-events"]
    record = {"messageId": "m-1", "body": text}
    assert door.stack.invoke(function, {"Records": [record]}) == {"batchItemFailures": []}
    assert door.stack.dead_letters()["predue-events-dead-letters"] == kept + 1
    assert MARK not in json.dumps(door.log[logged:])
