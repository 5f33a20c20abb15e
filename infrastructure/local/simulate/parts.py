"""A portfolio through the rules over memory, whole or in parts side by side, with the files of a run."""

import gc
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from infrastructure.local.chaos.port_faults import PortChaos
from infrastructure.local.report.summary import total
from infrastructure.local.runs import case_lines, outputs
from infrastructure.local.runs.pools import as_done
from infrastructure.local.runs.portfolio import Portfolio, Rejected, read_portfolio, write_rejected
from infrastructure.local.runs.results import Left, Period, in_order, report, written
from infrastructure.local.runs.run import (
    Progress,
    RunOptions,
    bounded,
    load,
    places_of,
    play,
    span,
    summary_head,
    taken,
)
from infrastructure.local.simulate.merging import merge
from infrastructure.local.simulate.simulation import Simulation
from infrastructure.local.simulate.splitting import Part, PortfolioFiles, rows_in, split
from infrastructure.local.virtual.feed import Feed
from predue.domain.policy import Policy
from predue.imports.row_report import WARNED_COLUMNS

MOST = 5_000
"""Borrowers of a part: a process holds some 260 MiB for so many, and little of its time is what each part costs
again.
"""
_PARTS = 100
"""At most so many, each of which has six files open while its rows are dealt out."""
Span = tuple[datetime, datetime]


def _quiet(_share: float, _what: str) -> None:
    """Nobody watches."""


def simulate_files(
    files: PortfolioFiles, options: RunOptions, jobs: int, progress: Progress = _quiet, most: int = MOST
) -> dict[str, Any]:
    """Simulate the portfolio of some files; a large one in parts, `jobs` at a time. Raises PortfolioError.

    It stays whole under a policy with a volume for each day, since who waits follows from all borrowers together,
    and where two files have one name, since nobody could tell their rejected rows apart.
    """
    rows, names = rows_in(files.borrowers), [path.name for path in files if path]
    whole = options.policy.max_reminders_per_day is not None or len(set(names)) < len(names)
    if rows <= most or whole:
        return simulate(read_portfolio(*files), options, progress)
    most = max(most, rows // _PARTS)
    began = time.monotonic(), time.process_time()
    policy = bounded(options)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parts-", dir=options.out, ignore_cleanup_errors=True) as folder:
        progress(0.0, "reading")
        parts, rejected, warnings, places = split(files, Path(folder), most)
        within = span(places, policy, options)
        done, stopped = _played(parts, replace(options, policy=policy), within, jobs, progress)
        done.sort(key=lambda one: one.number)
        progress(0.96, "merging")
        merge(options.out, [parts[one.number].folder / "out" for one in done])
    rejected += [row for one in done for row in one.rejected]
    warnings += [row for one in done for row in one.warnings]
    write_rejected(options.out / "rejected.csv", in_order(rejected, files))
    write_rejected(options.out / "warnings.csv", in_order(warnings, files), WARNED_COLUMNS)
    summary = summary_head(options, policy) | total([one.summary for one in done])
    summary |= {"rejected_rows": len(rejected), "warned": len(warnings), "parts": {"of": len(parts), "done": len(done)}}
    summary |= {"stopped": stopped} if stopped else {}
    own = taken(began)
    summary["seconds"] = {"wall": own["wall"], "cpu": round(own["cpu"] + sum(one.cpu for one in done), 1)}
    summary["memory_mib"] = {"parent": peak_mib(), "part": max((one.mib for one in done), default=0)}
    period = Period(options.first_day, options.last_day)
    samples = [sample for one in done[:1] for sample in one.samples]
    report(options.out, summary, policy, period, options.title, samples)
    return summary


@dataclass(frozen=True)
class _Done:
    """What became of a part; its lines stand in its folder; `rejected` and `warnings` are about rows of the whole."""

    number: int
    summary: dict[str, Any]
    rejected: list[Rejected]
    warnings: list[Rejected]
    samples: list[dict[str, Any]]
    cpu: float
    mib: int


def _played(
    parts: list[Part], options: RunOptions, within: Span, jobs: int, progress: Progress
) -> tuple[list[_Done], str]:
    """Play parts side by side; Ctrl-C ends it with what is done, and then it says so."""
    done: list[_Done] = []
    work = partial(_play_part, options=options, within=within)
    try:
        for one in as_done(work, list(enumerate(parts)), jobs):
            done.append(one)
            progress(0.05 + 0.9 * len(done) / len(parts), f"part {len(done)} of {len(parts)}")
    except KeyboardInterrupt:
        return done, f"stopped by hand: {len(done)} of {len(parts)} parts are done"
    except BrokenProcessPool:
        return done, f"a process was killed: {len(done)} of {len(parts)} parts are done"
    return done, ""


def _play_part(numbered: tuple[int, Part], options: RunOptions, within: Span) -> _Done:
    number, part = numbered
    began = time.process_time()
    portfolio = read_portfolio(*part.files)
    summary, left = _simulated(portfolio, replace(options, out=part.folder / "out"), within, _quiet)
    rejected, warnings = part.in_whole(left.rejected), part.in_whole(portfolio.warnings)
    samples = outputs.samples(left.records, left.samples)
    return _Done(number, summary, rejected, warnings, samples, time.process_time() - began, peak_mib())


def simulate(portfolio: Portfolio, options: RunOptions, progress: Progress = _quiet) -> dict[str, Any]:
    """Simulate a portfolio, write every output file, and return the summary."""
    began = time.monotonic(), time.process_time()
    policy = bounded(options)
    within = span(places_of(portfolio.borrowers), policy, options)
    figures, left = _simulated(portfolio, replace(options, policy=policy), within, progress)
    summary = summary_head(options, policy) | figures
    summary |= {"stopped": f"stopped by hand at {left.stopped:%Y-%m-%d %H:%M} UTC"} if left.stopped else {}
    summary["seconds"] = taken(began)
    summary["memory_mib"] = {"parent": peak_mib()}
    period = Period(options.first_day, options.last_day)
    report(options.out, summary, policy, period, options.title, outputs.samples(left.records, left.samples))
    return summary


@contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """Within this, Python looks for no garbage in cycles: hardly any is made, and to look among millions of values that
    stay takes a sixth of the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_nothing_to_collect()
def _simulated(
    portfolio: Portfolio, options: RunOptions, within: Span, progress: Progress
) -> tuple[dict[str, Any], Left]:
    """The figures of a simulation, whose lines are written, and what it left."""
    start, end = within
    policy: Policy = options.policy
    options.out.mkdir(parents=True, exist_ok=True)
    rejected = list(portfolio.rejected)
    chaos = PortChaos(options.seed, moving_events=options.moving_events) if options.chaos else None
    stopped = None
    with (
        (options.out / "wire.jsonl").open("w", encoding="utf-8") as wire,
        (options.out / "logs.jsonl").open("w", encoding="utf-8") as log,
    ):
        simulation = Simulation(start, policy=policy, log=log, wire=wire, seed=options.seed, chaos=chaos)
        feed = Feed(portfolio.events, end, simulation, rejected)
        try:
            load(portfolio, start, progress, simulation.loading_services())
            play(simulation, start, end, progress)
        except KeyboardInterrupt:
            stopped = simulation.clock()
    left = _left(simulation, feed, rejected, stopped)
    return written(options.out, portfolio, policy, Period(options.first_day, options.last_day), left), left


def _left(simulation: Simulation, feed: Feed, rejected: list[Rejected], stopped: datetime | None) -> Left:
    store, chaos = simulation.store, simulation.port_chaos
    return Left(
        records=sorted(store.records.values(), key=lambda record: (record.at, record.reminder_id)),
        opened=case_lines.lines(store.cases.values(), store.is_open),
        handed_over=simulation.bus.handed_over,
        samples=simulation.carrier.samples,
        rejected=rejected,
        sent=simulation.carrier.sent,
        dead_letters=simulation.dead_letters(),
        faults=chaos.counted if chaos else {},
        claims=chaos.claims if chaos else None,
        arrivals=feed.arrivals() if chaos else None,
        stopped=stopped,
    )


def peak_mib() -> int:
    """The most memory that this process has held; Linux tells kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
