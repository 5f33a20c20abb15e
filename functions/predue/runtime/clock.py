"""The time, from one source that the stack on one machine replaces by its own."""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime


def _real() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


source: ContextVar[Callable[[], datetime]] = ContextVar("source", default=_real)
"""What tells the time; only the stack on one machine sets it."""


def now() -> datetime:
    """The instant, in whole milliseconds, which is what the table keeps."""
    return source.get()()
