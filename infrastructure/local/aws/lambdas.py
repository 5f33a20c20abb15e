"""Functions as Lambda calls them: each with its own environment, JSON in and out, and what it prints in the log."""

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TextIO

from infrastructure.local.sam.template import ACCOUNT, REGION


class Context:
    """What Lambda passes beside the event."""

    def __init__(self, name: str, timeout: int, clock: Callable[[], datetime]) -> None:
        self.function_name = name
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        self.memory_limit_in_mb = 512
        self.aws_request_id = "00000000-0000-0000-0000-000000000000"
        self.log_group_name = f"/aws/lambda/{name}"
        self.log_stream_name = "local"
        self._clock = clock
        self._deadline = clock() + timedelta(seconds=timeout)

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the timeout: all of it, as long as virtual time stands still while a handler runs."""
        return max(0, (self._deadline - self._clock()) // timedelta(milliseconds=1))


Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Function:
    """One function of the template; the handler is the deployed one."""

    name: str
    handler: Handler
    environment: Mapping[str, str]
    timeout: int
    dead_letters_arn: str = ""


def call(function: Function, event: Any, log: TextIO, clock: Callable[[], datetime]) -> Any:
    """Call a handler: its own environment, JSON in and out, standard output to the log."""
    payload = json.loads(json.dumps(event))
    with environment(function.environment), _logging_to(log), warnings.catch_warnings():
        # Metrics are flushed on the way out, also of a function that is killed before it counted anything.
        warnings.filterwarnings("ignore", "No application metrics to publish")
        result = function.handler(payload, Context(function.name, function.timeout, clock))
    return None if result is None else json.loads(json.dumps(result))


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The environment of one function, and of no other: what its template forgets is missing here, too."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _logging_to(log: TextIO) -> Iterator[None]:
    """Standard output, where Powertools writes logs and metrics, goes to the log."""
    # Not at the top: telemetry reads a function's environment when it is imported, as it does in Lambda.
    from predue.runtime.telemetry import logger, metrics  # noqa: PLC0415

    caught = io.StringIO()
    # Another environment's counts, of a function that waits or was killed, are not this one's.
    counted, metrics.provider.metric_set = metrics.provider.metric_set, {}
    streams = [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
    # Not setStream: it flushes the stream before, which whoever captured it may have closed since.
    for handler in streams:
        handler.stream = caught
    try:
        with redirect_stdout(caught):
            yield
    finally:
        metrics.provider.metric_set = counted
        for handler in streams:
            handler.stream = sys.stdout
        log.write(caught.getvalue())
