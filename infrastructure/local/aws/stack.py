"""The stack on one machine: the resources of the templates, and AWS's part played in virtual time.

It fires schedules, polls queues with the settings of the event source mappings, calls functions again that asked for
it, routes HTTP, runs one-off schedules and publishes the carriers' events. The handlers are the deployed ones,
imported from functions/, each called with the environment that its template gives it. Time is the clock's: it moves
only from one happening to the next.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import BotoCoreError

from infrastructure.cost.meter import Meter, Stored
from infrastructure.local.aws import dead_letters, http_api
from infrastructure.local.aws.http_api import Route
from infrastructure.local.aws.lambdas import Function, call, environment
from infrastructure.local.aws.notices import Notice, notice_of
from infrastructure.local.aws.played_bus import PlayedBus
from infrastructure.local.aws.streams import Stream
from infrastructure.local.aws.wire import Wire
from infrastructure.local.aws.wire_answers import answer, json_body
from infrastructure.local.chaos.faults import Chaos, RunningFunction
from infrastructure.local.sam.deployment import deployed
from infrastructure.local.sam.resources import Resources
from infrastructure.local.sam.template import ACCOUNT, REGION, TemplateFile
from infrastructure.local.virtual.agenda import EVENT
from infrastructure.local.virtual.meanwhile import concerned
from infrastructure.local.virtual.platform import Platform
from infrastructure.local.virtual.pollers import QueueMessage
from infrastructure.local.virtual.provider_events import ProviderEvents
from infrastructure.local.virtual.provider_wire import ProviderWire
from infrastructure.local.virtual.schedule import fires
from infrastructure.local.virtual.sqs import SqsPoller, sqs_record
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws import clients
from predue.domain import instant
from predue.events.event_services import EventServices

ROOT = Path(__file__).parents[3]
PARAMETERS = {
    "Environment": "production",
    "EmailFrom": "reminders@lender.example",
    "EmailIdentity": "lender.example",
    "SmsOriginationIdentity": f"arn:aws:sms-voice:{REGION}:{ACCOUNT}:pool/pool-lender",
    "Shards": 1,
    "Workers": 1,
    "LogLevel": "INFO",
    "Publish": "no",
}


class Stack(Platform):
    """See the module. Use as a context; `run_until` moves time."""

    def __init__(
        self,
        start: datetime,
        *,
        log: TextIO,
        wire: TextIO,
        seed: int = 1,
        parameters: Mapping[str, Any] | None = None,
        chaos: Chaos | None = None,
        endpoint: str = "",
        application: str = "predue",
        make_clock: Callable[[datetime], VirtualClock] = VirtualClock,
        public_url: str = "",
    ) -> None:
        super().__init__(make_clock(start), log, chaos)
        stored = Stored()
        self.meter = Meter(stored)
        self.events_meter = Meter(stored)
        self.bus = PlayedBus(self.clock, self._at_events_turn, self._send_freely)
        clients.forget()
        wiring.forget()
        self._wire = Wire(clients.session(), self.meter, chaos, endpoint)
        self.carrier = ProviderWire(seed, self.clock, wire, self._publish_later)
        self._listen()
        self._resources = Resources(clients.client)
        given = PARAMETERS | dict(parameters or {})
        self.root = TemplateFile(ROOT / "template.yaml", given, self._resources.physical, application=application)
        self._streams: list[Stream] = []
        self.routes: list[Route] = []
        self.queue_arns: dict[str, str] = {}
        self._notices: list[Notice] = []
        try:
            self._deploy(public_url)
        except BaseException:
            self.remove()
            raise

    def _listen(self) -> None:
        """Play what no server plays, and hear of what the others take."""
        self._wire.play("pinpoint-sms-voice-v2", "SendTextMessage", self.carrier.send_text_message)
        self._wire.play("sesv2", "SendEmail", self.carrier.send_email)
        self._wire.play("lambda", "Invoke", self._invoke_later)
        self._wire.play("sqs", "ChangeMessageVisibility", self._defer)
        self._wire.emitted = self.bus.take
        self._wire.written = self._note_written
        self._wire.sent = self._note_sent
        self._wire.scheduled = self._note_schedule
        self._wire.stored = self._note_stored

    # Deploying

    def remove(self) -> None:
        """Take away what was made, for a server that lives on; its calls are nobody's, so nothing counts them."""
        clients.forget()
        # Where the server is gone there is nothing to tell it, and the run has said so.
        with suppress(BotoCoreError):
            if left := self._resources.remove():
                print(f"Left behind, since the server would not delete them: {', '.join(left)}", file=sys.stderr)

    def _deploy(self, public_url: str) -> None:
        """Make what the templates describe, and begin to play it."""
        addresses = {http_api.address_of(self.physical("Api")): public_url} if public_url else {}
        made = deployed(self.root, self._resources, addresses)
        self.functions.update(made.functions)
        self.routes += made.routes
        self.queue_arns.update(made.queue_urls)
        self._notices += made.notices
        self._provider_events = ProviderEvents(made.resources, self.meter.published)
        for rule in made.rules:
            self.bus.add(rule)
        for expression, function in made.schedules:
            self.every(fires(expression, self.clock()), function)
        for url, source in made.sources.items():
            calling = self.at_queues_turn, self.deliver, self.log_failure
            self.pollers[url] = SqsPoller(url, source, self.clock, *calling, self.chaos)
        streaming = self.at_queues_turn, self.invoke, self.log_failure
        self._streams += [Stream(one, self.clock, *streaming, self._put, self._free) for one in made.streams]

    def physical(self, name: str) -> str:
        """What `Ref` gives for the resource of a logical id, in whichever file it stands."""
        return str(next(self._resources.physical(one, "") for one in self.root.resources() if one.name == name))

    def functions_environment(self) -> dict[str, str]:
        """The variables of all functions together, for what feeds the stack from outside of them."""
        return {name: value for function in self.functions.values() for name, value in function.environment.items()}

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """See Platform; its calls are counted apart."""
        before, self._wire.meter = self._wire.meter, self.events_meter
        try:
            with self.playing(), environment(self.functions_environment()):
                yield
        finally:
            self._wire.meter = before

    def event_services(self) -> EventServices:
        """See Platform."""
        return wiring.event_services()

    # Functions

    def give_way(self, turn: Callable[[], None]) -> None:
        """Ahead of each call of AWS by a function, let somebody else have a turn, as on AWS all run side by side."""
        self._wire.between = lambda: turn() if self.meter.at_work else None

    def invoke(self, function: Function, event: Any) -> Any:
        """Call a handler as Lambda would: its own environment, JSON in and out, standard output to the log."""
        self.meter.invoked(function.name)
        with self.playing(), self._under_chaos(function, event):
            before, self.meter.at_work = self.meter.at_work, function.name
            try:
                return call(function, event, self.log, self.clock)
            finally:
                self.meter.at_work = before

    def deliver(self, function: Function, messages: Sequence[QueueMessage]) -> set[str]:
        """Call a handler as an event source mapping would; gives the ids of the messages that it could not take."""
        url = next((url for url, one in self.pollers.items() if one.source.function is function), "")
        event = {"Records": [sqs_record(url, message) for message in messages]}
        result = self.invoke(function, event) or {}
        return {failure["itemIdentifier"] for failure in result.get("batchItemFailures", ())}

    def _under_chaos(self, function: Function, event: Any) -> AbstractContextManager[None]:
        if self.chaos is None or self.meanwhile is None:
            return nullcontext()
        bodies = [record["body"] for record in event.get("Records", ()) if "body" in record]
        self.meanwhile.note(function, bodies)
        deadline = self.clock() + timedelta(seconds=function.timeout)
        return self.chaos.around(RunningFunction(deadline, about=concerned(bodies)))

    def _invoke_later(self, request: AWSPreparedRequest) -> AWSResponse:
        """Play Lambda's asynchronous invocation."""
        name = request.url.split("/functions/")[1].split("/")[0]
        self.invoke_later(self.functions[name], json_body(request))
        return answer(request, 202, {})

    def bury(self, function: Function, event: Any) -> None:
        """See Platform."""
        if function.dead_letters_arn:
            self._put(function.dead_letters_arn, json.dumps(event))

    def request(self, method: str, path: str, **more: Any) -> Any:
        """What a function answers to one request, `more` being fields of HttpRequest; raises what it raises."""
        request = http_api.HttpRequest(method, path, **more)
        found = http_api.route_of(self.routes, request)
        if found is None:
            return http_api.NO_ROUTE
        route, values = found
        return self.invoke(route.function, http_api.event_of(route, request, values, self.clock()))

    # Queues

    def _note_sent(self, url: str) -> None:
        if url in self.pollers:
            self.pollers[url].note_sent()

    def _at_events_turn(self, moment: datetime, happening: Callable[[], None]) -> None:
        self.at(moment, EVENT, happening)

    def dead_letters(self) -> dict[str, int]:
        """How many messages each dead-letter queue holds, by queue name; empty ones are left out."""
        return dead_letters.counted(self.queue_arns.values())

    def _defer(self, request: AWSPreparedRequest) -> AWSResponse:
        """Keep a message hidden for as long as its function asks, in virtual time."""
        asked = json_body(request)
        wait = timedelta(seconds=asked["VisibilityTimeout"])
        self.pollers[asked["QueueUrl"]].defer(asked["ReceiptHandle"], wait)
        return answer(request, 200, {})

    # The bus and the stream

    @property
    def handed_over(self) -> list[dict[str, Any]]:
        """What was handed over to collections, as often as the bus took it."""
        return self.bus.handed_over()

    def _note_written(self) -> None:
        for stream in self._streams:
            stream.note_written()

    # Schedules, events, carriers

    def _note_schedule(self, schedule: dict[str, Any]) -> None:
        """Play a one-off schedule: at its instant the input goes to the target queue, and the schedule goes away."""
        moment = datetime.fromisoformat(schedule["ScheduleExpression"].removeprefix("at(").removesuffix(")") + "+00:00")
        self.once(
            moment,
            lambda: self._put(schedule["Target"]["Arn"], schedule["Target"]["Input"]),
            lambda: clients.client("scheduler").delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"]),
        )

    def _note_stored(self, bucket: str, key: str, operation: str) -> None:
        """Play what a bucket tells of an object that was put."""
        for notice in self._notices:
            if notice.bucket == bucket and key.startswith(notice.prefix):
                with self._free():
                    about = clients.client("s3").head_object(Bucket=bucket, Key=key)
                body = notice_of(bucket, key, operation, self.clock(), about)
                self.at(self.clock(), EVENT, partial(self._send_freely, notice.queue_arn, body))

    def _send_freely(self, queue_arn: str, body: str) -> None:
        with self._free():
            self._put(queue_arn, body)

    def _put(self, queue_arn: str, body: str) -> None:
        clients.client("sqs").send_message(QueueUrl=self.queue_arns[queue_arn], MessageBody=body)

    def _publish_later(self, wait: timedelta, channel: str, event: dict[str, Any]) -> None:
        """Publish a provider's event, if it is asked for; it goes into the queues that listen."""
        if not self._provider_events.wanted(channel, event):
            return

        def publish() -> None:
            stated = self._provider_events.publish(channel, event, instant.to_text(self.clock()))
            with self._free():
                for queue_arn, body in stated:
                    self._put(queue_arn, body)

        self.at(self.clock() + wait, EVENT, publish)

    @contextmanager
    def _free(self) -> Iterator[None]:
        """Within this, calls are a part of AWS that nobody pays for."""
        before, self._wire.meter = self._wire.meter, Meter()
        try:
            yield
        finally:
            self._wire.meter = before

    def redrive(self) -> int:
        """See Platform."""
        return dead_letters.redriven(self.pollers.values())

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Under chaos, each claim and the instant of its write, as the table saw it."""
        return self._wire.claims
