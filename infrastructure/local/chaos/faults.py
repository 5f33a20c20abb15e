"""Faults on purpose at the SDK's wire, all drawn from the seed and all counted: what really happens to such systems,
only far more often.

Handlers are killed between any two AWS calls, run out of time, and wait while the world goes on: other deliveries,
events, the planner and the closing run come in between, some levels deep. Calls fail before or after they took effect,
or are answered in part; reads that may be stale are stale; providers are busy, fail, and time out before or after they
acted; services go away for a while; schedules are missed or fire twice; jobs are delivered twice, late and out of
order. No promise may break under any of it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError

from infrastructure.local.aws.wire_answers import answer
from infrastructure.local.chaos import partial
from infrastructure.local.chaos.stale import StaleReads
from infrastructure.local.virtual.chances import Chances, Killed, Rates, RunningFunction

__all__ = ["ON_PURPOSE", "Chaos", "Killed", "Rates", "RunningFunction", "no_waiting"]

Act = Callable[[AWSPreparedRequest], AWSResponse | None]
_PROVIDERS = {"SendEmail": "TooManyRequestsException", "SendTextMessage": "ThrottlingException"}
"""What each provider answers when it is busy."""
_DECISIVE = {"PutItem", *_PROVIDERS}
ON_PURPOSE = "on purpose"
"""What every error says that is chaos's own and no server's."""


class Chaos(Chances):
    """The faults of one run over the stack."""

    services = ("dynamodb", "sqs", "ssm", "secretsmanager", "scheduler", "events", "lambda")
    providers = frozenset(_PROVIDERS)

    def __init__(self, seed: int, rates: Rates | None = None, *, moving_events: bool = False, deepest: int = 3) -> None:
        super().__init__(seed, rates, moving_events=moving_events, deepest=deepest)
        self.stale = StaleReads(self.rng)

    def before(self, request: AWSPreparedRequest, event_name: str, act: Act) -> AWSResponse | None:
        """Stand before a call that a handler makes: kill, fail, answer, or let it pass (None) to `act`."""
        running = self.running
        if running is None:
            return None
        service, operation = event_name.split(".")[1:]
        decisive = running.about and operation in _DECISIVE
        self.between(running, operation, _names_in(running.about, request) if decisive else frozenset())
        self.in_time(running)
        if self.strikes("killed"):
            raise Killed
        if operation in _PROVIDERS:
            return self._provider(request, operation, act)
        if not running.happenings and self.away(service):
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
            return partial.OPERATIONS[operation](request, act, self.rng)
        return None


def _names_in(about: frozenset[str], request: AWSPreparedRequest) -> frozenset[str]:
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
