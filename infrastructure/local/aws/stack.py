"""The stack on one machine: the resources of the templates, and AWS's part played in virtual time.

It fires schedules, polls queues with the settings of the event source mappings, calls functions again that asked for
it, routes HTTP, runs one-off schedules and publishes the carriers' events. The handlers are the deployed ones,
imported from functions/, each called with the environment that its template gives it. Time is the clock's: it moves
only from one happening to the next.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
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
from infrastructure.local.chaos.faults import Chaos, Killed, RunningFunction
from infrastructure.local.chaos.meanwhile import Meanwhile, concerned
from infrastructure.local.sam.deployment import deployed
from infrastructure.local.sam.resources import Resources
from infrastructure.local.sam.template import ACCOUNT, REGION, TemplateFile
from infrastructure.local.virtual.agenda import EVENT, QUEUE, SCHEDULE, Agenda
from infrastructure.local.virtual.carrier import Carrier
from infrastructure.local.virtual.pollers import Poller
from infrastructure.local.virtual.provider_events import ProviderEvents
from infrastructure.local.virtual.schedule import fires
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws import clients
from predue.domain import instant

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


class Stack(Agenda):
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
        super().__init__(make_clock(start))
        stored = Stored()
        self.meter = Meter(stored)
        self.news_meter = Meter(stored)
        self.log = log
        self.bus = PlayedBus(self.clock, self._at_events_turn, self._tell_freely)
        clients.forget()
        wiring.forget()
        self.chaos = chaos
        self._wire = Wire(clients.session(), self.meter, chaos, endpoint)
        self.carrier = Carrier(seed, self.clock, wire, self._publish_later)
        self._listen()
        self._resources = Resources(clients.client)
        given = PARAMETERS | dict(parameters or {})
        self.root = TemplateFile(ROOT / "template.yaml", given, self._resources.physical, application=application)
        self.functions: dict[str, Function] = {}
        if chaos:
            chaos.clock, chaos.pass_time = self.clock, lambda wait: self.run_until(self.clock() + wait)
        self._meanwhile = Meanwhile(chaos, self.functions, self.invoke, self.clock) if chaos else None
        self.pollers: dict[str, Poller] = {}
        self._streams: list[Stream] = []
        self.routes: list[Route] = []
        self.schedules: dict[str, datetime] = {}
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
            self._every(fires(expression, self.clock()), function)
        calling = self._at_queues_turn, self.invoke, self._log_failure
        for url, source in made.sources.items():
            self.pollers[url] = Poller(url, source, self.clock, *calling, self.chaos)
        self._streams += [Stream(one, self.clock, *calling, self._put, self._free) for one in made.streams]

    def physical(self, name: str) -> str:
        """What `Ref` gives for the resource of a logical id, in whichever file it stands."""
        return str(next(self._resources.physical(one, "") for one in self.root.resources() if one.name == name))

    # Schedules

    def _every(self, moments: Iterator[datetime], function: Function) -> None:
        # A machine that slept has missed some: one run covers them all.
        moment = next(one for one in moments if one >= self.clock())
        self.schedules[function.name] = moment

        def fire() -> None:
            event = {
                "source": "aws.scheduler",
                "detail-type": "Scheduled Event",
                "time": self.clock().isoformat(),
                "detail": "{}",
            }
            for _ in range(self._fires()):
                self._invoke_async(function, event)
            self._every(moments, function)

        self.at(moment, SCHEDULE, fire)

    def _fires(self) -> int:
        """How often a schedule fires this time: once, where nothing goes wrong."""
        if self.chaos:
            self.chaos.maybe_away()
        if self.chaos and self.chaos.strikes("schedule_skipped"):
            return 0
        return 2 if self.chaos and self.chaos.strikes("schedule_doubled") else 1

    def functions_environment(self) -> dict[str, str]:
        """The variables of all functions together, for what feeds the stack from outside of them."""
        return {name: value for function in self.functions.values() for name, value in function.environment.items()}

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Within this, events may be applied as a function of the stack would; its calls are counted apart."""
        before, self._wire.meter = self._wire.meter, self.news_meter
        try:
            with self.playing(), environment(self.functions_environment()):
                yield
        finally:
            self._wire.meter = before

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

    def _under_chaos(self, function: Function, event: Any) -> AbstractContextManager[None]:
        if self.chaos is None or self._meanwhile is None:
            return nullcontext()
        bodies = [record["body"] for record in event.get("Records", ()) if "body" in record]
        self._meanwhile.note(function, bodies)
        deadline = self.clock() + timedelta(seconds=function.timeout)
        return self.chaos.around(RunningFunction(deadline, about=concerned(bodies)))

    def _invoke_later(self, request: AWSPreparedRequest) -> AWSResponse:
        """Play Lambda's asynchronous invocation."""
        name = request.url.split("/functions/")[1].split("/")[0]
        event = json_body(request)
        for _ in range(2 if self.chaos and self.chaos.strikes("invoked_twice") else 1):
            self.at(self.clock(), SCHEDULE, lambda: self._invoke_async(self.functions[name], event))
        return answer(request, 202, {})

    def _invoke_async(self, function: Function, event: Any, failures: int = 0) -> None:
        """Call a function that nobody waits for: a failure is tried twice more, then goes to its dead letters."""
        try:
            self.invoke(function, event)
        except (Exception, Killed) as error:  # noqa: BLE001 - whatever a handler raises, Lambda retries
            self._log_failure(function, error)
            if failures < len(_ASYNC_WAITS):
                again = self.clock() + _ASYNC_WAITS[failures]
                self.at(again, SCHEDULE, lambda: self._invoke_async(function, event, failures + 1))
            elif function.dead_letters_arn:
                self._put(function.dead_letters_arn, json.dumps(event))

    def _log_failure(self, function: Function, error: BaseException) -> None:
        line = {"message": "a function failed", "function": function.name, "error": type(error).__name__}
        self.log.write(json.dumps(line) + "\n")

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

    def _at_queues_turn(self, moment: datetime, happening: Callable[[], None]) -> None:
        self.at(moment, QUEUE, happening)

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

        def fire() -> None:
            clients.client("scheduler").delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
            for _ in range(2 if self.chaos and self.chaos.strikes("schedule_doubled") else 1):
                self._put(schedule["Target"]["Arn"], schedule["Target"]["Input"])

        self.at(moment, SCHEDULE, fire)

    def _note_stored(self, bucket: str, key: str, operation: str) -> None:
        """Play what a bucket tells of an object that was put."""
        for notice in self._notices:
            if notice.bucket == bucket and key.startswith(notice.prefix):
                with self._free():
                    about = clients.client("s3").head_object(Bucket=bucket, Key=key)
                body = notice_of(bucket, key, operation, self.clock(), about)
                self.at(self.clock(), EVENT, partial(self._tell_freely, notice.queue_arn, body))

    def _tell_freely(self, queue_arn: str, body: str) -> None:
        with self._free():
            self._put(queue_arn, body)

    def _put(self, queue_arn: str, body: str) -> None:
        clients.client("sqs").send_message(QueueUrl=self.queue_arns[queue_arn], MessageBody=body)

    def _publish_later(self, wait: timedelta, channel: str, event: dict[str, Any]) -> None:
        """Publish a provider's event, if it is asked for; it goes into the queues that listen."""
        if not self._provider_events.wanted(channel, event):
            return

        def publish() -> None:
            told = self._provider_events.publish(channel, event, instant.to_text(self.clock()))
            with self._free():
                for queue_arn, body in told:
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
        """Move every dead letter of a fed queue back to it, as an operator would; returns how many."""
        return dead_letters.redriven(self.pollers.values())

    @property
    def claims(self) -> list[dict[str, Any]]:
        """Under chaos, each claim and the instant of its write, as the table saw it."""
        return self._wire.claims


# Lambda retries an asynchronous call after one minute and after two more (developer guide, "Asynchronous invocation").
_ASYNC_WAITS = (timedelta(minutes=1), timedelta(minutes=2))
