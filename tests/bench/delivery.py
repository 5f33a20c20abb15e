"""The processor's time of delivering a reminder, beside that of the bare SDK calls that it must make: run as `python -m
tests.bench.delivery CHANNEL`, it prints both as JSON.

Both run in this process, in turns of one batch, over the same clients and the same endpoint; the ratio is the median of
the turns, so that other work on the machine falls on both alike.
"""

import contextlib
import importlib
import io
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from botocore import xform_name

from predue.aws import clients
from predue.domain.job import text
from tests.bench.setting import answers, endpoint, job

_BATCH, _PACK = 50, 10
"""Reminders in a batch, and jobs in a message: five messages a call, as template.yaml says."""
_PROVIDERS = ("sesv2", "pinpoint-sms-voice-v2")
_OF_A_REMINDER = ("dynamodb", *_PROVIDERS)
Call = tuple[str, str, dict[str, Any]]


class _Context:
    """What Lambda passes beside the event."""

    function_name, function_version, memory_limit_in_mb, aws_request_id = "bench", "1", 512, "bench"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 30_000


def event(first: int) -> dict[str, Any]:
    """A batch of messages of packed jobs, as the queue's mapping hands it over."""
    jobs = [text(job(number).body()) for number in range(first, first + _BATCH)]
    packs = [f"[{','.join(jobs[start : start + _PACK])}]" for start in range(0, _BATCH, _PACK)]
    return {
        "Records": [
            {"messageId": str(number), "receiptHandle": "", "body": pack, "attributes": {}, "eventSource": "aws:sqs"}
            for number, pack in enumerate(packs)
        ]
    }


def _quiet() -> contextlib.AbstractContextManager[Any]:
    """What a function logs goes nowhere, as fast as it can."""
    from predue.runtime.telemetry import logger  # noqa: PLC0415 - it reads the function's environment when it is imported

    nowhere = io.StringIO()
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = nowhere
    return contextlib.redirect_stdout(nowhere)


def _calls_of(deliver: Callable[[], None]) -> list[Call]:
    """The SDK calls of the first reminder of a batch, with their very parameters."""
    made: list[Call] = []

    def keep(params: dict[str, Any], model: Any, **_: Any) -> None:
        made.append((model.service_model.service_name, model.name, params))

    clients.session().events.register_last("provide-client-params", keep)
    deliver()
    clients.session().events.unregister("provide-client-params", keep)
    return [call for call in made if call[0] in _OF_A_REMINDER][:4]


def _make(calls: list[Call]) -> None:
    for service, operation, params in calls:
        getattr(clients.client(service, once=service in _PROVIDERS), xform_name(operation))(**params)


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(channel: str, turns: int = 60) -> dict[str, Any]:
    """Deliver batches, and make their bare calls, in turns."""
    with endpoint(answers(channel)):
        handler = importlib.import_module(f"deliver_{channel}").handler
        numbers = iter(range(0, 10**9, _BATCH))

        def deliver() -> None:
            answer = handler(event(next(numbers)), _Context())
            assert answer == {"batchItemFailures": []}, "every job of the batch was done"

        with _quiet():
            calls = _calls_of(deliver)

            def bare_calls() -> None:
                for _ in range(_BATCH):
                    _make(calls)

            own, bare = [], [_seconds(bare_calls) / _BATCH]
            for _ in range(turns):
                own.append(_seconds(deliver) / _BATCH)
                bare.append(_seconds(bare_calls) / _BATCH)
    # Each turn stands beside the bare calls before and after it, since the machine's speed changes from second to
    # second. The first turns read and work out what a warm function knows.
    ratios = [one * 2 / sum(around) for one, around in zip(own, pairwise(bare), strict=True)][3:]
    return {
        "channel": channel,
        "calls": [f"{service}.{operation}" for service, operation, _ in calls],
        "milliseconds_per_reminder": statistics.median(own) * 1000,
        "milliseconds_of_bare_calls": statistics.median(bare) * 1000,
        "ratio": statistics.median(ratios),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))  # noqa: T201 - the parent reads it
