"""Faults on purpose, all drawn from the seed and all counted: what really happens to such systems, only far more often.

Handlers are killed between any two AWS calls, run out of time, and wait while the world goes on: other deliveries,
events, the planner and the closing run come in between, some levels deep. Calls fail before or after they took effect,
or are answered in part; reads that may be stale are stale; providers are busy, fail, and time out before or after they
acted; services go away for a while; schedules are missed or fire twice; jobs are delivered twice, late and out of
order. No promise may break under any of it.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from infrastructure.local.aws.wire_answers import answer
from infrastructure.local.chaos import partial
from infrastructure.local.chaos.stale import StaleReads

Act = Callable[[AWSPreparedRequest], AWSResponse | None]
Happening = Callable[[frozenset[str]], bool]
_One = TypeVar("_One")
_PROVIDERS = {"SendEmail": "TooManyRequestsException", "SendTextMessage": "ThrottlingException"}
"""What each provider answers when it is busy."""
_DECISIVE, _BY_FAR = {"PutItem", *_PROVIDERS}, 5
_SERVICES = ("dynamodb", "sqs", "ssm", "secretsmanager", "scheduler", "events", "lambda")
_MOMENT = timedelta(milliseconds=1)
"""Parts what happens in between from what came before and after, so that everything has an instant of its own."""
_QUARTER, _MARGIN = 900, 2
ON_PURPOSE = "on purpose"
"""What every error says that is chaos's own and no server's."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class Killed(BaseException):
    """The function's environment is gone in the middle of its work; nothing of it may catch this."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, out of one; by AWS call, by schedule, by asynchronous call, or by message."""

    killed: float = 0.01
    throttled: float = 0.004
    failed: float = 0.003
    failed_after: float = 0.003
    lost_answer: float = 0.004
    answered_in_part: float = 0.04
    short_page: float = 0.03
    stale_read: float = 0.3
    provider_timeout: float = 0.02
    provider_unheard: float = 0.02
    provider_busy: float = 0.02
    provider_failed: float = 0.01
    provider_failed_after: float = 0.01
    outage: float = 0.006
    schedule_skipped: float = 0.1
    schedule_doubled: float = 0.1
    invoked_twice: float = 0.1
    delivered_twice: float = 0.1
    delivered_late: float = 0.05
    reordered: float = 0.1
    paused: float = 0.01
    delivered_between: float = 0.03
    news_between: float = 0.02
    news_repeated: float = 0.006
    planned_between: float = 0.002
    closed_between: float = 0.002


@dataclass(slots=True)
class RunningFunction:
    """A handler, or the application of events, that is under way; `about` names the borrowers and loans of its jobs."""

    deadline: datetime = _NEVER
    news: bool = False
    about: frozenset[str] = frozenset()


class Chaos:
    """Draws the faults of one run.

    Its stack sets `clock` and `pass_time`, which lets the world go on for a while, and gives `happenings`: by fault,
    what may come in between; each says whether it happened. With `moving_news`, events may come earlier than its file
    says, and other things in the middle of it; without, it is applied at the file's very instant.
    """

    def __init__(self, seed: int, rates: Rates | None = None, *, moving_events: bool = False, deepest: int = 3) -> None:
        self._rng = random.Random(f"chaos#{seed}")
        self.rates = rates or Rates()
        self.counted: Counter[str] = Counter()
        self.clock: Callable[[], datetime] = lambda: _NEVER
        self.pass_time: Callable[[timedelta], None] = lambda _wait: None
        self.happenings: dict[str, Happening] = {}
        self.moving_events = moving_events
        self._deepest = deepest
        self._running: list[RunningFunction | None] = []
        self._away: dict[str, datetime] = {}
        self.stale = StaleReads(self._rng)

    # Draws

    def strikes(self, fault: str, often: int = 1) -> bool:
        """Whether a fault happens now, `often` times as likely as its rate; counted if so."""
        struck = bool(self._rng.random() < getattr(self.rates, fault) * often)
        self.counted[fault] += struck
        return struck

    def late(self) -> timedelta:
        """How late a late message comes: from seconds to most of a day."""
        return _whole(self._rng.choice([20, 200, 2_000, 20_000]) * self._rng.random())

    def pick(self, count: int) -> int:
        """One of `count`."""
        return self._rng.randrange(count)

    def shuffled(self, many: list[_One]) -> list[_One]:
        """The same in another order."""
        return self._rng.sample(many, len(many))

    def maybe_away(self) -> None:
        """Now and then a service goes away, for some minutes or for hours."""
        if self.strikes("outage"):
            service = _SERVICES[self.pick(len(_SERVICES))]
            self._away[service] = self.clock() + timedelta(minutes=self._rng.choice([2, 20, 120]) * self._rng.random())

    def stop(self) -> None:
        """No more faults."""
        self.rates = Rates(**dict.fromkeys(Rates.__slots__, 0.0))
        self._away.clear()

    # Who is under way

    @contextmanager
    def around(self, running: RunningFunction) -> Iterator[None]:
        """Within this, calls are a handler's and meet faults; one that is over its time is killed in the end."""
        self._running.append(running)
        try:
            yield
            self._in_time(running)
        finally:
            self._running.pop()

    @contextmanager
    def _outside(self) -> Iterator[None]:
        """Within this, calls are the stack's own, in the middle of a handler."""
        self._running.append(None)
        try:
            yield
        finally:
            self._running.pop()

    def _in_time(self, running: RunningFunction) -> None:
        if self.clock() > running.deadline:
            self.counted["timed_out"] += 1
            raise Killed

    # A call

    def before(self, request: AWSPreparedRequest, event_name: str, act: Act) -> AWSResponse | None:
        """Stand before a call that a handler makes: kill, fail, answer, or let it pass (None) to `act`."""
        running = self._running[-1] if self._running else None
        if running is None:
            return None
        service, operation = event_name.split(".")[1:]
        self._between(running, operation, request)
        self._in_time(running)
        if self.strikes("killed"):
            raise Killed
        if operation in _PROVIDERS:
            return self._provider(request, operation, act)
        if not running.news and self.clock() < self._away.get(service, self.clock()):
            self.counted["while_away"] += 1
            return _error(request, 503, "ServiceUnavailable")
        return self._failure(request, act) or self._read(request, operation, act) or self._part(request, operation, act)

    def _failure(self, request: AWSPreparedRequest, act: Act) -> AWSResponse | None:
        if self.strikes("throttled"):
            return _error(request, 400, "ThrottlingException")
        if self.strikes("failed"):
            return _error(request, 500, "InternalServerError")
        if self.strikes("failed_after"):
            act(request)
            return _error(request, 500, "InternalServerError")
        if self.strikes("lost_answer"):
            act(request)
            raise ReadTimeoutError(endpoint_url=request.url)
        return None

    def _provider(self, request: AWSPreparedRequest, operation: str, act: Act) -> AWSResponse | None:
        """A provider that is busy or broken, that never hears of the call, or that acts and is not heard."""
        if self.strikes("provider_busy"):
            return _error(request, 429, _PROVIDERS[operation])
        if self.strikes("provider_failed"):
            return _error(request, 500, "InternalServerException")
        if self.strikes("provider_failed_after"):
            act(request)
            return _error(request, 500, "InternalServerException")
        if self.strikes("provider_unheard"):
            act(request)
            raise ReadTimeoutError(endpoint_url=request.url)
        if self.strikes("provider_timeout"):
            raise ReadTimeoutError(endpoint_url=request.url)
        return None

    def _read(self, request: AWSPreparedRequest, operation: str, act: Act) -> AWSResponse | None:
        """A page that ends early, or a read of a moment ago where DynamoDB may give one."""
        if operation == "Query" and self.strikes("short_page"):
            request = partial.short_page(request, 1 + self.pick(3))
            return act(request)
        if self.stale.may_be(request, operation) and self.strikes("stale_read"):
            return self.stale.answer(self.clock(), lambda: act(request))
        return None

    def _part(self, request: AWSPreparedRequest, operation: str, act: Act) -> AWSResponse | None:
        """A call of several entries of which some are not taken."""
        if operation in partial.OPERATIONS and self.strikes("answered_in_part"):
            return partial.OPERATIONS[operation](request, act, self._rng)
        return None

    # Between two calls

    def _between(self, running: RunningFunction, operation: str, request: AWSPreparedRequest) -> None:
        """Let other things happen while a handler waits; everything that was acknowledged then counts from then."""
        if sum(one is not None for one in self._running) > self._deepest or not self._may_wait():
            return
        # What a delivery has read is oldest right before it claims and calls: there most can go wrong.
        often = _BY_FAR if running.about and operation in _DECISIVE else 1
        about = _named(running.about, request) if often > 1 else running.about
        for fault, happen in self.happenings.items():
            if self.strikes(fault, often):
                with self._outside():
                    self.pass_time(_MOMENT)
                    self.counted[fault] -= not happen(about)
                    self.pass_time(_MOMENT)
        if not any(one and one.news for one in self._running) and self.strikes("paused"):
            with self._outside():
                self.pass_time(self._wait(running, operation))

    def _may_wait(self) -> bool:
        """Events are applied at one instant, as an audit sees it: no slot and no end of hours may fall into it."""
        if not any(one and one.news for one in self._running):
            return True
        return self.moving_events and _MARGIN <= self.clock().timestamp() % _QUARTER <= _QUARTER - _MARGIN

    def _wait(self, running: RunningFunction, operation: str) -> timedelta:
        """How long a call takes: moments, nearly all the time that is left, or more.

        At a provider it is a connection's time at most: what waits longer there has given up (clients.py).
        """
        if operation in _PROVIDERS:
            return _whole(3 * self._rng.random())
        left = (running.deadline - self.clock()) / timedelta(seconds=1)
        return _whole(self._rng.choice([0.05, 2.0, 6.0, left * 0.6, left * 0.97, left + 1]))


def _whole(seconds: float) -> timedelta:
    """A time in whole milliseconds, which is what every instant of predue is."""
    return timedelta(milliseconds=round(seconds * 1000))


def _named(about: frozenset[str], request: AWSPreparedRequest) -> frozenset[str]:
    """Those of the borrowers and loans at hand that a request names; all, if it names none."""
    body = request.body
    text = body.decode() if isinstance(body, bytes) else str(body)
    return frozenset(name for name in about if name in text) or about


def _error(request: AWSPreparedRequest, status: int, code: str) -> AWSResponse:
    return answer(request, status, {"__type": code, "message": ON_PURPOSE}, {"x-amzn-ErrorType": code})


@contextmanager
def no_waiting() -> Iterator[None]:
    """The SDK's own waits between its retries pass at once: virtual time stands still while a handler runs."""
    with mock.patch("botocore.endpoint.time.sleep", return_value=None):
        yield
