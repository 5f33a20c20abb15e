"""Faults on purpose, all drawn from the seed and all counted: what really happens to such systems, only far more often.

Handlers are killed between any two AWS calls, calls fail before or after they took effect, providers time out before or
after they acted, reads that may be stale are stale, schedules are missed or fire twice, and jobs are delivered twice,
late, out of order, and in the middle of another delivery. No promise may break under any of it.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from infrastructure.local.answers import answer, json_body

Act = Callable[[], AWSResponse | None]
_PROVIDERS = ("SendEmail", "SendTextMessage")
_MAY_BE_STALE = ("Query", "BatchGetItem")


class Killed(BaseException):
    """The function's environment is gone in the middle of its work; nothing of it may catch this."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, out of one; by AWS call, by schedule, or by message."""

    killed: float = 0.004
    throttled: float = 0.004
    failed: float = 0.003
    lost_answer: float = 0.004
    stale_read: float = 0.05
    provider_timeout: float = 0.02
    provider_unheard: float = 0.02
    schedule_skipped: float = 0.1
    schedule_doubled: float = 0.1
    delivered_twice: float = 0.1
    delivered_late: float = 0.05
    interleaved: float = 0.02


class Chaos:
    """Draws the faults of one run; `inside` tells the nesting of handlers at the moment, zero outside of any."""

    def __init__(self, seed: int, rates: Rates | None = None) -> None:
        self._rng = random.Random(f"chaos#{seed}")
        self.rates = rates or Rates()
        self.counted: Counter[str] = Counter()
        self.inside = 0
        self.interrupt: Callable[[], bool] = lambda: False
        self._earlier: dict[str, bytes] = {}

    def strikes(self, fault: str) -> bool:
        """Whether a fault happens now; counted if so."""
        struck = bool(self._rng.random() < getattr(self.rates, fault))
        self.counted[fault] += struck
        return struck

    def late(self) -> timedelta:
        """How late a late message comes: from seconds to most of a day."""
        return timedelta(seconds=self._rng.choice([20, 200, 2_000, 20_000]) * self._rng.random())

    def pick(self, count: int) -> int:
        """One of `count`."""
        return self._rng.randrange(count)

    def before(self, request: AWSPreparedRequest, event_name: str, act: Act) -> AWSResponse | None:
        """Stand before a call that a handler makes: kill, fail, lose the answer of `act`, or let it pass (None)."""
        if not self.inside:
            return None
        operation = event_name.rpartition(".")[2]
        if self.strikes("killed"):
            raise Killed
        if self.strikes("interleaved"):
            self.interrupt()
        if operation in _PROVIDERS:
            self._provider(request, act)
            return None
        if self.strikes("throttled"):
            return _error(request, 400, "ThrottlingException")
        if self.strikes("failed"):
            return _error(request, 500, "InternalServerError")
        if self.strikes("lost_answer"):
            act()
            raise ReadTimeoutError(endpoint_url=request.url)
        return self._stale(request, act) if operation in _MAY_BE_STALE else None

    def _provider(self, request: AWSPreparedRequest, act: Act) -> None:
        """A provider that never hears of the call, or that acts and is not heard."""
        if self.strikes("provider_unheard"):
            act()
            raise ReadTimeoutError(endpoint_url=request.url)
        if self.strikes("provider_timeout"):
            raise ReadTimeoutError(endpoint_url=request.url)

    def _stale(self, request: AWSPreparedRequest, act: Act) -> AWSResponse | None:
        """What the very same read answered before, where DynamoDB may answer so: no strongly consistent read."""
        body = json_body(request)
        tables = body.get("RequestItems", {}).values()
        if body.get("ConsistentRead") or any(one.get("ConsistentRead") for one in tables):
            return None
        fresh = act()
        if fresh is None or fresh.status_code != HTTPStatus.OK:
            return fresh
        name = str(sorted(body.items()))
        content, earlier = fresh.content, self._earlier.get(name)
        self._earlier[name] = content
        if earlier is not None and earlier != content and self.strikes("stale_read"):
            content = earlier
        return answer(request, 200, content)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Within this, calls are a handler's and meet faults."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def stop(self) -> None:
        """No more faults."""
        self.rates = Rates(**dict.fromkeys(Rates.__slots__, 0.0))


def _error(request: AWSPreparedRequest, status: int, code: str) -> AWSResponse:
    return answer(request, status, {"__type": code, "message": "on purpose"}, {"x-amzn-ErrorType": code})


@contextmanager
def no_waiting() -> Iterator[None]:
    """The SDK's own waits between its retries pass at once: virtual time stands still while a handler runs."""
    with mock.patch("botocore.endpoint.time.sleep", return_value=None):
        yield
