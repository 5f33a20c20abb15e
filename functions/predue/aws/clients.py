"""SDK clients, made when first asked for and kept while the function is warm."""

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


class translated:  # noqa: N801 - it reads as the function that it is to others
    """Turn the SDK's errors into ours: a failed condition is LedgerMoved, what may pass by itself Unreachable."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Nothing is needed."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Raise our error in the place of the SDK's."""
        if isinstance(error, ClientError):
            code = code_of(error)
            if code == "ConditionalCheckFailedException":
                raise LedgerMoved(f"{self._what}: changed meanwhile") from error
            if code in _RETRYABLE:
                raise Unreachable(f"{self._what}: {code}") from error
            raise PredueError(f"{self._what}: {code}") from error
        if isinstance(error, BotoCoreError):
            raise Unreachable(f"{self._what}: {type(error).__name__}") from error
