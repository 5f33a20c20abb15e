import json

import pytest

from predue.errors import EventConflict, InvalidEvent
from predue.inbound.answers import EventOutcome, WebhookAnswer, answer, whole

BAD, CONFLICT = InvalidEvent("amount: a number"), EventConflict("event_id: another body")


def told(*outcomes: EventOutcome, single: bool = False) -> WebhookAnswer:
    return answer(outcomes, [f"e-{number}" for number in range(len(outcomes))], single=single)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("applied", 200), ("duplicate", 200), ("parked", 200), (BAD, 422), (CONFLICT, 409), (None, 503)],
)
def test_a_single_event_has_a_status_of_its_own(outcome: EventOutcome, status: int) -> None:
    made = told(outcome, single=True)
    assert made.status == status
    assert made.content_type == ("application/json" if status == 200 else "application/problem+json")
    if status != 200:
        assert json.loads(made.body).keys() >= {"type", "title", "status", "detail"}
        assert json.loads(made.body)["status"] == status


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (("applied", "duplicate", "parked"), 200),
        (("applied", BAD), 207),
        ((BAD, "applied"), 207),
        ((BAD, CONFLICT), 207),
        (("applied", None), 503),
        ((BAD, None), 503),
        ((None, None), 503),
    ],
)
def test_an_array_is_to_be_repeated_exactly_if_that_can_help(outcomes: tuple[EventOutcome, ...], status: int) -> None:
    made = told(*outcomes)
    assert made.status == status
    assert (made.retry_after is not None) == (status == 503)
    results = json.loads(made.body)["results"]
    assert [one["index"] for one in results] == list(range(len(outcomes)))
    assert [one["event_id"] for one in results] == [f"e-{number}" for number in range(len(outcomes))]
    words: dict[EventOutcome, str] = {None: "try_again", BAD: "rejected", CONFLICT: "rejected"}
    assert [one["status"] for one in results] == [words.get(one, one) for one in outcomes]


def test_a_refusal_names_the_wrong_fields_of_its_event() -> None:
    (result,) = json.loads(told(BAD).body)["results"]
    assert result["problem"]["errors"] == [{"field": "amount", "detail": "a number"}]
    assert result["problem"]["status"] == 422


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((), "ignored"),
        (("duplicate", "applied", "parked"), "applied"),
        (("duplicate", "parked"), "parked"),
        (("duplicate", "duplicate"), "duplicate"),
        (("applied", BAD), BAD),
        ((BAD, "applied"), BAD),
        (("applied", BAD, None), None),
    ],
)
def test_a_message_is_what_its_sender_has_to_act_upon_among_its_events(
    events: tuple[EventOutcome, ...], message: EventOutcome
) -> None:
    assert whole(events) == message
