"""What a sender is told about the events of a request, and which status says so.

A sender repeats a request on anything but 2xx. So the status is 503 exactly if a repeat can help one of the events;
where some are refused for good and none waits it is 207, and each result says what to mend. A single event has a status
of its own.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

from predue.errors import BadNews
from predue.inbound import problem
from predue.inbound.problem import Problem, Result, Results, ResultsProblem, Taken, TakenAs

RETRY_AFTER_SECONDS = 15
"""How long a policy that was mended may take to be read; what is only busy is free sooner."""

Outcome = TakenAs | BadNews | None
"""What became of one event: how it was taken, why it is refused, or None if it may be taken later."""


def whole(outcomes: Sequence[Outcome]) -> Outcome:
    """What became of a message that became several events: what its sender has to act upon goes first."""
    if None in outcomes:
        return None
    refused = next((one for one in outcomes if isinstance(one, BadNews)), None)
    if refused is not None:
        return refused
    came: tuple[TakenAs, ...] = ("applied", "kept_aside", "repeat")
    return next((one for one in came if one in outcomes), "passed_over")


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    content_type: str
    body: str
    retry_after: int | None = None


def of_problem(told: Problem) -> Answer:
    """The answer that a problem is."""
    wait = RETRY_AFTER_SECONDS if told.status == problem.TRY_AGAIN.status else None
    return Answer(told.status, "application/problem+json", _text(told), wait)


def answer(outcomes: Sequence[Outcome], event_ids: Sequence[str | None], *, single: bool) -> Answer:
    """The answer to a request whose events came to these outcomes."""
    if single:
        return _of_one(outcomes[0])
    results = tuple(_result(index, *told) for index, told in enumerate(zip(outcomes, event_ids, strict=True)))
    if None in outcomes:
        return of_problem(ResultsProblem(**problem.TRY_AGAIN.model_dump(), results=results))
    refused = any(isinstance(one, BadNews) for one in outcomes)
    return Answer(207 if refused else 200, "application/json", _text(Results(results=results)))


def _of_one(outcome: Outcome) -> Answer:
    if outcome is None:
        return of_problem(problem.TRY_AGAIN)
    if isinstance(outcome, BadNews):
        return of_problem(problem.of_news(outcome))
    return Answer(200, "application/json", _text(Taken(status=outcome)))


def _result(index: int, outcome: Outcome, event_id: str | None) -> Result:
    if outcome is None:
        return Result(index=index, event_id=event_id, status="try_again")
    if isinstance(outcome, BadNews):
        return Result(index=index, event_id=event_id, status="refused", problem=problem.of_news(outcome))
    return Result(index=index, event_id=event_id, status=outcome)


def _text(told: BaseModel) -> str:
    # Escaped to ASCII, so that nothing on the way can misread it.
    return json.dumps(told.model_dump(mode="json", exclude_none=True))
