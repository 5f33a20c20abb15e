"""The SDK's wire under the adapters: requests are noted, and chosen ones meet what a network or a service may do."""

import json
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from moto.core.models import botocore_stubber

from infrastructure.local.aws.wire_answers import answer
from infrastructure.local.sam.resources import MADE, Resources
from infrastructure.local.sam.template import TemplateFile
from predue.aws import clients

ROOT = Path(__file__).parents[2]
DAY = date(2026, 12, 5)


class Sent(NamedTuple):
    """One request as it went onto the wire."""

    operation: str
    body: dict[str, Any]


class Fault(NamedTuple):
    """What happens to one request: `before` in the service's place, or `after` it has done its work."""

    before: Callable[[AWSPreparedRequest], AWSResponse | None] | None = None
    after: Callable[[AWSPreparedRequest], None] | None = None


class Line:
    """The wire of one session; faults queue up by operation, such as `dynamodb.PutItem`, and each is spent once."""

    def __init__(self, session: boto3.session.Session) -> None:
        self.sent: list[Sent] = []
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        session.events.register_first("before-send", self._first)
        session.events.register_last("before-send", self._last)

    def of(self, operation: str) -> list[dict[str, Any]]:
        """The bodies of an operation's requests, in order."""
        return [sent.body for sent in self.sent if sent.operation == operation]

    def counts(self) -> Counter[str]:
        """The requests by operation."""
        return Counter(sent.operation for sent in self.sent)

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """The service does its work, and its answer never arrives."""
        self._faults[operation] += [Fault(after=_read_timeout)] * times

    def no_answer(self, operation: str, times: int = 1) -> None:
        """The request goes out and nobody knows what became of it."""
        self._faults[operation] += [Fault(before=_read_timeout)] * times

    def no_connection(self, operation: str, times: int = 1) -> None:
        """Nothing was handed over."""
        self._faults[operation] += [Fault(before=_connect_timeout)] * times

    def say(self, operation: str, code: str, *, status: int = 400, times: int = 1, **more: Any) -> None:
        """The service answers with an error, and does nothing."""

        def told(request: AWSPreparedRequest) -> AWSResponse:
            botocore_stubber.enabled = False
            return answer(request, status, {"__type": code, "message": code} | more, {"x-amzn-ErrorType": code})

        self._faults[operation] += [Fault(before=told)] * times

    def reply(self, operation: str, body: dict[str, Any], times: int = 1) -> None:
        """The service answers with this body."""

        def told(request: AWSPreparedRequest) -> AWSResponse:
            botocore_stubber.enabled = False
            return answer(request, 200, body)

        self._faults[operation] += [Fault(before=told)] * times

    def _first(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> Any:
        operation = event_name.removeprefix("before-send.")
        body = _read(request)
        assert not (unused := _unused(body)), f"DynamoDB refuses what no expression uses: {unused}"
        self.sent.append(Sent(operation, body))
        waiting = self._faults[operation]
        if waiting and waiting[0].before:
            return waiting.popleft().before(request)  # type: ignore[misc]  # checked on the line above
        return None

    def _last(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> None:
        botocore_stubber.enabled = True
        waiting = self._faults[event_name.removeprefix("before-send.")]
        if waiting and waiting[0].after:
            waiting.popleft().after(request)  # type: ignore[misc]  # checked on the line above


def _read(request: AWSPreparedRequest) -> dict[str, Any]:
    body = request.body
    text = body.decode() if isinstance(body, bytes) else str(body or "{}")
    try:
        return dict(json.loads(text))
    except ValueError:
        return {"raw": text}


def _unused(body: dict[str, Any]) -> set[str]:
    """Names and values that a request gives its expressions and that none of them uses; moto takes such a request."""
    given = {*body.get("ExpressionAttributeNames", {}), *body.get("ExpressionAttributeValues", {})}
    told = " ".join(str(value) for name, value in body.items() if name.endswith("Expression"))
    return given - set(re.findall(r"[:#]\w+", told))


def _read_timeout(request: AWSPreparedRequest) -> None:
    raise ReadTimeoutError(endpoint_url=request.url)


def _connect_timeout(request: AWSPreparedRequest) -> None:
    raise ConnectTimeoutError(endpoint_url=request.url)


class Storage:
    """What infrastructure/storage.yaml describes, made in moto: the table, the parameters and the secret."""

    def __init__(self, policy: str = "{}") -> None:
        resources = Resources(clients.client)
        given = {"ApplicationName": "predue", "Environment": "sandbox", "InitialPolicy": policy}
        file = TemplateFile(ROOT / "infrastructure" / "storage.yaml", given, resources.physical)
        made = {one.name: resources.physical(one, "") for one in file.resources() if one.type in MADE}
        self.table = str(made["Table"])
        self.environment = {
            "TABLE_NAME": self.table,
            "DUE_INDEX": "due_index",
            "POLICY_PARAMETER": str(made["Policy"]),
            "SWITCH_PARAMETER": str(made["Switch"]),
            "KEYS_SECRET": str(made["Keys"]),
            "SOURCES_SECRET": str(made["Sources"]),
            "ENVIRONMENT": "sandbox",
        }
