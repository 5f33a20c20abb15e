import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from predue.errors import InvalidEvent
from predue.events.models import Event, Paid, read_event
from predue.inbound import problem
from predue.inbound.deliveries import batches, events_of
from predue.inbound.problem import Problem, RequestRejected
from predue.inbound.sources import Source, read_sources
from predue.inbound.webhook import MOST_BYTES, WebhookRequest, authenticated, delivery, readable
from tests.signing import FOREIGN, OLD, OURS, SOURCES, key, signed, written

NOW = datetime(2026, 12, 10, 15, 0, 0, 250_000, tzinfo=UTC)
PAID = {
    "type": "installment.paid",
    "event_id": "e-1",
    "source": "core",
    "sequence": 1,
    "loan_id": "L-1",
    "installment_no": 1,
    "amount": "12.50",
}
BODY = written(PAID)
KNOWN = read_sources(json.dumps(SOURCES))
CORE, ACME = KNOWN["core"], KNOWN["acme"]


def check(headers: dict[str, str], body: bytes = BODY, source: str = "core", now: datetime = NOW) -> Source:
    request = WebhookRequest(source, headers, body)
    readable(request)
    return authenticated(request, KNOWN, now)


def refused(headers: dict[str, str], body: bytes = BODY, source: str = "core", now: datetime = NOW) -> Problem:
    with pytest.raises(RequestRejected) as caught:
        check(headers, body, source, now)
    return caught.value.problem


def misread(text: str, source: Source = CORE) -> Problem:
    with pytest.raises(RequestRejected) as caught:
        delivery(text, source, {})
    return caught.value.problem


# Signatures


def test_a_request_signed_now_with_a_key_of_its_source_is_that_sources() -> None:
    assert check(signed(BODY, NOW)) is CORE


def test_the_library_of_standard_webhooks_signs_what_is_taken() -> None:
    at = NOW.replace(microsecond=0)
    headers = signed(BODY, at) | {"webhook-signature": Webhook(OURS).sign("msg_1", at, BODY.decode())}
    assert check(headers) is CORE


def test_each_key_of_a_source_signs_until_it_is_taken_from_the_list() -> None:
    assert check(signed(BODY, NOW, OURS)) is check(signed(BODY, NOW, OLD)) is CORE
    rotated = read_sources(json.dumps({"core": {"keys": [OURS]}}))
    request = WebhookRequest("core", signed(BODY, NOW, OLD), BODY)
    with pytest.raises(RequestRejected):
        authenticated(request, rotated, NOW)


def test_one_right_signature_among_several_is_enough() -> None:
    assert check(signed(BODY, NOW, key("next"), OURS)) is CORE
    other = {"webhook-signature": "v1a,c2lnbmVk v2,x " + signed(BODY, NOW)["webhook-signature"]}
    assert check(signed(BODY, NOW) | other) is CORE


HEADERS = signed(BODY, NOW)
SIGNATURE = HEADERS["webhook-signature"]
FORGED: dict[str, dict[str, str]] = {
    "no headers": {"content-type": "application/json"},
    "another key": signed(BODY, NOW, FOREIGN),
    "the key that pads": signed(BODY, NOW, "whsec_" + "A" * 32),
    "another body": signed(BODY + b" ", NOW),
    "another id": HEADERS | {"webhook-id": "msg_2"},
    "no id": HEADERS | {"webhook-id": ""},
    "id with a line": HEADERS | {"webhook-id": "msg_1\n"},
    "huge id": HEADERS | {"webhook-id": "m" * 300},
    "another second": HEADERS | {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
    "time with zeros": HEADERS | {"webhook-timestamp": "0" + HEADERS["webhook-timestamp"]},
    "time in words": HEADERS | {"webhook-timestamp": "now"},
    "time as a float": HEADERS | {"webhook-timestamp": "1e400"},
    "time without end": HEADERS | {"webhook-timestamp": "9" * 5000},
    "time not a number": HEADERS | {"webhook-timestamp": "nan"},
    "time below zero": HEADERS | {"webhook-timestamp": "-1"},
    "time in other digits": HEADERS | {"webhook-timestamp": "١٧٩٦٩١٤٨٠٠"},
    "no signature": HEADERS | {"webhook-signature": ""},
    "no version": HEADERS | {"webhook-signature": SIGNATURE.removeprefix("v1,")},
    "another version": HEADERS | {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
    "no base64": HEADERS | {"webhook-signature": "v1,*** v1"},
    "many commas": HEADERS | {"webhook-signature": "v1,,,"},
    "no ascii": HEADERS | {"webhook-signature": "v1,ÿ\ud800"},
    "right after many": HEADERS | {"webhook-signature": "v1,x " * 50 + SIGNATURE},
    "cut": HEADERS | {"webhook-signature": SIGNATURE[:-4]},
}


@pytest.mark.parametrize("case", FORGED)
def test_a_signature_that_is_not_right_is_refused_in_the_same_words_as_an_unknown_source(case: str) -> None:
    assert refused(FORGED[case]) == refused(HEADERS, source="nobody") == problem.UNSIGNED


def test_another_sources_key_signs_nothing_here() -> None:
    assert refused(HEADERS, source="acme") == problem.UNSIGNED


@pytest.mark.parametrize(("seconds", "taken"), [(-301, False), (-299, True), (0, True), (300, True), (301, False)])
def test_a_time_more_than_five_minutes_away_is_too_far_and_only_who_signed_hears_so(
    seconds: int, *, taken: bool
) -> None:
    at = NOW.replace(microsecond=0) + timedelta(seconds=seconds)
    if taken:
        assert check(signed(BODY, at)) is CORE
    else:
        assert refused(signed(BODY, at)) == problem.LATE
        assert refused(signed(BODY, at, FOREIGN)) == problem.UNSIGNED


def test_a_request_caught_on_its_way_is_refused_when_it_is_replayed_later() -> None:
    assert refused(HEADERS, now=NOW + timedelta(minutes=5, seconds=1)) == problem.LATE


# Size, type, encoding


def test_a_body_of_a_mebibyte_is_read_and_one_byte_more_is_too_large() -> None:
    assert len(readable(WebhookRequest("core", HEADERS, b" " * MOST_BYTES))) == MOST_BYTES
    with pytest.raises(RequestRejected) as caught:
        readable(WebhookRequest("core", {}, b" " * (MOST_BYTES + 1)))
    assert caught.value.problem == problem.TOO_LARGE


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/cloudevents+json",
    ],
)
def test_json_is_taken_under_each_of_its_names(kind: str) -> None:
    assert check(HEADERS | {"content-type": kind}) is CORE


@pytest.mark.parametrize(
    "wrong",
    [
        {"content-type": ""},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-encoding": "gzip"},
    ],
)
def test_another_content_type_is_refused_before_anything_is_looked_at(wrong: dict[str, str]) -> None:
    assert refused(HEADERS | wrong) == refused(HEADERS | wrong, source="nobody") == problem.CONTENT_TYPE


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    assert refused(HEADERS, b'{"a": "\xff"}') == problem.NOT_UTF8


# JSON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "{",
        '{"a": 1} x',
        "\ufeff{}",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 50 + "}",
        '{"a": ' + "9" * 5000 + "}",
        '{"amount": "1", "amount": "2"}',
        '{"a": {"b": 1, "b": 1}}',
        "[" * 100_000,
        "[" * 33 + "]" * 33,
        '{"a":' * 40 + "1" + "}" * 40,
    ],
    ids=lambda text: text[:20] + str(len(text)),
)
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    assert misread(text) == problem.NOT_JSON


@pytest.mark.parametrize("number", [0, 501])
def test_an_array_of_no_event_or_of_too_many_is_refused(number: int) -> None:
    assert misread(json.dumps([PAID] * number)) == problem.COUNT


def test_an_array_of_one_is_an_array() -> None:
    assert not delivery(json.dumps([PAID]), CORE, {}).single
    assert delivery(json.dumps(PAID), CORE, {}).single


def test_an_array_of_five_hundred_is_read() -> None:
    assert len(delivery(json.dumps([PAID] * 500), CORE, {}).messages) == 500


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(RequestRejected):
        assert delivery(text, CORE, {}).messages


# Events


def read(text: str, source: Source = CORE) -> list[Event | InvalidEvent]:
    found: list[Event | InvalidEvent] = []
    for message in delivery(text, source, {}).messages:
        try:
            found += events_of(message, source, {}, lambda _loan_id: {})
        except InvalidEvent as fault:
            found.append(fault)
    return found


def only(body: object, source: Source = CORE) -> Event | InvalidEvent:
    (event,) = read(json.dumps(body), source)
    return event


def wrong(body: object, source: Source = CORE) -> list[str]:
    fault = only(body, source)
    assert isinstance(fault, InvalidEvent)
    return [field for field, _ in fault.fields]


def test_an_event_without_a_source_is_that_of_the_address() -> None:
    assert only({name: value for name, value in PAID.items() if name != "source"}) == only(PAID) == read_event(PAID)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source": "bank"}, "source"),
        ({"source": None}, "source"),
        ({"loan_id": "acme~L-1"}, "loan_id"),
        ({"borrower_id": "~b"}, "borrower_id"),
        ({"borrower_id": ["~"]}, "borrower_id"),
        ({"amount": "12.505", "currency": "XXXX"}, "currency"),
        ({"sequence": True}, "sequence"),
        ({"installment_no": 1.5}, "installment_no"),
        ({"type": "installment.forgiven"}, "type"),
        ({"note": "x" * 17_000}, "event"),
    ],
)
def test_a_wrong_event_names_its_fields(change: dict[str, Any], field: str) -> None:
    assert wrong(PAID | change) == [field]


@pytest.mark.parametrize("body", [[1], [None], ["x"], [[PAID]]])
def test_what_is_no_object_is_no_event(body: object) -> None:
    assert wrong(body) == ["event"]


def test_half_a_surrogate_pair_is_refused_wherever_it_stands() -> None:
    (fault,) = read(json.dumps(PAID)[:-1] + ', "note": "\\ud800"}')
    assert isinstance(fault, InvalidEvent)


def test_a_bad_event_leaves_the_others_of_its_array() -> None:
    text = json.dumps([PAID, {"event_id": "e-2"}, PAID | {"event_id": "e-3"}])
    assert [isinstance(event, InvalidEvent) for event in read(text)] == [False, True, False]
    assert delivery(text, CORE, {}).ids == ("e-1", "e-2", "e-3")


@pytest.mark.parametrize("event_id", [7, None, "", "x" * 129, "a\nb", ["e"]])
def test_an_event_id_that_is_none_is_not_repeated(event_id: object) -> None:
    assert delivery(json.dumps([PAID | {"event_id": event_id}]), CORE, {}).ids == (None,)


def test_ids_of_a_tenants_source_are_that_tenants_own() -> None:
    body = PAID | {"source": "acme", "borrower_id": "b-1"}
    event = only(body, ACME)
    assert isinstance(event, Paid)
    assert (event.loan_id, event.borrower_id) == ("acme~L-1", "acme~b-1")
    assert event.event_id == "e-1"
    assert read_event(event.body()) == event


# Rounds


_FRAME = {"event_id": "e-1", "source": "core", "sequence": 1}


def about_borrower(borrower: str) -> dict[str, Any]:
    return {"type": "borrower.updated", **_FRAME, "borrower_id": borrower}


def about_installment(loan: str, number: int, **more: str) -> dict[str, Any]:
    about = {"loan_id": loan, "installment_no": number, "amount": "1"}
    return {"type": "installment.paid", **_FRAME, **about, **more}


_NEWS = st.one_of(
    st.builds(about_borrower, st.sampled_from("abc")),
    st.builds(about_installment, st.sampled_from("uvw"), st.integers(1, 3)),
    st.builds(
        lambda *told: about_installment(*told[:2], borrower_id=told[2]), *map(st.sampled_from, ("uvw", (1, 2), "abc"))
    ),
)


def in_batches(*bodies: dict[str, Any]) -> list[list[list[int]]]:
    return batches({index: [read_event(body)] for index, body in enumerate(bodies)})


@given(st.dictionaries(st.integers(0, 30), _NEWS, max_size=12))
def test_what_touches_an_installment_or_borrower_keeps_its_order_and_no_message_is_lost(
    drawn: dict[int, dict[str, Any]],
) -> None:
    events = dict(sorted(drawn.items()))
    found = batches({index: [read_event(body)] for index, body in events.items()})
    assert sorted(index for groups in found for group in groups for index in group) == sorted(events)
    place = {
        index: (number, group) for number, groups in enumerate(found) for group in map(tuple, groups) for index in group
    }
    for one, body in events.items():
        for other, another in events.items():
            alike = {name for name in ("borrower_id", "loan_id") if name in body and body[name] == another.get(name)}
            same = "loan_id" in alike and body["installment_no"] == another["installment_no"]
            apart = "loan_id" in body and "loan_id" in another and not same
            if one < other and alike and not apart:
                (first, group), (then, its) = place[one], place[other]
                assert first < then or (group == its and group.index(one) < group.index(other))


def test_messages_that_touch_nothing_in_common_are_side_by_side() -> None:
    third = about_installment("a", 1, borrower_id="x")
    found = in_batches(about_installment("a", 1), about_installment("b", 1), third, about_borrower("y"))
    assert found == [[[0, 2], [1], [3]]]


def test_installments_of_one_loan_need_not_wait_for_each_other() -> None:
    assert in_batches(*(about_installment("a", 1 + number % 3) for number in range(6))) == [[[0, 3], [1, 4], [2, 5]]]


def test_a_borrower_goes_before_the_schedule_that_follows_and_after_the_one_before() -> None:
    before, after = (about_installment("a", number, borrower_id="x") for number in (1, 2))
    assert in_batches(before, about_borrower("x"), after, about_installment("a", 3)) == [[[0]], [[1]], [[2], [3]]]


def test_a_message_that_touches_several_loans_waits_for_both_and_both_wait_for_it() -> None:
    a, b = read_event(about_installment("a", 1)), read_event(about_installment("b", 1))
    assert batches({0: [a], 1: [b], 2: [b, a], 3: [a], 4: [b]}) == [[[0], [1]], [[2]], [[3], [4]]]
