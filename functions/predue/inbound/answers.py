"""What a sender is told about the events of a request, and which status says so.

A sender repeats a request on anything but 2xx. So the status is 503 exactly if a repeat can help one of the events;
where some are refused for good and none waits it is 207, and each result says what to mend. A single event has a status
of its own.
"""

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel

from predue.errors import InvalidEvent
from predue.inbound import problem
from predue.inbound.problem import Problem, Result, Results, ResultsProblem, Taken, TakenAs

RETRY_AFTER_SECONDS = 15
"""How long a policy that was mended may take to be read; what is only busy is free sooner."""


class Unused(NamedTuple):
    """An event that was taken and changed nothing: `against` names each aspect, and what stood against it."""

    status: Literal["no_change", "not_owner"]
    against: tuple[str, ...]


EventOutcome = TakenAs | Unused | InvalidEvent | None
"""What became of one event: how it was taken, why it is refused, or None if it may be taken later."""


def status_of(outcome: TakenAs | Unused) -> TakenAs:
    """How an event was taken."""
    return outcome.status if isinstance(outcome, Unused) else outcome


def whole(outcomes: Sequence[EventOutcome]) -> EventOutcome:
    """What became of a message that became several events: what its sender has to act upon goes first."""
    if None in outcomes:
        return None
    refused = next((one for one in outcomes if isinstance(one, InvalidEvent)), None)
    if refused is not None:
        return refused
    came: tuple[TakenAs, ...] = ("not_owner", "applied", "parked", "no_change", "duplicate")
    taken: list[TakenAs | Unused] = [one for one in outcomes if one is not None and not isinstance(one, InvalidEvent)]
    ranked = sorted(taken, key=lambda one: _index(came, status_of(one)))
    return ranked[0] if ranked else "ignored"


def _index(came: Sequence[TakenAs], status: TakenAs) -> int:
    return came.index(status) if status in came else len(came)


class WebhookAnswer(NamedTuple):
    """An HTTP answer."""

    status: int
    content_type: str
    body: str
    retry_after: int | None = None


def of_problem(shown: Problem) -> WebhookAnswer:
    """The answer that a problem is."""
    wait = RETRY_AFTER_SECONDS if shown.status == problem.TRY_AGAIN.status else None
    return WebhookAnswer(shown.status, "application/problem+json", _json(shown), wait)


def answer(outcomes: Sequence[EventOutcome], event_ids: Sequence[str | None], *, single: bool) -> WebhookAnswer:
    """The answer to a request whose events came to these outcomes."""
    if single:
        return _of_one(outcomes[0])
    results = tuple(_result(index, *shown) for index, shown in enumerate(zip(outcomes, event_ids, strict=True)))
    if None in outcomes:
        return of_problem(ResultsProblem(**problem.TRY_AGAIN.model_dump(), results=results))
    refused = any(isinstance(one, InvalidEvent) for one in outcomes)
    return WebhookAnswer(207 if refused else 200, "application/json", _json(Results(results=results)))


def _of_one(outcome: EventOutcome) -> WebhookAnswer:
    if outcome is None:
        return of_problem(problem.TRY_AGAIN)
    if isinstance(outcome, InvalidEvent):
        return of_problem(problem.of_invalid(outcome))
    return WebhookAnswer(200, "application/json", _json(Taken(status=status_of(outcome), against=_against(outcome))))


def _against(outcome: TakenAs | Unused) -> tuple[str, ...] | None:
    return outcome.against or None if isinstance(outcome, Unused) else None


def _result(index: int, outcome: EventOutcome, event_id: str | None) -> Result:
    if outcome is None:
        return Result(index=index, event_id=event_id, status="try_again")
    if isinstance(outcome, InvalidEvent):
        return Result(index=index, event_id=event_id, status="rejected", problem=problem.of_invalid(outcome))
    return Result(index=index, event_id=event_id, status=status_of(outcome), against=_against(outcome))


def _json(shown: BaseModel) -> str:
    # Escaped to ASCII, so that nothing on the way can misread it.
    return json.dumps(shown.model_dump(mode="json", exclude_none=True))
