"""A webhook's request as the HTTP API hands it over: checked, applied and answered."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from predue.inbound import answers, event_processor, problem
from predue.inbound.answers import WebhookAnswer
from predue.inbound.event_processor import ProcessorAdapters
from predue.inbound.problem import RequestRejected
from predue.inbound.sources import Source
from predue.inbound.webhook import MOST_BYTES, WebhookRequest, authenticated, delivery, readable
from predue.runtime import clock
from predue.runtime.telemetry import count, failures, logger

Sources = Callable[[], Mapping[str, Source]]
"""Reads the sources of events by name; raises BadPolicy or Unreachable."""


def answer(
    event: Mapping[str, Any], time_left_ms: Callable[[], int], sources: Sources, processor: ProcessorAdapters
) -> WebhookAnswer:
    """The answer to one request; whatever goes wrong, it is one that a sender can act upon."""
    try:
        with failures("a webhook failed"):
            return _answer(event, time_left_ms, sources, processor)
    except Exception:  # noqa: BLE001 - logged and counted already; no fault of ours may become a refusal of events
        return answers.of_problem(problem.TRY_AGAIN)


def _answer(
    event: Mapping[str, Any], time_left_ms: Callable[[], int], sources: Sources, processor: ProcessorAdapters
) -> WebhookAnswer:
    try:
        request = _request(event)
        content = readable(request)
        source = authenticated(request, sources(), clock.now())
        received = delivery(content, source, request.headers)
    except RequestRejected as refusal:
        count("SignatureRefused" if refusal.problem.status == problem.UNSIGNED.status else "RequestRefused")
        logger.info("webhook refused", problem=refusal.problem.type)
        return answers.of_problem(refusal.problem)
    came = event_processor.outcomes(received, time_left_ms, processor)
    event_processor.log_outcomes("webhook", received, came)
    return answers.answer(came, received.ids, single=received.single)


def _request(event: Mapping[str, Any]) -> WebhookRequest:
    """The request of an event in payload format 2.0; raises RequestRejected."""
    body = event.get("body") or ""
    if len(body) > 2 * MOST_BYTES:  # base64 is longer by a third; what it holds is measured afterwards
        raise RequestRejected(problem.TOO_LARGE)
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        raise RequestRejected(problem.NOT_UTF8) from None
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return WebhookRequest((event.get("pathParameters") or {}).get("source", ""), headers, raw)
