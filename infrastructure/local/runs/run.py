"""A run: a portfolio through the deployed handlers over the stack on one machine, in virtual time."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from datetime import time as wall
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from moto import mock_aws

from infrastructure.cost.bill import bill, per_million
from infrastructure.local.audit.promises import Audit, Results, Run, Terms, audit, read_inputs
from infrastructure.local.aws import dead_letters, engine
from infrastructure.local.aws.fast_moto import fast_queries
from infrastructure.local.aws.kept_answers import kept_answers
from infrastructure.local.aws.stack import ROOT, Stack
from infrastructure.local.chaos.faults import Chaos, no_waiting
from infrastructure.local.report.report import write_report
from infrastructure.local.report.summary import contacts_in, summarise
from infrastructure.local.runs import case_lines, outputs
from infrastructure.local.runs.feed import Feed
from infrastructure.local.runs.portfolio import Portfolio, Rejected, write_rejected
from predue import wiring
from predue.domain import zone
from predue.domain.policy import Policy, Rulebook
from predue.domain.slot import instant_of
from predue.events import applying
from predue.events.models import Updated
from predue.imports import book_events
from predue.imports.row_report import WARNED_COLUMNS

Progress = Callable[[float, str], None]
PACKS = ROOT / "functions" / "predue" / "packs"
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
    policy = _bounded(options)
    start, end = _span(portfolio.borrowers, policy, options)
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
            _play(stack, start, end, progress)
            found = outputs.records(stack.functions_environment()["TABLE_NAME"])
            with stack.feeding():
                opened = case_lines.read(stack.functions_environment()["TABLE_NAME"])
            given_up = [
                letter | {"queue": _usual_name(stack, letter["queue"])}
                for letter in dead_letters.listed(stack.queue_arns.values())
            ]
        finally:
            if options.endpoint:
                stack.remove()
    write_rejected(options.out / "rejected.csv", rejected)
    write_rejected(options.out / "warnings.csv", portfolio.warnings, WARNED_COLUMNS)
    contacts = [outputs.contact_line(record) for record in found]
    outputs.write_lines(options.out / "contacts.jsonl", contacts)
    outputs.write_lines(
        options.out / "records.jsonl",
        [line | {"inputs": dict(record.inputs)} for line, record in zip(contacts, found, strict=True)],
    )
    outputs.write_lines(options.out / "overdue.jsonl", stack.handed_over)
    outputs.write_lines(options.out / "cases.jsonl", opened)
    if options.publish:
        outputs.write_lines(options.out / "published.jsonl", stack.bus.emitted)
    outputs.write_lines(options.out / "dead_letters.jsonl", given_up)
    verdict = audit(
        read_inputs(*portfolio.files, options.out / "rejected.csv"),
        Run(policy.first_day or options.first_day, policy.last_day or options.last_day, disturbed=options.chaos),
        Results.read(options.out, stack.claims if options.chaos else None, feed.arrivals() if options.chaos else None),
        Terms.read(policy.model_dump(mode="json", exclude_unset=True), PACKS),
    )
    summary = _summary(contacts, stack, verdict, options, rejected, portfolio.warnings)
    summary["dead_letters"] = dict(sorted(Counter(letter["queue"] for letter in given_up).items()))
    summary["cases"] = case_lines.counts(opened)
    summary["seconds"] = {
        "wall": round(time.monotonic() - began[0], 1),
        "cpu": round(time.process_time() - began[1], 1),
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2, default=str) + "\n", encoding="utf-8")
    hours = policy.hours.start.hour, policy.hours.end.hour
    write_report(
        options.out / "report.html",
        summary=summary,
        contacts=contacts,
        cases=[case_lines.told(one) for one in opened if one["open"]],
        samples=outputs.samples(found, stack.carrier.samples),
        title=options.title,
        period=(options.first_day, options.last_day),
        hours=hours,
    )
    return summary


def _bounded(options: RunOptions) -> Policy:
    """The policy with the run's days, inside the days that it may name itself."""
    policy = options.policy
    first = max(filter(None, (policy.first_day, options.first_day)))
    last = min(filter(None, (policy.last_day, options.last_day)))
    return policy.model_copy(update={"first_day": first, "last_day": last})


def _span(borrowers: list[Updated], policy: Policy, options: RunOptions) -> tuple[datetime, datetime]:
    """From the first local midnight of the first day, wherever a borrower may be, to the last one after the last
    day.
    """
    rulebook = Rulebook(policy)
    zones = {ZoneInfo("UTC")}
    for row in borrowers:
        pack = rulebook.rules(row.jurisdiction or "", options.first_day).pack
        zones.update(zone.zones_of(zone.label(row.time_zone or "", row.jurisdiction or ""), pack.zones))
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


def load(portfolio: Portfolio, start: datetime, progress: Progress) -> None:
    """The files' rows, known from the first instant on."""
    services = wiring.event_services()
    for number, event in enumerate(portfolio.borrowers):
        applying.apply(event, start, services)
        progress(number / len(portfolio.borrowers) * 0.05, "borrowers")
    for number, due in enumerate(portfolio.installments):
        book_events.tell(*due, start, services)
        progress(0.05 + number / len(portfolio.installments) * 0.05, "installments")


def _play(stack: Stack, start: datetime, end: datetime, progress: Progress) -> None:
    """The whole period, then what the carriers still have to say."""

    def show(now: datetime) -> None:
        progress(0.1 + 0.88 * (now - start) / (end - start), f"{now:%Y-%m-%d}")

    stack.run_until(end, show)
    if stack.chaos:
        stack.chaos.stop()
        while stack.redrive():
            stack.run_until(stack.clock() + timedelta(hours=1))
    while not stack.quiet() and stack.clock() < end + _LONGEST_SETTLING:
        stack.run_until(stack.clock() + timedelta(hours=1))
    progress(0.99, "report")


def _summary(
    contacts: list[dict[str, Any]],
    stack: Stack,
    verdict: Audit,
    options: RunOptions,
    rejected: list[Rejected],
    warnings: list[Rejected],
) -> dict[str, Any]:
    summary = summarise(contacts)
    log_bytes = (options.out / "logs.jsonl").stat().st_size
    costs = bill(stack.meter, log_bytes)
    coverage = verdict.coverage
    return summary | {
        "period": {"from": options.first_day.isoformat(), "to": options.last_day.isoformat(), "seed": options.seed},
        "rejected_rows": len(rejected),
        "warned": len(warnings),
        "faults": dict(sorted(stack.chaos.counted.items())) if stack.chaos else {},
        "handed_over": len({one["event_id"] for one in stack.handed_over}),
        "aws": {
            "calls": dict(sorted(stack.meter.calls.items())),
            "units": dict(sorted(stack.meter.units.items())),
            "invocations": _usual_names(stack, stack.meter.invocations),
            "news_calls": dict(sorted(stack.news_meter.calls.items())),
        },
        "cost_per_million_reminders": per_million(costs, contacts_in(summary)),
        "promises": {
            "checked": {str(number): one.checked for number, one in verdict.verdicts.items()},
            "broken": [
                {"promise": number, "detail": text} for number, one in verdict.verdicts.items() for text in one.broken
            ],
        },
        "coverage": {
            "planned_stages": coverage.planned,
            "reminded": coverage.reminded,
            "share": round(coverage.share, 4),
            "by_outcome": dict(coverage.by_outcome),
        },
    }


def _usual_names(stack: Stack, counted: Mapping[str, int]) -> dict[str, int]:
    """What is counted by name, as if the stack had its usual one, so that any two runs compare."""
    return {_usual_name(stack, name): count for name, count in sorted(counted.items())}


def _usual_name(stack: Stack, name: str) -> str:
    return f"predue{name.removeprefix(stack.root.application)}"
