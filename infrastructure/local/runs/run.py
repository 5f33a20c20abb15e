"""A run: a portfolio through the deployed handlers over the stack on one machine, in virtual time."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as wall
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from moto import mock_aws

from infrastructure.cost.bill import bill, per_million
from infrastructure.local.aws import dead_letters, engine
from infrastructure.local.aws.fast_moto import fast_queries
from infrastructure.local.aws.kept_answers import kept_answers
from infrastructure.local.aws.stack import Stack
from infrastructure.local.chaos.faults import Chaos, no_waiting
from infrastructure.local.report.summary import contacts_in
from infrastructure.local.runs import case_lines, outputs
from infrastructure.local.runs.portfolio import Portfolio, Rejected
from infrastructure.local.runs.results import Left, Period, report, written
from infrastructure.local.virtual.feed import Feed
from infrastructure.local.virtual.platform import Platform
from predue import wiring
from predue.domain import zone
from predue.domain.policy import Policy, Rulebook
from predue.domain.slot import instant_of
from predue.events import applying
from predue.events.event_services import EventServices
from predue.events.models import Updated
from predue.imports import book_events

Progress = Callable[[float, str], None]
_TOLD_EVERY = timedelta(hours=1)
_LONGEST_SETTLING = timedelta(days=4)
"""SMS receipts may come for 72 hours (facts of End User Messaging); then the run ends with what it knows."""


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked for; the days are local to each borrower and both included.

    `endpoint` is a server that speaks the AWS APIs; without one it is moto in this process.
    """

    first_day: date
    last_day: date
    out: Path
    seed: int = 1
    policy: Policy = field(default_factory=Policy)
    title: str = "Run"
    chaos: bool = False
    endpoint: str = ""
    publish: bool = False
    """Whether predue tells on its bus what became of reminders, beside what it hands over."""
    moving_events: bool = False
    """Under chaos: whether events may come at other instants than the file's, which only this run's own audit knows."""


def run(portfolio: Portfolio, options: RunOptions, progress: Progress = lambda _share, _what: None) -> dict[str, Any]:
    """Run a portfolio, write every output file, and return the summary."""
    began = time.monotonic(), time.process_time()
    policy = bounded(options)
    start, end = span(places_of(portfolio.borrowers), policy, options)
    rejected = list(portfolio.rejected)
    with (
        engine.serving(options.endpoint) if options.endpoint else moto(),
        _folder(options.out),
        (options.out / "wire.jsonl").open("w", encoding="utf-8") as wire,
        (options.out / "logs.jsonl").open("w", encoding="utf-8") as log,
        no_waiting() if options.chaos else nullcontext(),
    ):
        chaos = Chaos(options.seed, moving_events=options.moving_events) if options.chaos else None
        parameters = {"InitialPolicy": policy.model_dump_json(), "Publish": "bus" if options.publish else "no"}
        # A server may hold what other runs made, so each has a name of its own there.
        application: dict[str, Any] = (
            {"application": engine.own_name(), "endpoint": options.endpoint} if options.endpoint else {}
        )
        stack = Stack(start, log=log, wire=wire, seed=options.seed, parameters=parameters, chaos=chaos, **application)
        try:
            with stack.feeding():
                load(portfolio, start, progress)
            feed = Feed(portfolio.events, end, stack, rejected)
            play(stack, start, end, progress)
            left = _left(stack, feed, rejected, options)
        finally:
            if options.endpoint:
                stack.remove()
    if options.publish:
        outputs.write_lines(options.out / "published.jsonl", stack.bus.emitted)
    period = Period(options.first_day, options.last_day)
    summary = summary_head(options, policy) | written(options.out, portfolio, policy, period, left)
    summary |= _billed(stack, summary, (options.out / "logs.jsonl").stat().st_size)
    summary["seconds"] = taken(began)
    samples = outputs.samples(left.records, left.samples)
    report(options.out, summary, policy, period, options.title, samples)
    return summary


def summary_head(options: RunOptions, policy: Policy) -> dict[str, Any]:
    """Policy, period and seed, as a summary tells them."""
    return {
        "policy": policy.label,
        "period": {
            "from": options.first_day.isoformat(),
            "to": options.last_day.isoformat(),
            "seed": options.seed,
        },
    }


def taken(began: tuple[float, float]) -> dict[str, float]:
    """The seconds since an instant of the machine, on the clock and of the processor."""
    return {"wall": round(time.monotonic() - began[0], 1), "cpu": round(time.process_time() - began[1], 1)}


def _left(stack: Stack, feed: Feed, rejected: list[Rejected], options: RunOptions) -> Left:
    """What stands in the stack when time has passed."""
    table = stack.functions_environment()["TABLE_NAME"]
    with stack.feeding():
        opened = case_lines.read(table)
    return Left(
        records=outputs.records(table),
        opened=opened,
        handed_over=stack.handed_over,
        samples=stack.carrier.samples,
        rejected=rejected,
        sent=stack.carrier.sent,
        dead_letters=[
            letter | {"queue": _usual_name(stack, letter["queue"])}
            for letter in dead_letters.listed(stack.queue_arns.values())
        ],
        faults=stack.chaos.counted if stack.chaos else {},
        claims=stack.claims if options.chaos else None,
        arrivals=feed.arrivals() if options.chaos else None,
    )


def bounded(options: RunOptions) -> Policy:
    """The policy with the run's days, inside the days that it may name itself."""
    policy = options.policy
    first = max(filter(None, (policy.first_day, options.first_day)))
    last = min(filter(None, (policy.last_day, options.last_day)))
    return policy.model_copy(update={"first_day": first, "last_day": last})


def places_of(borrowers: Iterable[Updated]) -> set[tuple[str, str]]:
    """Every time zone and jurisdiction of a borrower."""
    return {(row.time_zone or "", row.jurisdiction or "") for row in borrowers}


def span(places: Iterable[tuple[str, str]], policy: Policy, options: RunOptions) -> tuple[datetime, datetime]:
    """From the first local midnight of the first day, wherever a borrower may be, to the last one after the last
    day.
    """
    rulebook = Rulebook(policy)
    zones = {ZoneInfo("UTC")}
    for time_zone, jurisdiction in places:
        pack = rulebook.rules(jurisdiction, options.first_day).pack
        zones.update(zone.zones_of(zone.label(time_zone, jurisdiction), pack.zones))
    start = min(instant_of(options.first_day, wall(), one) for one in zones)
    return start, max(instant_of(options.last_day + timedelta(days=1), wall(), one) for one in zones)


@contextmanager
def moto() -> Iterator[None]:
    """Moto in this process."""
    with engine.local_credentials(), mock_aws(), fast_queries(), kept_answers():
        yield


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The folder of the results, made once it is known that there will be some."""
    path.mkdir(parents=True, exist_ok=True)
    yield


def load(portfolio: Portfolio, start: datetime, progress: Progress, services: EventServices | None = None) -> None:
    """The files' rows, known from the first instant on; `services` is the stack's own unless one is given."""
    services = services or wiring.event_services()
    for number, event in enumerate(portfolio.borrowers):
        applying.apply(event, start, services)
        progress(number / len(portfolio.borrowers) * 0.05, "borrowers")
    for number, due in enumerate(portfolio.installments):
        book_events.apply_row(*due, start, services)
        progress(0.05 + number / len(portfolio.installments) * 0.05, "installments")


def play(platform: Platform, start: datetime, end: datetime, progress: Progress) -> None:
    """The whole period, then what the carriers still have to say."""
    shown = start

    def show(now: datetime) -> None:
        nonlocal shown
        if now - shown < _TOLD_EVERY:
            return
        shown = now
        progress(0.1 + 0.88 * (now - start) / (end - start), f"{now:%Y-%m-%d}")

    platform.run_until(end, show)
    if platform.chaos:
        platform.chaos.stop()
        while platform.redrive() and platform.clock() < end + _LONGEST_SETTLING:
            platform.run_until(platform.clock() + timedelta(hours=1))
    while not platform.quiet() and platform.clock() < end + _LONGEST_SETTLING:
        platform.run_until(platform.clock() + timedelta(hours=1))
    progress(0.99, "report")


def _billed(stack: Stack, summary: Mapping[str, Any], log_bytes: int) -> dict[str, Any]:
    """What the run called of AWS, and what a million reminders at its price would cost."""
    return {
        "aws": {
            "calls": dict(sorted(stack.meter.calls.items())),
            "units": dict(sorted(stack.meter.units.items())),
            "invocations": _usual_names(stack, stack.meter.invocations),
            "news_calls": dict(sorted(stack.events_meter.calls.items())),
        },
        "cost_per_million_reminders": per_million(bill(stack.meter, log_bytes), contacts_in(summary)),
    }


def _usual_names(stack: Stack, counted: Mapping[str, int]) -> dict[str, int]:
    """What is counted by name, as if the stack had its usual one, so that any two runs compare."""
    return {_usual_name(stack, name): count for name, count in sorted(counted.items())}


def _usual_name(stack: Stack, name: str) -> str:
    return f"predue{name.removeprefix(stack.root.application)}"
