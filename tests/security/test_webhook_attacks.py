"""Whatever is sent to the webhook: a 4xx, no state, and nothing of it in a log."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predue.events.models import Scheduled, Updated
from tests.flow.published import counted, event, open_door, post, raw, table
from tests.flow.small import Book, Standing, standing, utc
from tests.signing import FOREIGN, signed, written

START = utc(10, 15, 10)
MARK = "Quorvelian"
PAID = event("installment.paid", amount="20.00", note=MARK)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A stack for requests that must leave no state."""
    with standing(tmp_path_factory.mktemp("door"), Book().borrower().installment(), START, known=utc(10, 14)) as made:
        open_door(made)
        yield made


GOOD = written(PAID)


def hostile() -> dict[str, tuple[bytes, dict[str, str], int]]:
    """Requests of whoever cannot sign, and of whoever signs nonsense, each with the status that it gets."""
    good = signed(GOOD, START)

    def both(body: bytes, status: int, **more: str) -> tuple[bytes, dict[str, str], int]:
        return body, signed(body, START) | {name.replace("_", "-"): value for name, value in more.items()}, status

    mark = MARK.encode()
    return {
        "no headers": (GOOD, {}, 415),
        "unsigned": (GOOD, {"content-type": "application/json"}, 401),
        "signed by another": (GOOD, signed(GOOD, START, FOREIGN), 401),
        "garbled signature": (GOOD, good | {"webhook-signature": "v1,=== , ,,"}, 401),
        "bytes for a signature": (GOOD, good | {"webhook-signature": "\xff\xfe"}, 401),
        "garbled time": (GOOD, good | {"webhook-timestamp": "NaN"}, 401),
        "body changed on the way": (GOOD.replace(b"20.00", b"99.00"), good, 401),
        # API Gateway hands text on with the bytes replaced that are none, and then no signature fits.
        "no UTF-8": both(b'{"note": "' + mark + b'\xc3\x28"}', 401),
        "huge": both(b'"' + mark * 120_000 + b'"', 413),
        "no JSON": both(b"<note>" + mark + b"</note>", 400),
        "nothing": both(b"", 400),
        "nested": both(b"[" * 200_000, 400),
        "huge number": both(b'{"sequence": ' + b"9" * 6000 + b"}", 400),
        "not a number": both(b'{"amount": NaN, "note": "' + mark + b'"}', 400),
        "twice the same name": both(GOOD[:-1] + b', "amount": "1.00"}', 400),
        "empty array": both(b"[]", 422),
        "too many": both(b"[" + b",".join([GOOD] * 501) + b"]", 422),
        "a word": both(b'"' + mark + b'"', 422),
        "null": both(b"null", 422),
        "half a surrogate": both(GOOD[:-1] + b', "x": "\\udc80"}', 422),
        "compressed": both(GOOD, 415, content_encoding="gzip"),
        "a form": both(GOOD, 415, content_type="application/x-www-form-urlencoded"),
        "another type": both(written(PAID | {"type": MARK}), 422),
        "objects for ids": both(written(PAID | {"loan_id": {"S": MARK}, "event_id": [MARK]}), 422),
        "another source": both(written(PAID | {"source": MARK}), 422),
        "keys of the table": both(written(PAID | {"loan_id": f"L#{MARK}"}), 422),
        "ids too long for the table": both(written(PAID | {"loan_id": "王" * 120}), 422),
        "an amount that is a telephone number": both(written(PAID | {"amount": "+12125550147.001"}), 422),
    }


@pytest.mark.parametrize("case", hostile())
def test_a_hostile_request_is_a_4xx_with_a_problem_leaves_no_state_and_nothing_of_its_body_in_the_log(
    case: str, door: Standing
) -> None:
    body, headers, status = hostile()[case]
    before, logged = table(door), len(door.log)
    response = raw(door, body, headers)
    assert response.status == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.body["status"] == status
    assert set(response.body) <= {"type", "title", "status", "detail", "errors"}
    assert MARK not in json.dumps(response.body)
    # A signed event that does not fit what is known leaves that its id was refused, and is free.
    assert [line for line in table(door) if '"progress": {"S": "refused"}' not in line] == before
    told = json.dumps(door.log[logged:])
    assert not any(part in told for part in (MARK, "loan-1", "20.00", "5550147", "e-1"))


def test_a_source_that_there_is_not_answers_like_a_wrong_signature(door: Standing) -> None:
    body, at = written(PAID), START
    answers = [
        raw(door, body, signed(body, at, FOREIGN), "core"),
        raw(door, body, signed(body, at), "nobody"),
        raw(door, body, signed(body, at), "acme"),
        raw(door, body, {"content-type": "application/json"}, "core"),
        raw(door, body, signed(body, at), "%00"),
        raw(door, body, signed(body, at), "core#x"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({json.dumps([answer.headers, answer.body]) for answer in answers}) == 1
    assert counted(door, "SignatureRefused") >= len(answers)


def test_what_the_path_says_is_not_logged_until_it_is_signed(door: Standing) -> None:
    raw(door, GOOD, signed(GOOD, START), MARK)
    assert MARK not in json.dumps(door.log)


# Anything at all


def is_text(body: bytes) -> bool:
    """Whether API Gateway hands a body on as it came, as it does with text."""
    return body.decode(errors="replace").encode() == body


_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-encoding", "webhook-id", "webhook-timestamp", "webhook-signature"])
    | st.text(max_size=8),
    st.sampled_from(["application/json", "identity", "msg_1", str(int(START.timestamp())), "v1,AAAA", "v1,"])
    | st.text(max_size=40),
    max_size=6,
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(sorted({*Updated.model_fields, *Scheduled.model_fields, "channel", "reason", "at"}))
_TOLD = [
    PAID,
    event("installment.rescheduled", due_date="2027-01-31", amount="7.00"),
    event("installment.scheduled", borrower_id="b-1", due_date="2027-02-01", amount="5.00", currency="USD"),
    event("borrower.updated", phone="+12125550199", consent=[]),
    event("borrower.opted_out", channel="all"),
    event("borrower.hold_ended"),
]
_SPOILED = st.tuples(st.sampled_from(_TOLD), st.dictionaries(_FIELDS, _ANYTHING, max_size=3)).map(
    lambda drawn: {**drawn[0], "event_id": "fuzz", **drawn[1]}
)
_BODIES = (
    st.binary(max_size=200)
    | _ANYTHING.map(lambda value: json.dumps(value).encode())
    | _SPOILED.map(lambda value: json.dumps(value).encode())
    | st.lists(_SPOILED, max_size=3).map(lambda value: json.dumps(value).encode())
)
_fuzz = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_fuzz
@given(body=_BODIES, headers=_HEADERS, source=st.text(max_size=12).filter(lambda text: "/" not in text))
def test_any_bytes_under_any_headers_are_answered_with_a_4xx(
    body: bytes, headers: dict[str, str], source: str, door: Standing
) -> None:
    response = raw(door, body, headers, source)
    assert 400 <= response.status < 500
    # Where the path is no route, API Gateway answers by itself.
    assert response.body.get("status", 404) == response.status


@_fuzz
@given(body=_BODIES)
def test_anything_that_is_signed_is_taken_or_refused_and_never_a_server_error(body: bytes, door: Standing) -> None:
    logged = len(door.log)
    response = post(door, body)
    assert response.status in {200, 207, 400, 409, 413, 422} if is_text(body) else response.status == 401
    assert not [line for line in door.log[logged:] if line.get("level") in {"ERROR", "WARNING"}]
    assert MARK not in json.dumps(door.log[logged:])
