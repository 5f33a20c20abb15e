"""The very rules over ports in memory, in the virtual time of a stack: the same schedules, queues, receipts and events,
so that outcomes are the same, line for line, in a fiftieth of the time.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TextIO

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.chaos.port_faults import PortChaos
from infrastructure.local.memory.memory_ports import (
    EmailProvider,
    Jobs,
    MemoryBus,
    MemoryLater,
    MemoryQueues,
    TextProvider,
)
from infrastructure.local.memory.store import MemoryStore
from infrastructure.local.runs.outputs import job_line
from infrastructure.local.simulate.described import described
from infrastructure.local.virtual.agenda import EVENT
from infrastructure.local.virtual.carrier import Carrier
from infrastructure.local.virtual.chances import RunningFunction
from infrastructure.local.virtual.meanwhile import concerned
from infrastructure.local.virtual.platform import Platform
from infrastructure.local.virtual.pollers import Poller, QueueMessage, Received
from infrastructure.local.virtual.schedule import fires
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.domain import instant
from predue.domain.channel import Switches
from predue.domain.job import Job
from predue.domain.policy import Policy, Rulebook
from predue.errors import LeftOut, OutOfTime, PredueError
from predue.events.event_services import EventServices
from predue.reminders.closing import ClosingServices, close
from predue.reminders.deliver import DeliveryServices, deliver
from predue.reminders.planner import PlannerServices, plan
from predue.reminders.receipts import note, read_receipt

_AGAIN = timedelta(seconds=60)
"""After so long a job whose pack was done without it comes back by itself, as in predue.reminders.delivery_batch."""
_ENOUGH = 14.0
"""Seconds without which no message is begun, as in predue.runtime.batches."""
_SECOND = timedelta(seconds=1)
TimeLeft = Callable[[], float]


@dataclass
class MemoryPoller(Poller[Function]):
    """Polls a queue in memory; `dead` are its dead letters."""

    dead: list[Any] = field(default_factory=list)
    _come: list[Received] = field(default_factory=list)
    _count: int = 0

    def put(self, body: Any, delay: timedelta = timedelta(0)) -> None:
        """Queue a message."""
        self._count += 1
        self._come.append((body, delay, f"m-{self._count}", ""))
        self.note_sent()

    def receive(self) -> Iterable[Received]:
        """See Poller."""
        come, self._come = self._come, []
        return come

    def delete(self, messages: Sequence[QueueMessage]) -> None:
        """See Poller; a message that is received is nowhere else."""

    def bury(self, message: QueueMessage) -> None:
        """See Poller."""
        self.dead.append(message.body)


class Simulation(Platform):
    """See the module."""

    def __init__(
        self,
        start: datetime,
        *,
        policy: Policy,
        log: TextIO,
        wire: TextIO,
        seed: int = 1,
        chaos: PortChaos | None = None,
    ) -> None:
        super().__init__(VirtualClock(start), log, chaos)
        self._described = described()
        self.store = MemoryStore()
        self.bus = MemoryBus()
        self.carrier = Carrier(seed, self.clock, wire, self._publish_later)
        self.port_chaos = chaos
        self._rulebook = Rulebook(policy)
        self._used: set[tuple[str, str, int]] = set()
        self._buried: list[tuple[str, Any]] = []
        self._stated: dict[tuple[str, str], int] = {}
        self._begin()

    def _begin(self) -> None:
        """Build the services, and play the schedules and queues of the functions that there are rules for."""
        store = self._over(self.store, "dynamodb")
        self._receipts_store = store
        queues = self._over(MemoryQueues(self._put), "sqs")
        later = self._over(MemoryLater(self.once, self._put), "scheduler")
        self._happenings = EventServices(store, store, store, self._rulebook, lambda: self._described.keys, self._used)
        self._closing = ClosingServices(store, self._happenings, self._over(self.bus, "events"), _never, self._left_out)
        self._planning = PlannerServices(store, store, queues, self._rulebook, Switches(), _never)
        works: dict[str, Callable[[Any, TimeLeft], Any]] = {
            "plan-reminders": self._plan,
            "close-day": self._close,
            "record-receipts": self._record_receipts,
        }
        for channel, provider in self._providers().items():
            services = DeliveryServices(
                channel=channel,
                borrowers=store,
                addresses=store,
                queues=queues,
                later=later,
                provider=self._over(provider, channel),
                rulebook=self._rulebook,
                switches=Switches(),
                clock=self.clock,
                unsubscribe_url=self._unsubscribe_url if channel == "email" else lambda _ref: "",
                lease=self._described.lease,
            )
            works[f"deliver-{channel}"] = partial(self._deliver_jobs, services)
        made = self._described.made
        for name, function in made.functions.items():
            if (work := works.get(name.removeprefix("predue-"))) is not None:
                self.functions[name] = replace(function, handler=work)
        for expression, function in made.schedules:
            if function.name in self.functions:
                self.every(fires(expression, self.clock()), self.functions[function.name])
        for url, source in made.sources.items():
            if own := self.functions.get(source.function.name):
                playing = self.clock, self.at_queues_turn, self.deliver, self.log_failure, self.chaos
                self.pollers[own.name.removeprefix("predue-")] = MemoryPoller(
                    url, replace(source, function=own), *playing
                )

    def _over(self, port: Any, service: str) -> Any:
        """A port as functions see it: under chaos its calls may go wrong."""
        return self.port_chaos.over(port, service) if self.port_chaos else port

    def _providers(self) -> dict[str, Any]:
        variables = self._described.variables
        sender = variables["SMS_ORIGINATION_IDENTITY"].rpartition("/")[2]
        return {
            "sms": TextProvider(self.carrier, sender),
            "email": EmailProvider(self.carrier, variables["EMAIL_FROM"], variables["EMAIL_CONFIGURATION_SET"]),
        }

    def _unsubscribe_url(self, ref: str) -> str:
        token = self._described.keys.stop_token(ref, "email")
        return f"{self._described.variables['PUBLIC_URL']}/unsubscribe/{token}"

    # Calling functions

    def invoke(self, function: Function, event: Any) -> Any:
        """See Platform."""
        return self._called(function, event, ())

    def deliver(self, function: Function, messages: Sequence[QueueMessage]) -> set[str]:
        """See Platform."""
        failed: set[str] = self._called(function, messages, [message.body for message in messages])
        return failed

    def _called(self, function: Function, event: Any, bodies: Sequence[Any]) -> Any:
        deadline = self.clock() + timedelta(seconds=function.timeout)
        with self._under_chaos(function, bodies, deadline):
            return function.handler(event, lambda: (deadline - self.clock()) / _SECOND)

    def _under_chaos(
        self, function: Function, bodies: Sequence[Any], deadline: datetime
    ) -> AbstractContextManager[None]:
        if self.chaos is None or self.meanwhile is None:
            return nullcontext()
        self.meanwhile.note(function, bodies)
        return self.chaos.around(RunningFunction(deadline, about=concerned(bodies)))

    def bury(self, function: Function, event: Any) -> None:
        """See Platform."""
        if function.dead_letters_arn:
            self._buried.append((self._described.made.queue_urls[function.dead_letters_arn], event))

    def redrive(self) -> int:
        """See Platform."""
        moved = 0
        for poller in self._queues():
            dead, poller.dead = poller.dead, []
            for body in dead:
                poller.put(body)
            moved += len(dead)
        return moved

    def dead_letters(self) -> list[dict[str, Any]]:
        """Each dead letter as a line of dead_letters.jsonl, by queue; see infrastructure.local.aws.dead_letters."""
        dead = [(poller.source.dead_letters_url, body) for poller in self._queues() for body in poller.dead]
        dead += [(name, ()) for name, _ in self._buried]
        return [
            {"queue": name, "jobs": [job_line(job) for job in body if isinstance(job, Job)]}
            for name, body in sorted(dead, key=lambda one: one[0])
        ]

    def _queues(self) -> Iterator[MemoryPoller]:
        for poller in self.pollers.values():
            assert isinstance(poller, MemoryPoller), "every queue of a simulation is in memory"
            yield poller

    def _queue(self, function: str) -> MemoryPoller:
        poller = self.pollers[function]
        assert isinstance(poller, MemoryPoller), "every queue of a simulation is in memory"
        return poller

    def _put(self, channel: str, jobs: Jobs, delay_seconds: int = 0) -> None:
        self._queue(f"deliver-{channel}").put(jobs, timedelta(seconds=delay_seconds))

    # Events

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """See Platform."""
        with self.playing():
            yield

    def event_services(self) -> EventServices:
        """See Platform."""
        return self._happenings

    def loading_services(self) -> EventServices:
        """What is needed for events before anything can go wrong."""
        return replace(self._happenings, dues=self.store, borrowers=self.store, addresses=self.store)

    # The functions

    def _plan(self, event: Any, time_left: TimeLeft) -> None:
        target = _target(event, self.clock())
        _, finished = plan(0, target, replace(self._planning, time_left=time_left))
        if not finished:
            self._go_on("predue-plan-reminders", target)

    def _close(self, event: Any, time_left: TimeLeft) -> None:
        target = _target(event, self.clock())
        tally, finished = close(0, target, replace(self._closing, time_left=time_left))
        if finished and tally.failed:
            raise LeftOut(f"{tally.failed} borrowers are left to the next closing run")
        if not finished:
            self._go_on("predue-close-day", target)

    def _go_on(self, name: str, target: datetime) -> None:
        self.invoke_later(self.functions[name], {"shard": 0, "target": instant.to_text(target)})

    def _left_out(self, error: Exception) -> None:
        self._note_failure("close_day", error)

    def _note_failure(self, about: str, error: Exception) -> None:
        """As predue.runtime.telemetry.failures: what we know how to raise is a warning, all else an error."""
        level = "WARNING" if isinstance(error, PredueError) else "ERROR"
        line = {"level": level, "message": "failed", "about": about, "error": type(error).__name__}
        self.log.write(json.dumps(line) + "\n")

    def _deliver_jobs(
        self, services: DeliveryServices, messages: Sequence[QueueMessage], time_left: TimeLeft
    ) -> set[str]:
        """As predue.reminders.delivery_batch: a job alone fails its message, one of several goes on alone."""
        failed = set()
        for message in messages:
            jobs: Jobs = message.body
            done = [self._tried(partial(deliver, job, services), time_left, services.channel) for job in jobs]
            if len(jobs) == 1 and not done[0]:
                failed.add(message.message_id)
            elif len(jobs) > 1:
                for job, well in zip(jobs, done, strict=True):
                    if not well:
                        services.queues.send(services.channel, [job], int(_AGAIN.total_seconds()))
        return failed

    def _record_receipts(self, messages: Sequence[QueueMessage], time_left: TimeLeft) -> set[str]:
        return {
            message.message_id
            for message in messages
            if not self._tried(partial(self._receipt, message.body), time_left, "receipts")
        }

    def _receipt(self, event: dict[str, Any]) -> None:
        receipt = read_receipt(event)
        if receipt is not None:
            store = self._receipts_store
            note(receipt, self.clock(), store, store, store)

    def _tried(self, work: Callable[[], Any], time_left: TimeLeft, about: str) -> bool:
        """Whether a piece of work went well; what it raised is logged."""
        try:
            if time_left() < _ENOUGH:
                raise OutOfTime("too little time is left to begin another message")  # noqa: TRY301 - all failures meet here
            work()
        except Exception as error:  # noqa: BLE001 - whatever it was, it concerns this piece alone
            self._note_failure(about, error)
            return False
        return True

    # Providers' events

    def _publish_later(self, wait: timedelta, channel: str, event: dict[str, Any]) -> None:
        """Bring a provider's event to the queue of receipts, as often as the templates ask for it."""
        kind = channel, str(event["eventType"])
        if kind not in self._stated:
            stated = self._described.events.publish(channel, event, instant.to_text(self.clock()))
            self._stated[kind] = len(stated)
        for _ in range(self._stated[kind]):
            self.at(self.clock() + wait, EVENT, lambda: self._queue("record-receipts").put(event))


def _target(event: Any, now: datetime) -> datetime:
    """The instant up to which a scheduled function works."""
    return instant.from_text(event["target"]) if "target" in event else now


def _never() -> float:
    """Replaced by the time that a call has."""
    return 0.0
