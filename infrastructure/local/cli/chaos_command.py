"""`predue chaos`: many seeds of faults over the ports, and a few over the handlers, side by side."""

import argparse
import os
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

from infrastructure.local.chaos import chaos_report, chaos_runs
from infrastructure.local.chaos.chaos_case import KEPT, ChaosCase, with_files
from infrastructure.local.chaos.chaos_runs import SeedOutcome
from infrastructure.local.chaos.shrinking import shrunk
from infrastructure.local.cli.terminal import BROKEN, DONE, UNDONE, UsageError, policy_of, progress_bar
from infrastructure.local.runs.portfolio import read_portfolio

_RUNS, _HANDLERS = 1000, 4
"""Seeds over the ports and over the handlers: some minutes on two cores."""


def add(chaos: argparse.ArgumentParser) -> None:
    """The command's options."""
    which = chaos.add_mutually_exclusive_group()
    which.add_argument("--seeds", type=_seeds, metavar="A-B", help="the seeds from A to B")
    which.add_argument("--runs", type=_count, default=_RUNS, metavar="N", help=f"the seeds 1 to N (default {_RUNS})")
    which.add_argument("--replay", type=Path, metavar="CASE", help="the folder of a kept case, and nothing else")
    chaos.add_argument(
        "--handlers",
        type=_none_or_more,
        default=_HANDLERS,
        metavar="N",
        help=f"of the seeds so many through the deployed handlers over moto, too (default {_HANDLERS})",
    )
    chaos.add_argument("--first", action="store_true", help="end at the first failure, and keep it as it is")
    chaos.add_argument("--out", type=Path, help="with --replay: where the run's results stay, for a closer look")
    jobs = os.cpu_count() or 1
    chaos.add_argument("--jobs", type=_count, default=jobs, metavar="N", help=f"processes at a time (default {jobs})")
    chaos.add_argument("--keep", type=Path, default=KEPT, help=f"where failures are kept (default {KEPT})")
    own = chaos.add_argument_group("a portfolio of one's own, for all seeds; without, each seed has a small one")
    for name in ("borrowers", "installments", "events", "policy"):
        own.add_argument(f"--{name}", type=Path)
    own.add_argument("--from", dest="first_day", type=date.fromisoformat)
    own.add_argument("--to", dest="last_day", type=date.fromisoformat)
    chaos.set_defaults(command=_chaos)


def _seeds(text: str) -> range:
    first, dash, last = text.partition("-")
    found = range(int(first), int(last if dash else first) + 1)
    if not found:
        raise argparse.ArgumentTypeError(f"{text}: A must not be above B")
    return found


def _none_or_more(text: str) -> int:
    if int(text) < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return int(text)


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _chaos(given: argparse.Namespace) -> int:
    """Run the seeds or the case; keep what fails, and tell how to run it again."""
    with tempfile.TemporaryDirectory(prefix="predue-chaos-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        cases = _chaos_cases(given, scratch)
        with progress_bar() as progress:
            tally = chaos_runs.play_all(cases, scratch, given.jobs, progress, first=given.first)
        print(chaos_report.text(tally))
        for failure in () if given.replay or given.first else tally.failures:
            print(chaos_report.kept(_kept(failure, scratch, given.keep)))
    return BROKEN if tally.failures else UNDONE if tally.lost else DONE


def _kept(failure: SeedOutcome, scratch: Path, keep: Path) -> Path:
    """Keep a failure, as small as it could be made; over the handlers each try would take too long."""
    case, wrong = failure.case, failure.wrong
    if case.over == "ports":
        tries = Path(tempfile.mkdtemp(prefix="smaller-", dir=scratch))
        case, wrong = shrunk(case, wrong, tries, lambda one: chaos_runs.play(one, tries).wrong)
    return case.keep(list(wrong), keep)


def _chaos_cases(given: argparse.Namespace, scratch: Path) -> list[ChaosCase]:
    if given.replay:
        try:
            return [ChaosCase.read(given.replay, given.out)]
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{given.replay} is no kept case ({type(error).__name__}: {error})") from error
    seeds = given.seeds or range(1, given.runs + 1)
    own = given.borrowers, given.installments, given.first_day, given.last_day
    if not any((*own, given.events, given.policy)):
        cases = [chaos_runs.generated(seed, scratch / f"seed-{seed}", "ports") for seed in seeds]
        return [*cases, *_over_handlers(cases, given.handlers)]
    if not all(own) or given.last_day < given.first_day:
        raise UsageError("a portfolio of one's own takes --borrowers, --installments, --from and --to")
    policy_of(given.policy)
    read_portfolio(given.borrowers, given.installments, given.events)
    with_files(scratch / "own", given.borrowers, given.installments, given.events, given.policy)
    own_cases = [ChaosCase(scratch / "own", seed, given.first_day, given.last_day, over="ports") for seed in seeds]
    return [*own_cases, *_over_handlers(own_cases, given.handlers)]


def _over_handlers(cases: list[ChaosCase], count: int) -> list[ChaosCase]:
    return [replace(case, over="handlers") for case in cases[:count]]
