"""Stands at the SDK's own wire: counts what the handlers call, answers in AWS's place, and takes time out of what is
sent.

It hangs on botocore's events of the one session that all adapters share, so the handlers run unchanged.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from moto.core.models import botocore_stubber

from infrastructure.cost.meter import Meter
from infrastructure.local.aws.engine import EndpointFailed
from infrastructure.local.aws.wire_answers import json_body
from infrastructure.local.chaos.faults import ON_PURPOSE, Chaos
from predue.aws import items

_SERVER_ERRORS = 500
Answer = Callable[[AWSPreparedRequest], AWSResponse | None]
Hook = Callable[..., None]
"""What botocore's stubs say of a handler, though some of its events take an answer."""
_WRITES = {f"before-send.dynamodb.{name}" for name in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")}
VISIBLE_AFTER = "visible_after"
"""The message attribute in which a delay travels, since the stack and not the queue keeps the time."""


def moto_answer(event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
    """What moto answers to a request, now."""
    return botocore_stubber(event_name, request)


def sent_answer(_event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
    """What the server at the other end answers to a request, now."""
    return URLLib3Session().send(request)


class Wire:
    """The hooks of one stack on a session; `sent` hears of every message queued, `scheduled` of every one-off schedule,
    `emitted` of every event that the bus took, `written` of every try to write to a table, `stored` of every object
    that is put. `between` has its turn ahead of every request. With an `endpoint`, requests go to a server instead of
    moto.
    """

    def __init__(
        self, session: boto3.session.Session, meter: Meter, chaos: Chaos | None = None, endpoint: str = ""
    ) -> None:
        self._events = session.events
        self._endpoint = endpoint
        self._answer = sent_answer if endpoint else moto_answer
        self.meter = meter
        self.sent: Callable[[str], None] = lambda _url: None
        self.scheduled: Callable[[dict[str, Any]], None] = lambda _schedule: None
        self.emitted: Callable[[dict[str, Any]], None] = lambda _entry: None
        self.written: Callable[[], None] = lambda: None
        self.stored: Callable[[str, str, str], None] = lambda _bucket, _key, _operation: None
        self.between: Callable[[], None] = lambda: None
        self._chaos = chaos
        self._plays: dict[str, Answer] = {}
        self._tokens: set[str] = set()
        self.claims: list[dict[str, Any]] = []
        """Under chaos: each new claim in a ledger, and the instant of its write."""
        self._events.register_first("before-send", cast("Hook", self._before_send))
        self._events.register_last("before-send", cast("Hook", self._sent))
        self._events.register("before-parameter-build", self._keep_parameters)
        self._events.register("provide-client-params.sqs.SendMessageBatch", cast("Hook", self._carry_delay))
        self._events.register("provide-client-params.dynamodb.UpdateItem", cast("Hook", self._ask_for_the_item))
        self._events.register("provide-client-params.scheduler.CreateSchedule", cast("Hook", self._disable))
        self._events.register("after-call", self._after_call)
        if endpoint:
            self._events.register("after-call-error", self._after_error)

    def play(self, service: str, operation: str, play: Answer) -> None:
        """Answer an operation here instead of sending it; None lets it pass."""
        self._plays[f"{service}.{operation}"] = play

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        """What is answered here: by chaos, or by a play; None is left to moto or the server."""
        self.between()
        try:
            return self._answered(request, event_name)
        finally:
            if event_name in _WRITES:
                self.written()

    def _answered(self, request: AWSPreparedRequest, event_name: str) -> AWSResponse | None:
        if self._chaos:
            answered = self._chaos.before(request, event_name, lambda asked: self._act(asked, event_name))
            answered = answered or self._act(request, event_name)
        else:
            answered = self._play(request, event_name)
        # botocore asks every hook, and takes the first answer: moto must not do what has been answered already.
        if answered is not None:
            self._let_moto(answer=False)
        return answered

    def _sent(self, **_: Any) -> None:
        self._let_moto(answer=True)

    def _let_moto(self, *, answer: bool) -> None:
        if not self._endpoint:
            botocore_stubber.enabled = answer

    def _play(self, request: AWSPreparedRequest, event_name: str) -> AWSResponse | None:
        play = self._plays.get(event_name.removeprefix("before-send."))
        return play(request) if play else None

    def _act(self, request: AWSPreparedRequest, event_name: str) -> AWSResponse | None:
        """Under chaos, what a request does and is answered."""
        assert self._chaos is not None, "called with chaos only"
        now, operation = self._chaos.clock(), event_name.rpartition(".")[2]

        def act() -> AWSResponse | None:
            self._let_moto(answer=True)
            return self._play(request, event_name) or self._answer(event_name, request)

        done = self._chaos.stale.noting(now, request, operation, act)
        if done is None or done.status_code >= 400:  # noqa: PLR2004 - it took no effect
            return done
        if operation == "PutItem":
            self._note_claims(now, json_body(request)["Item"])
        elif operation == "PutEvents":
            # Here and not by its answer, which may be lost: the bus has the events all the same.
            self._note_emitted(json_body(request)["Entries"], json.loads(done.content)["Entries"])
        return done

    def _note_claims(self, now: datetime, item: dict[str, Any]) -> None:
        """Note what a ledger says is being called since this write; what it said before is noted already."""
        if item["sk"]["S"] != "A#ledger":
            return
        for contact in items.read_ledger(items.plain(item)).contacts:
            if contact.token not in self._tokens:
                self._tokens.add(contact.token)
                self.claims.append({"at": now, "reminder_id": contact.reminder_id})

    @staticmethod
    def _keep_parameters(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["predue_parameters"] = params

    @staticmethod
    def _ask_for_the_item(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        """An update is billed by the size of the item that it leaves, which only its answer can tell."""
        return {"ReturnValues": "ALL_NEW", **params}

    @staticmethod
    def _carry_delay(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        entries = []
        for entry in params["Entries"]:
            given = dict(entry)
            delay = given.pop("DelaySeconds", 0)
            if delay:
                given["MessageAttributes"] = {VISIBLE_AFTER: {"DataType": "Number", "StringValue": str(delay)}}
            entries.append(given)
        return {**params, "Entries": entries}

    @staticmethod
    def _disable(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        """A server that fires schedules would fire them by its own clock; the stack fires them by the virtual one."""
        return {**params, "State": "DISABLED"}

    def _after_error(self, exception: Exception, event_name: str, **_: Any) -> None:
        """End a run whose server is gone; what is played here, providers and Lambda, fails for other reasons."""
        operation = event_name.removeprefix("after-call-error.")
        if operation not in self._plays and isinstance(exception, NoConnection | HTTPClientError):
            raise EndpointFailed(f"{self._endpoint} stopped answering at {operation}: {exception}") from exception

    def _after_call(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        params = context.get("predue_parameters", {})
        service = model.service_model.service_name
        failed = "Error" in parsed
        status = parsed.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        ours = f"{service}.{model.name}" in self._plays or parsed.get("Error", {}).get("Message") == ON_PURPOSE
        if self._endpoint and status >= _SERVER_ERRORS and not ours:
            raise EndpointFailed(f"{self._endpoint} answers {service}.{model.name} with {status}, time and again")
        self.meter.count(service, model.name, params, parsed)
        if failed:
            return
        if (service, model.name) in (("sqs", "SendMessageBatch"), ("sqs", "SendMessage")):
            self.sent(params["QueueUrl"])
        elif (service, model.name) == ("scheduler", "CreateSchedule"):
            self.scheduled(params)
        elif (service, model.name) in (("s3", "PutObject"), ("s3", "CompleteMultipartUpload")):
            self.stored(params["Bucket"], params["Key"], model.name)
        elif (service, model.name) == ("events", "PutEvents") and not self._chaos:
            self._note_emitted(params["Entries"], parsed["Entries"])

    def _note_emitted(self, entries: list[dict[str, Any]], answers: list[dict[str, Any]]) -> None:
        for entry, taken in zip(entries, answers, strict=True):
            if "ErrorCode" not in taken:
                self.emitted(entry)


def delay_of(message: dict[str, Any]) -> timedelta:
    """The delay that a received message carries."""
    attribute = message.get("MessageAttributes", {}).get(VISIBLE_AFTER)
    return timedelta(seconds=int(attribute["StringValue"])) if attribute else timedelta(0)
