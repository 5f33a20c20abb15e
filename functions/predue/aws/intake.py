"""A webhook's request as the HTTP API hands it over: checked, applied and answered."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from predue import intake, news, problem
from predue.aws import clock, desks, settings
from predue.aws.telemetry import count, failures, logger
from predue.aws.workers import each_of
from predue.errors import BadNews, EventConflict
from predue.intake import Answer, Outcome
from predue.news import NewsDesk
from predue.problem import NotTaken, TakenAs
from predue.webhook import MOST_BYTES, Delivery, Request, authenticated, delivery, groups, readable

_ENOUGH_MS = 5_000
"""What one event may need: some twenty calls, and one of them tried again."""
_TAKEN: Mapping[news.Effect, TakenAs] = {"applied": "applied", "repeat": "repeat", "kept aside": "kept_aside"}


def answer(event: Mapping[str, Any], time_left_ms: Callable[[], int]) -> Answer:
    """The answer to one request; whatever goes wrong, it is one that a sender can act upon."""
    try:
        with failures("a webhook failed"):
            return _answer(event, time_left_ms)
    except Exception:  # noqa: BLE001 - logged and counted already; no fault of ours may become a refusal of news
        return intake.of_problem(problem.TRY_AGAIN)


def _answer(event: Mapping[str, Any], time_left_ms: Callable[[], int]) -> Answer:
    try:
        request = _request(event)
        text = readable(request)
        source = authenticated(request, text, settings.sources(), clock.now())
        told = delivery(text, source)
    except NotTaken as refusal:
        count("SignatureRefused" if refusal.problem.status == problem.UNSIGNED.status else "RequestRefused")
        logger.info("webhook refused", problem=refusal.problem.type)
        return intake.of_problem(refusal.problem)
    outcomes = _outcomes(told, time_left_ms)
    _tell(told, outcomes)
    return intake.answer(outcomes, told.event_ids, single=told.single)


def _request(event: Mapping[str, Any]) -> Request:
    """The request of an event in payload format 2.0; raises NotTaken."""
    body = event.get("body") or ""
    if len(body) > 2 * MOST_BYTES:  # base64 is longer by a third; what it holds is measured afterwards
        raise NotTaken(problem.TOO_LARGE)
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        raise NotTaken(problem.NOT_UTF8) from None
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return Request((event.get("pathParameters") or {}).get("source", ""), headers, raw)


def _outcomes(told: Delivery, time_left_ms: Callable[[], int]) -> list[Outcome]:
    """What became of each event: those of a borrower or loan one after the other, others side by side."""
    outcomes: list[Outcome] = [one if isinstance(one, BadNews) else None for one in told.events]
    good = {index: body for index, body in enumerate(told.events) if not isinstance(body, BadNews)}
    if not good:
        return outcomes
    desk = desks.news()

    def one_after_the_other(group: list[int]) -> list[Outcome]:
        return [_tried(good[index], desk) if time_left_ms() >= _ENOUGH_MS else None for index in group]

    apart = groups(good)
    for group, came in zip(apart, each_of(one_after_the_other, apart), strict=True):
        for index, outcome in zip(group, came, strict=True):
            outcomes[index] = outcome
    return outcomes


def _tried(body: dict[str, Any], desk: NewsDesk) -> Outcome:
    try:
        return _applied(body, desk)
    except Exception:  # noqa: BLE001 - logged already; one event must not lose the others of its request
        return None


def _applied(body: dict[str, Any], desk: NewsDesk) -> Outcome:
    """Apply one event; a refusal is a value, anything else that goes wrong may pass by itself or be mended here."""
    with failures("news failed"):
        try:
            return _TAKEN[news.apply(body, clock.now(), desk)]
        except BadNews as fault:
            return fault


def _tell(told: Delivery, outcomes: list[Outcome]) -> None:
    """Count what came of a request; of what it said nothing is told here."""
    tally = Counter(
        "try_again" if one is None else "refused" if isinstance(one, BadNews) else str(one) for one in outcomes
    )
    for outcome, number in tally.items():
        count(f"News{outcome.title().replace('_', '')}", number)
    if conflicts := sum(isinstance(one, EventConflict) for one in outcomes):
        count("EventConflict", conflicts)
    logger.info("webhook", source=told.source.name, done=dict(tally), conflicts=conflicts)
