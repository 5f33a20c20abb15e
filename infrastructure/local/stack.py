"""The stack on one machine: the resources of the templates, and AWS's part played in virtual time.

It fires schedules, polls queues with the settings of the event source mappings, calls functions again that asked for
it, routes HTTP, runs one-off schedules and publishes the carriers' events. The handlers are the deployed ones,
imported from functions/, each called with the environment that its template gives it. Time is the clock's: it moves
only from one happening to the next.
"""

import heapq
import importlib
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from infrastructure.cost.meter import Meter
from infrastructure.local.carrier import Carrier
from infrastructure.local.clock import VirtualClock
from infrastructure.local.resources import Resources
from infrastructure.local.schedule import fires
from infrastructure.local.template import ACCOUNT, REGION, Resource, TemplateError, TemplateFile
from infrastructure.local.wire import Wire, answer, delay_of, json_body
from predue.aws import clients, desks
from predue.aws import clock as predue_clock
from predue.aws.telemetry import logger

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    "Environment": "production",
    "EmailFrom": "reminders@lender.example",
    "EmailIdentity": "lender.example",
    "SmsOriginationIdentity": f"arn:aws:sms-voice:{REGION}:{ACCOUNT}:pool/pool-lender",
    "Shards": 1,
    "LogLevel": "INFO",
}
# Happenings of one instant in their order: news before the slot, receipts and schedules before the jobs they may
# concern.
NEWS, EVENT, SCHEDULE, QUEUE = range(4)


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
        self._timeout = timeout

    def get_remaining_time_in_millis(self) -> int:
        """The whole timeout: virtual time stands still while a handler runs."""
        return self._timeout * 1000


@dataclass(frozen=True)
class Function:
    """One function of the template; the handler is the deployed one."""

    name: str
    handler: Callable[[Any, Any], Any]
    environment: Mapping[str, str]
    timeout: int


@dataclass(frozen=True)
class Source:
    """One event source mapping: a queue, and the function that it feeds."""

    function: Function
    batch_size: int
    visibility: timedelta
    max_receives: int
    dead_letters_url: str


class Route(NamedTuple):
    """One route of the HTTP API."""

    method: str
    path: str
    function: Function


@dataclass(order=True)
class Message:
    """A message in flight: received once from the queue, and kept by the stack until a handler is done with it."""

    visible_at: datetime
    order: int
    body: str = field(compare=False)
    message_id: str = field(compare=False)
    receipt_handle: str = field(compare=False)
    receives: int = field(compare=False, default=0)


class Stack:
    """See the module. Use as a context; `run_until` moves time."""

    def __init__(
        self, start: datetime, *, log: TextIO, wire: TextIO, seed: int = 1, parameters: Mapping[str, Any] | None = None
    ) -> None:
        self.clock = VirtualClock(start)
        self.meter = Meter()
        self.news_meter = Meter()
        self.log = log
        self._agenda: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._inbox: dict[str, list[Message]] = {}
        self._arrived: dict[str, int] = {}
        self.handed_over: list[dict[str, Any]] = []
        clients.forget()
        desks.forget()
        self._wire = Wire(clients.session(), self.meter)
        self.carrier = Carrier(seed, self.clock, wire, self._publish_later)
        self._wire.play("pinpoint-sms-voice-v2", "SendTextMessage", self.carrier.send_text_message)
        self._wire.play("sesv2", "SendEmail", self.carrier.send_email)
        self._wire.play("lambda", "Invoke", self._invoke_later)
        self._wire.play("events", "PutEvents", self._heard)
        self._wire.sent = self._note_sent
        self._wire.scheduled = self._note_schedule
        self._resources = Resources(clients.client)
        self.root = TemplateFile(ROOT / "template.yaml", PARAMETERS | dict(parameters or {}), self._resources.physical)
        self.functions: dict[str, Function] = {}
        self.sources: dict[str, Source] = {}
        self.routes: list[Route] = []
        self.queue_arns: dict[str, str] = {}
        self.topics: dict[str, list[str]] = {}
        self._deploy()

    # Deploying

    def _deploy(self) -> None:
        """Make what the templates describe; raises TemplateError for anything that is not known here."""
        everything = list(self.root.resources())
        for resource in everything:
            self._resources.physical(resource, "")
        for resource in everything:
            if resource.type == "AWS::SQS::Queue":
                self.queue_arns[self._resources.physical(resource, "Arn")] = self._resources.physical(resource, "")
            elif resource.type == "AWS::SNS::Subscription":
                self.topics.setdefault(resource.get("TopicArn"), []).append(resource.get("Endpoint"))
        queues = {self._resources.physical(one, "Arn"): one for one in everything if one.type == "AWS::SQS::Queue"}
        self._destinations = {channel: self._destination(everything, channel) for channel in ("sms", "email")}
        for resource in everything:
            if resource.type == "AWS::Serverless::Function":
                self._deploy_function(resource, queues)

    @staticmethod
    def _destination(everything: list[Resource], channel: str) -> tuple[str, set[str]]:
        """The topic to which a channel's provider publishes, and the types of events that it asks for, in lower
        case.
        """
        for resource in everything:
            if channel == "sms" and resource.type == "AWS::SMSVOICE::ConfigurationSet":
                wanted = resource.get("EventDestinations")[0]
                return wanted["SnsDestination"]["TopicArn"], {kind.lower() for kind in wanted["MatchingEventTypes"]}
            if channel == "email" and resource.type == "AWS::SES::ConfigurationSetEventDestination":
                wanted = resource.get("EventDestination")
                return wanted["SnsDestination"]["TopicARN"], {kind.lower() for kind in wanted["MatchingEventTypes"]}
        raise TemplateError(f"no configuration set says where the events of {channel} go")

    def _deploy_function(self, resource: Resource, queues: Mapping[str, Resource]) -> None:
        shared = self.root.resolve(self.root.raw["Globals"]["Function"], deep=True)
        module, _, attribute = resource.get("Handler").partition(".")
        own = resource.get("Environment", "Variables", default={})
        name = resource.get("FunctionName")
        environment = {key: str(value) for key, value in (shared["Environment"]["Variables"] | own).items()}
        environment |= {"AWS_LAMBDA_FUNCTION_NAME": name, "POWERTOOLS_TRACE_DISABLED": "true"}
        with _environment(environment):
            handler = getattr(importlib.import_module(module), attribute)
        function = Function(name, handler, environment, resource.get("Timeout"))
        self.functions[name] = function
        for event in resource.get("Events", default={}).values():
            self._subscribe(function, event["Type"], event["Properties"], queues)

    def _subscribe(
        self, function: Function, kind: str, properties: dict[str, Any], queues: Mapping[str, Resource]
    ) -> None:
        match kind:
            case "ScheduleV2":
                self._every(fires(properties["ScheduleExpression"], self.clock()), function)
            case "SQS":
                queue = queues[properties["Queue"]]
                redrive = queue.get("RedrivePolicy")
                source = Source(
                    function,
                    properties.get("BatchSize", 10),
                    timedelta(seconds=queue.get("VisibilityTimeout", default=30)),
                    redrive["maxReceiveCount"],
                    self.queue_arns[redrive["deadLetterTargetArn"]],
                )
                self.sources[self.queue_arns[properties["Queue"]]] = source
            case "HttpApi":
                self.routes.append(Route(properties["Method"].upper(), properties["Path"], function))
            case _:
                raise TemplateError(f"{function.name}: an event of type {kind} is not played here")

    # Time

    def at(self, moment: datetime, rank: int, happening: Callable[[], None]) -> None:
        """Have something happen at an instant; `rank` orders what happens at the same one."""
        heapq.heappush(self._agenda, (max(moment, self.clock()), rank, next(self._order), happening))

    def _every(self, moments: Iterator[datetime], function: Function) -> None:
        moment = next(moments)

        def fire() -> None:
            event = {
                "source": "aws.scheduler",
                "detail-type": "Scheduled Event",
                "time": self.clock().isoformat(),
                "detail": "{}",
            }
            self.invoke(function, event)
            self._every(moments, function)

        self.at(moment, SCHEDULE, fire)

    def run_until(self, end: datetime, progress: Callable[[datetime], None] = lambda _now: None) -> None:
        """Let everything happen up to, and not at, an instant; then stand there."""
        with self._playing():
            while self._agenda and self._agenda[0][0] < end:
                moment, _, _, happening = heapq.heappop(self._agenda)
                self.clock.move_to(moment)
                happening()
                progress(moment)
        self.clock.move_to(end)

    @contextmanager
    def _playing(self) -> Iterator[None]:
        """Handlers take the time from this stack, and what they print goes to its log."""
        token = predue_clock.source.set(self.clock)
        try:
            yield
        finally:
            predue_clock.source.reset(token)

    def functions_environment(self) -> dict[str, str]:
        """The variables of all functions together, for what feeds the stack from outside of them."""
        return {name: value for function in self.functions.values() for name, value in function.environment.items()}

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Within this, news may be applied as a function of the stack would; its calls are counted apart."""
        self._wire.meter = self.news_meter
        try:
            with self._playing(), _environment(self.functions_environment()):
                yield
        finally:
            self._wire.meter = self.meter

    # Functions

    def invoke(self, function: Function, event: Any) -> Any:
        """Call a handler as Lambda would: its own environment, JSON in and out, standard output to the log."""
        payload = json.loads(json.dumps(event))
        self.meter.invocations[function.name] += 1
        with self._playing(), _environment(function.environment), _logging_to(self.log):
            result = function.handler(payload, Context(function.name, function.timeout))
        return None if result is None else json.loads(json.dumps(result))

    def _invoke_later(self, request: AWSPreparedRequest) -> AWSResponse:
        """Play Lambda's asynchronous invocation."""
        name = request.url.split("/functions/")[1].split("/")[0]
        event = json_body(request)
        self.at(self.clock(), SCHEDULE, lambda: self.invoke(self.functions[name], event))
        return answer(request, 202, {})

    def request(self, method: str, path: str) -> dict[str, Any]:
        """Route one HTTP request as API Gateway does (payload format 2.0)."""
        for route in self.routes:
            names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
            fixed = route.path.split("/")
            parts = path.split("/")
            fits = len(parts) == len(fixed) and all(
                want.startswith("{") or want == part for want, part in zip(fixed, parts, strict=True)
            )
            if route.method == method and fits:
                values = dict(
                    zip(
                        names,
                        [part for want, part in zip(fixed, parts, strict=True) if want.startswith("{")],
                        strict=True,
                    )
                )
                return dict(self.invoke(route.function, _http_event(route, path, values)))
        return {"statusCode": 404, "body": '{"message":"Not Found"}', "headers": {}}

    # Queues

    def _note_sent(self, url: str) -> None:
        """Messages wait in the queue until the queue's turn at this instant."""
        if self._arrived.get(url, 0) == 0:
            self.at(self.clock(), QUEUE, lambda: self._poll(url))
        self._arrived[url] = self._arrived.get(url, 0) + 1

    def _poll(self, url: str) -> None:
        """Receive what has come, then let the function have what is visible."""
        self._arrived[url] = 0
        if url not in self.sources:
            return
        inbox = self._inbox.setdefault(url, [])
        while messages := self._receive(url):
            for message in messages:
                visible = self.clock() + delay_of(message)
                kept = Message(
                    visible, next(self._order), message["Body"], message["MessageId"], message["ReceiptHandle"]
                )
                heapq.heappush(inbox, kept)
                if visible > self.clock():
                    self.at(visible, QUEUE, lambda: self._feed(url))
            if len(messages) < _MOST_RECEIVED:
                break
        self._feed(url)

    def _receive(self, url: str) -> list[dict[str, Any]]:
        got = clients.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=_MOST_RECEIVED, MessageAttributeNames=["All"]
        )
        return list(got.get("Messages", []))

    def _feed(self, url: str) -> None:
        """Call the function with batches of visible messages until none is left."""
        source, inbox = self.sources[url], self._inbox[url]
        while inbox and inbox[0].visible_at <= self.clock():
            batch: list[Message] = []
            while inbox and inbox[0].visible_at <= self.clock() and len(batch) < source.batch_size:
                batch.append(heapq.heappop(inbox))
            self._deliver(url, source, batch)

    def _deliver(self, url: str, source: Source, batch: list[Message]) -> None:
        """One call of the function; what failed becomes visible again later, or goes to the dead letters."""
        for message in batch:
            message.receives += 1
        try:
            result = self.invoke(source.function, {"Records": [_sqs_record(url, message) for message in batch]}) or {}
            failed = {failure["itemIdentifier"] for failure in result.get("batchItemFailures", ())}
        except Exception as error:  # noqa: BLE001 - a handler that fails fails its batch, as in Lambda
            self.log.write(
                json.dumps(
                    {"message": "a function failed", "function": source.function.name, "error": type(error).__name__}
                )
                + "\n"
            )
            failed = {message.message_id for message in batch}
        done = [message for message in batch if message.message_id not in failed]
        self._delete(url, done)
        for message in batch:
            if message.message_id in failed:
                self._again(url, source, message)

    def _delete(self, url: str, messages: list[Message]) -> None:
        if messages:
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt_handle} for number, message in enumerate(messages)
            ]
            clients.client("sqs").delete_message_batch(QueueUrl=url, Entries=entries)

    def _again(self, url: str, source: Source, message: Message) -> None:
        if message.receives >= source.max_receives:
            clients.client("sqs").send_message(QueueUrl=source.dead_letters_url, MessageBody=message.body)
            self._delete(url, [message])
            return
        message.visible_at = self.clock() + source.visibility
        heapq.heappush(self._inbox[url], message)
        self.at(message.visible_at, QUEUE, lambda: self._feed(url))

    def dead_letters(self) -> dict[str, int]:
        """How many messages each dead-letter queue holds, by queue name; empty ones are left out."""
        found = {}
        for url in self.queue_arns.values():
            if "dead-letters" in url:
                attributes = clients.client("sqs").get_queue_attributes(
                    QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
                )
                if count := int(attributes["Attributes"]["ApproximateNumberOfMessages"]):
                    found[url.rpartition("/")[2]] = count
        return found

    # Schedules, events, carriers

    def _note_schedule(self, schedule: dict[str, Any]) -> None:
        """Play a one-off schedule: at its instant the input goes to the target queue, and the schedule goes away."""
        moment = datetime.fromisoformat(schedule["ScheduleExpression"].removeprefix("at(").removesuffix(")") + "+00:00")

        def fire() -> None:
            clients.client("scheduler").delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
            self._put(schedule["Target"]["Arn"], schedule["Target"]["Input"])

        self.at(moment, SCHEDULE, fire)

    def _put(self, queue_arn: str, body: str) -> None:
        clients.client("sqs").send_message(QueueUrl=self.queue_arns[queue_arn], MessageBody=body)

    def _publish_later(self, wait: timedelta, channel: str, event: dict[str, Any]) -> None:
        """Publish a provider's event on its topic, which puts it into the queues subscribed to it, if its type is asked
        for.
        """
        topic, types = self._destinations[channel]
        if event["eventType"].replace(" ", "").lower() not in types:
            return
        body = json.dumps(event)

        def publish() -> None:
            for queue_arn in self.topics[topic]:
                self._put(queue_arn, body)

        self.at(self.clock() + wait, EVENT, publish)

    def _heard(self, request: AWSPreparedRequest) -> None:
        """Note what goes onto the application's bus, and let it pass."""
        self.handed_over += [json.loads(entry["Detail"]) for entry in json_body(request)["Entries"]]

    def quiet(self) -> bool:
        """Whether nothing is left to happen but the schedules that recur."""
        return all(rank == SCHEDULE for _, rank, _, _ in self._agenda)


_MOST_RECEIVED = 10


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
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
    caught = io.StringIO()
    streams = [handler for handler in logger.handlers if hasattr(handler, "setStream")]
    before = [handler.setStream(caught) for handler in streams]
    try:
        with redirect_stdout(caught):
            yield
    finally:
        for handler, stream in zip(streams, before, strict=True):
            handler.setStream(stream or sys.stdout)
        log.write(caught.getvalue())


def _sqs_record(url: str, message: Message) -> dict[str, Any]:
    name = url.rpartition("/")[2]
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
        "awsRegion": REGION,
    }


def _http_event(route: Route, path: str, values: Mapping[str, str]) -> dict[str, Any]:
    http = {"method": route.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "local"}
    return {
        "version": "2.0",
        "routeKey": f"{route.method} {route.path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "http": http,
            "stage": "$default",
            "requestId": "local",
            "apiId": "local",
            "accountId": ACCOUNT,
        },
        "pathParameters": dict(values),
        "isBase64Encoded": False,
    }
