import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.errors import BadJob, BadPolicy
from predue.outbound.outbound_webhooks import (
    JITTER,
    LONGEST_WAIT,
    SubscriberAnswer,
    body_of,
    headers_of,
    read_message,
    receivers,
    wait,
)
from predue.outbound.subscriber import Subscriber, read_subscribers
from tests.signing import FOREIGN, OLD, OURS, signature

AT = datetime(2026, 12, 10, 15, tzinfo=UTC)
DETAIL = {"event_id": "e" * 32, "at": "2026-12-10T15:00:00Z", "borrower_id": "b-1"}
OUTBOUND: dict[str, Any] = {"detail-type": "ReminderSent", "source": "predue", "detail": DETAIL}


def one(**more: Any) -> Subscriber:
    given: dict[str, Any] = {"name": "core", "url": "https://lender.example/hooks", "keys": (OURS,)}
    return Subscriber(**given | {"events": frozenset({"ReminderSent"})} | more)


def test_a_call_carries_the_event_its_type_and_its_time() -> None:
    body = json.loads(body_of(read_message(json.dumps(OUTBOUND))))
    assert body == {"type": "ReminderSent", "timestamp": "2026-12-10T15:00:00Z", "data": DETAIL}


def test_a_call_is_signed_by_every_key_over_its_id_its_time_and_its_body() -> None:
    message = read_message(json.dumps(OUTBOUND))
    body = body_of(message)
    headers = headers_of(message, one(keys=(OURS, OLD)), body, AT)
    assert headers["webhook-id"] == "e" * 32
    seconds = headers["webhook-timestamp"]
    assert datetime.fromtimestamp(int(seconds), UTC) == AT
    expected = [signature(key, "e" * 32, seconds, body.encode()) for key in (OURS, OLD)]
    assert headers["webhook-signature"].split() == expected
    assert signature(FOREIGN, "e" * 32, seconds, body.encode()) not in expected


@pytest.mark.parametrize(
    "body",
    [
        "x",
        "[]",
        "null",
        "7",
        "{}",
        '{"detail-type": "A", "detail": {}}',
        '{"detail-type": 1, "detail": {"event_id": "e", "at": "t"}}',
        '{"detail-type": "A", "detail": {"event_id": "e", "at": "t"}, "subscriber": 1}',
        '{"detail-type": "A", "detail": [{"event_id": "e"}]}',
    ],
)
def test_what_is_no_event_of_ours_is_refused(body: str) -> None:
    with pytest.raises(BadJob):
        read_message(body)


def test_a_subscriber_hears_the_types_it_asked_for_of_its_own_tenant() -> None:
    message = read_message(json.dumps(OUTBOUND))
    theirs = read_message(json.dumps({**OUTBOUND, "detail": DETAIL | {"tenant": "acme"}}))
    everyone = {
        "core": one(),
        "other": one(name="other", events=frozenset({"ReminderFailed"})),
        "acme": one(name="acme", tenant="acme"),
    }
    assert [subscriber.name for subscriber in receivers(message, everyone)] == ["core"]
    assert [subscriber.name for subscriber in receivers(theirs, everyone)] == ["acme"]


def test_a_message_for_one_is_for_that_one_alone_and_for_nobody_once_it_has_left() -> None:
    everyone = {"a": one(name="a"), "b": one(name="b")}
    message = read_message(json.dumps(OUTBOUND))
    split_tenant = read_message(message.for_one("b"))
    assert [subscriber.name for subscriber in receivers(split_tenant, everyone)] == ["b"]
    assert receivers(split_tenant, {"a": one(name="a")}) == []
    assert body_of(split_tenant) == body_of(message)


def test_the_wait_doubles_from_half_a_minute_to_four_hours() -> None:
    least = [wait(tries, 0, "x") for tries in range(1, 21)]
    for tries, found in enumerate(least, start=1):
        base = min(timedelta(seconds=30) * 2 ** (tries - 1), LONGEST_WAIT)
        assert base <= found <= base * (1 + JITTER)


@given(st.integers(0, 10_000), st.integers(0, 10**9) | st.integers(0, 10**40), st.text(max_size=8))
def test_a_wait_is_never_longer_than_sqs_takes_nor_shorter_than_without_a_wish(
    tries: int, retry_after: int, seed: str
) -> None:
    found = wait(tries, retry_after, seed)
    assert wait(tries, 0, seed) <= found <= timedelta(hours=12)
    assert found >= timedelta(seconds=min(retry_after, 4 * 3600))


def test_what_failed_together_does_not_come_back_together() -> None:
    assert len({wait(5, 0, str(number)) for number in range(100)}) > 90


@pytest.mark.parametrize(
    ("status", "taken", "gone"),
    [(200, True, False), (204, True, False), (299, True, False), (301, False, False), (410, False, True)]
    + [(status, False, False) for status in (0, 100, 400, 404, 429, 500, 503)],
)
def test_only_2xx_is_taken_and_only_410_is_gone(status: int, taken: bool, gone: bool) -> None:  # noqa: FBT001 - a table
    assert (SubscriberAnswer(status).taken, SubscriberAnswer(status).gone) == (taken, gone)


# Subscribers


GOOD: dict[str, Any] = {"url": "https://lender.example/hooks?x=1", "keys": [OURS]}


def read(public: bool = True, **settings: Any) -> Mapping[str, Subscriber]:  # noqa: FBT001, FBT002 - as the setting
    return read_subscribers(json.dumps({"core": settings}), public=public)


def test_a_subscriber_hears_everything_unless_it_says_what() -> None:
    found = read(**GOOD)["core"]
    assert "BorrowerOptedOut" in found.events
    assert "InstallmentOverdue" in found.events
    assert found.keys == (OURS,)
    assert read(**GOOD, events=["ReminderSent"])["core"].events == {"ReminderSent"}


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://lender.example"},
        {"url": "ftp://lender.example"},
        {"url": "https://"},
        {"url": "https://user:secret@lender.example"},
        {"url": "https://lender.example/#x"},
        {"url": "https://lender.example/\r\nx: y"},
        {"url": "https://lender.example:99999"},
        {"url": "https://lender.example/a b"},
        {"url": "https://länder.example"},
        {"keys": []},
        {"keys": ["whsec_c2hvcnQ="]},
        {"keys": [OURS] * 5},
        {"events": []},
        {"events": ["ReminderSnet"]},
        {"tenant": "A"},
        {"misspelt": 1},
    ],
)
def test_a_subscriber_that_is_stated_wrongly_stops_itself_alone_and_shows_nothing_of_the_secret(
    change: dict[str, Any],
) -> None:
    found = read_subscribers(json.dumps({"other": GOOD, "core": GOOD | change}), public=True)
    assert list(found) == ["other"]
    with pytest.raises(BadPolicy) as caught:
        found["core"]
    assert OURS not in str(caught.value)
    assert "lender" not in str(caught.value)
    assert "secret@" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_secret_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(BadPolicy):
        read_subscribers(text, public=True)


@pytest.mark.parametrize("wrong", ['"Core": {}', '"core": null'])
def test_a_subscriber_of_no_form_at_all_stops_no_other(wrong: str) -> None:
    found = read_subscribers(f'{{"other": {json.dumps(GOOD)}, {wrong}}}', public=True)
    assert (list(found), len(found.wrong)) == (["other"], 1)


def test_plain_http_is_for_a_stack_that_says_so() -> None:
    assert read(public=False, **GOOD | {"url": "http://127.0.0.1:8080/x"})["core"].url == "http://127.0.0.1:8080/x"
