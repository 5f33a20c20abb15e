"""SDK clients, made when first asked for and kept while the function is warm."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from predue.errors import LedgerMoved, PredueError, Unreachable

_ORDINARY = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=2, read_timeout=5, max_pool_connections=10
)
# A provider's call is made once on the wire: boto3's own retry after a read timeout would send a second message.
_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10)

_RETRYABLE = frozenset(
    (
        "InternalServerError",
        "InternalFailure",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "Throttling",
        "TransactionConflictException",
    )
)


_making = RLock()


@lru_cache(maxsize=1)
def session() -> boto3.session.Session:
    """The one session; the stack on one machine hangs its own answers on its events."""
    return boto3.session.Session()


@lru_cache(maxsize=32)
def _client(service: str, *, once: bool) -> Any:
    return session().client(service, config=_ONCE if once else _ORDINARY)  # type: ignore[call-overload]  # the name is not a literal here


def client(service: str, *, once: bool = False) -> Any:
    """The client of a service; `once` makes its requests at most once on the wire.

    Clients may be shared by workers, but a session may not make two of them side by side (boto3 guide, "Multithreading
    or multiprocessing with clients").
    """
    with _making:
        return _client(service, once=once)


def forget() -> None:
    """Drop the session and its clients, so that the next are made for another endpoint or another stack."""
    session.cache_clear()
    _client.cache_clear()


def code_of(error: ClientError) -> str:
    """The error code that the service gave."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours: a failed condition is LedgerMoved, what may pass by itself Unreachable."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if code == "ConditionalCheckFailedException":
            raise LedgerMoved(f"{what}: changed meanwhile") from error
        if code in _RETRYABLE:
            raise Unreachable(f"{what}: {code}") from error
        raise PredueError(f"{what}: {code}") from error
    except BotoCoreError as error:
        raise Unreachable(f"{what}: {type(error).__name__}") from error
