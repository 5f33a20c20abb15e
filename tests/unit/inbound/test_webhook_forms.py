"""Who may send what in which form: secrets, bytes, and headers that say something."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from predue.inbound import answers, problem
from predue.inbound.deliveries import Delivery
from predue.inbound.problem import Problem, RequestRejected
from predue.inbound.sources import Source, read_sources
from predue.inbound.webhook import WebhookRequest, authenticated, delivery, readable
from tests.signing import OURS, signed

NOW = datetime(2026, 12, 10, 15, 0, tzinfo=UTC)
SECRET, OLD = "shown-by-mambu-" + "x" * 32, "shown-before-" + "y" * 32
_TOLD: dict[str, Any] = {
    "core": {"keys": [OURS]},
    "mambu": {"secrets": [SECRET, OLD], "form": "mambu"},
    "clouds": {"secrets": [SECRET], "form": "cloudevents"},
    "signing-clouds": {"keys": [OURS], "form": "cloudevents"},
    "fineract": {"keys": [OURS], "form": "fineract"},
    "bus-only": {"bus": "com.lender.loans"},
}
# Each read for itself, so that they may share a key, which the tests find shorter.
KNOWN = {name: read_sources(json.dumps({name: told}))[name] for name, told in _TOLD.items()}
JSON = {"content-type": "application/json"}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def check(authorization: str, source: str = "mambu", **more: str) -> Source:
    request = WebhookRequest(source, JSON | {"authorization": authorization} | more, b"{}")
    return authenticated(request, KNOWN, NOW)


def refused(request: WebhookRequest) -> Problem:
    with pytest.raises(RequestRejected) as caught:
        delivery(readable(request), authenticated(request, KNOWN, NOW), request.headers)
    return caught.value.problem


# Secrets


@pytest.mark.parametrize("given", [f"Bearer {SECRET}", f"bearer {OLD}", basic("mambu", SECRET), basic("mambu", OLD)])
def test_a_source_that_cannot_sign_shows_one_of_its_secrets(given: str) -> None:
    assert check(given).name == "mambu"


@pytest.mark.parametrize(
    "given",
    [
        "",
        SECRET,
        "Bearer",
        "Bearer ",
        f"Bearer  {SECRET}",
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        f"Bearer {SECRET},Bearer {SECRET}",
        f"Bearer {SECRET} {SECRET}",
        f"Digest {SECRET}",
        "Bearer " + "x" * 5000,
        "Bearer ÿ\ud800",
        basic("core", SECRET),
        basic("", SECRET),
        basic("mambu", ""),
        "Basic " + base64.b64encode(SECRET.encode()).decode(),
        "Basic ***",
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        "Bearer whsec_" + "A" * 32,
    ],
)
def test_what_is_no_secret_of_the_source_is_refused_as_an_unknown_source_is(given: str) -> None:
    for source in ("mambu", "nobody"):
        assert refused(WebhookRequest(source, JSON | {"authorization": given}, b"{}")) == problem.UNSIGNED


@pytest.mark.parametrize("source", ["core", "fineract", "signing-clouds", "bus-only", "nobody", ""])
def test_a_secret_serves_no_source_that_signs_nor_one_of_the_bus(source: str) -> None:
    for given in (f"Bearer {SECRET}", f"Bearer {OURS}", basic(source, OURS), "Bearer whsec_" + "A" * 32):
        assert refused(WebhookRequest(source, JSON | {"authorization": given}, b"{}")) == problem.UNSIGNED


def test_a_signature_serves_no_source_that_shows_a_secret() -> None:
    for source in ("mambu", "bus-only"):
        for key in (OURS, "whsec_" + "A" * 32):
            assert refused(WebhookRequest(source, signed(b"{}", NOW, key), b"{}")) == problem.UNSIGNED


# Bytes


def test_bytes_of_avro_are_signed_as_they_are_and_only_fineract_sends_any() -> None:
    body = b"\xc3\x01\xff\x00"
    for source, taken in (("fineract", True), ("core", False), ("signing-clouds", False)):
        request = WebhookRequest(source, signed(body, NOW) | {"content-type": "avro/binary"}, body)
        if taken:
            told = delivery(readable(request), authenticated(request, KNOWN, NOW), request.headers)
            assert (told.messages, told.single) == ((body,), True)
        else:
            assert refused(request) == problem.CONTENT_TYPE
        assert refused(request._replace(body=body + b"\x00")) == problem.UNSIGNED


# Headers

CLOUD = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "installment.paid", "ce-source": "/x"}


def told(source: str, kind: str, body: Any, **more: str) -> Delivery:
    headers = {"content-type": kind, "x-notifications-idempotency-key": "k", **CLOUD, **more}
    return delivery(json.dumps(body), KNOWN[source], headers)


def test_the_headers_of_a_binary_cloudevent_count_if_nothing_is_signed() -> None:
    assert told("clouds", "application/json", {}).headers == CLOUD


def test_the_sdks_binary_mode_says_no_content_type() -> None:
    headers = CLOUD | {"authorization": f"Bearer {SECRET}"}
    request = WebhookRequest("clouds", headers, b'{"amount": "1.00"}')
    told = delivery(readable(request), authenticated(request, KNOWN, NOW), request.headers)
    assert (told.messages, told.headers) == (({"amount": "1.00"},), CLOUD)
    assert refused(WebhookRequest("mambu", {"authorization": f"Bearer {SECRET}"}, b"{}")) == problem.CONTENT_TYPE


def test_an_empty_batch_of_cloudevents_says_nothing_and_is_done_with() -> None:
    assert told("clouds", "application/cloudevents-batch+json", []).messages == ()
    assert answers.answer([], (), single=False) == (200, "application/json", '{"results": []}', None)
    for source in ("mambu", "core"):
        with pytest.raises(RequestRejected) as caught:
            told(source, "application/json", [])
        assert caught.value.problem == problem.COUNT


def test_no_header_counts_where_the_body_alone_is_signed() -> None:
    assert told("signing-clouds", "application/json", {}).headers == {}


def test_no_header_changes_what_a_structured_event_says_in_its_body() -> None:
    assert told("clouds", "application/cloudevents+json", {}).headers == {}
    assert told("clouds", "Application/CloudEvents-Batch+JSON; charset=utf-8", [{}, {}]).headers == {}


def test_the_data_of_a_binary_event_is_one_message_even_if_it_is_a_list() -> None:
    assert told("clouds", "application/json", [{}, {}]).messages == ([{}, {}],)
    assert told("signing-clouds", "application/json", [{}, {}]).messages == ({}, {})


def test_one_idempotency_key_cannot_name_several_messages() -> None:
    assert told("mambu", "application/json", {}).headers == {"x-notifications-idempotency-key": "k"}
    assert told("mambu", "application/json", [{}, {}]).headers == {}


@pytest.mark.parametrize(
    ("source", "field"),
    [("core", "event_id"), ("clouds", "id"), ("fineract", "idempotencyKey"), ("mambu", "event_id")],
)
def test_the_result_of_a_message_names_it_as_its_sender_does(source: str, field: str) -> None:
    assert delivery(json.dumps([{field: "e-7"}, 7]), KNOWN[source], {}).ids == ("e-7", None)
