"""Functions as Lambda calls them: each with its own environment, JSON in and out, and what it prints in the log."""

import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TextIO

from infrastructure.local.template import ACCOUNT, REGION
from predue.aws.clock import now


class Context:
    """What Lambda passes beside the event."""

    def __init__(self, name: str, timeout: int) -> None:
        self.function_name = name
        self.function_version = "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        self.memory_limit_in_mb = 512
        self.aws_request_id = "00000000-0000-0000-0000-000000000000"
        self.log_group_name = f"/aws/lambda/{name}"
        self.log_stream_name = "local"
        self._ends = now() + timedelta(seconds=timeout)

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the timeout: all of it in virtual time, which stands still while a handler runs."""
        return int((self._ends - now()).total_seconds() * 1000)


@dataclass(frozen=True)
class Function:
    """One function of the template; the handler is the deployed one."""

    name: str
    handler: Callable[[Any, Any], Any]
    environment: Mapping[str, str]
    timeout: int
    dead_letters_arn: str = ""


def call(function: Function, event: Any, log: TextIO) -> Any:
    """Call a handler: its own environment, JSON in and out, standard output to the log."""
    payload = json.loads(json.dumps(event))
    with environment(function.environment), _logging_to(log):
        result = function.handler(payload, Context(function.name, function.timeout))
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
    from predue.aws.telemetry import logger  # noqa: PLC0415

    caught = io.StringIO()
    handlers = [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.stream for handler in handlers]
    try:
        # Not by setStream, which flushes what was there before, though that may be closed by now.
        for handler in handlers:
            handler.stream = caught
        with redirect_stdout(caught):
            yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.stream = stream
        log.write(caught.getvalue())
