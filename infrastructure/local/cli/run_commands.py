"""`predue run`, `predue demo` and `predue explain`: portfolios in virtual time, and what became of them."""

import argparse
import os
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from infrastructure.local.aws.engine import BadEndpoint, address
from infrastructure.local.cli.terminal import (
    BROKEN,
    DONE,
    INTERRUPTED,
    REJECTED,
    UsageError,
    policy_of,
    progress_bar,
)
from infrastructure.local.report import summary
from infrastructure.local.report.explain import explain
from infrastructure.local.runs import demo
from infrastructure.local.runs.portfolio import read_portfolio
from infrastructure.local.runs.run import Progress, RunOptions, run
from infrastructure.local.simulate.compare import compare
from infrastructure.local.simulate.parts import simulate_files
from infrastructure.local.simulate.splitting import PortfolioFiles

_SEGMENT_USD = 0.01
"""About what a segment costs to numbers of the United States, carriers' fees included."""


def add(one: argparse.ArgumentParser) -> None:
    """The options of `predue run`."""
    _add_portfolio(one)
    one.add_argument("--publish", action="store_true", help="tell every outcome on the bus, too: published.jsonl")
    one.add_argument(
        "--endpoint",
        type=_endpoint,
        metavar="URL",
        help="a server that speaks the AWS APIs, in place of moto in this process, such as http://127.0.0.1:4571",
    )
    one.set_defaults(command=_run)


def add_simulate(one: argparse.ArgumentParser) -> None:
    """The options of `predue simulate`."""
    _add_portfolio(one)
    jobs = os.cpu_count() or 1
    one.add_argument("--jobs", type=int, default=jobs, metavar="N", help=f"processes at a time (default {jobs})")
    one.add_argument("--against", type=Path, metavar="POLICY", help="another policy.toml to compare with: compare.html")
    one.add_argument(
        "--segment-usd",
        type=float,
        default=_SEGMENT_USD,
        help=f"with --against: what a segment of a text message costs (default {_SEGMENT_USD})",
    )
    one.set_defaults(command=_simulate)


def _add_portfolio(one: argparse.ArgumentParser) -> None:
    """A portfolio, its days, and what rules it."""
    one.add_argument("--borrowers", type=Path, required=True, help="borrowers.csv")
    one.add_argument("--installments", type=Path, required=True, help="installments.csv")
    one.add_argument("--events", type=Path, help="events.jsonl")
    one.add_argument(
        "--from", dest="first_day", type=date.fromisoformat, required=True, help="first local day of each borrower"
    )
    one.add_argument(
        "--to", dest="last_day", type=date.fromisoformat, required=True, help="last local day of each borrower"
    )
    one.add_argument("--out", type=Path, required=True, help="folder for the results")
    one.add_argument("--seed", type=int, default=1, help="what the carriers' fates are drawn from (default 1)")
    one.add_argument("--policy", type=Path, help="policy.toml; see docs/policy.md")
    one.add_argument("--chaos", action="store_true", help="faults at every turn, drawn from the seed")


def add_explain(one: argparse.ArgumentParser) -> None:
    """The options of `predue explain`."""
    one.add_argument("borrower", metavar="BORROWER", help="borrower_id")
    one.add_argument("--out", type=Path, required=True, help="the --out of the run")
    one.set_defaults(command=_explain)


def add_demo(one: argparse.ArgumentParser) -> None:
    """The options of `predue demo`."""
    one.add_argument("--out", type=Path, required=True, help="folder for the results")
    one.add_argument("--seed", type=int, default=1, help="another seed, another portfolio (default 1)")
    one.set_defaults(command=_demo)


def _run(given: argparse.Namespace) -> int:
    options = replace(_options(given), publish=given.publish, endpoint=given.endpoint or "")
    portfolio = read_portfolio(given.borrowers, given.installments, given.events)
    with progress_bar() as progress:
        result = run(portfolio, options, progress)
    return _finish(result, given.out)


def _options(given: argparse.Namespace) -> RunOptions:
    if given.last_day < given.first_day:
        raise UsageError(f"--to {given.last_day} lies before --from {given.first_day}")
    policy = policy_of(given.policy)
    title = f"{given.installments.parent.name or 'portfolio'}, {given.first_day} to {given.last_day}"
    return RunOptions(given.first_day, given.last_day, given.out, given.seed, policy, title, given.chaos)


def _simulate(given: argparse.Namespace) -> int:
    if given.jobs < 1:
        raise UsageError("--jobs must be 1 or more")
    options = _options(given)
    with progress_bar() as progress:
        files = PortfolioFiles(given.borrowers, given.installments, given.events)
        result = simulate_files(files, options, given.jobs, progress)
    if "stopped" not in result and given.against:
        other = replace(options, policy=policy_of(given.against), out=given.out / "against")
        with progress_bar() as progress:
            result |= {"stopped": one} if (one := _against(files, other, given, progress)) else {}
    if "stopped" in result:
        print(f"predue: {result['stopped']}; {given.out} holds what is done", file=sys.stderr)
        return INTERRUPTED
    return _finish(result, given.out)


def _against(files: PortfolioFiles, other: RunOptions, given: argparse.Namespace, progress: Progress) -> str:
    """Simulate the other policy, compare, and tell where it stands; or tell what stopped it."""
    result = simulate_files(files, other, given.jobs, progress)
    if stopped := str(result.get("stopped", "")):
        return stopped
    compare(given.out, other.out, given.segment_usd)
    print(f"Both policies side by side: {given.out / 'compare.html'} and compare.json; the other's own in {other.out}.")
    return ""


def _endpoint(text: str) -> str:
    try:
        return address(text)
    except BadEndpoint as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _compared(options: RunOptions, folder: Path) -> None:
    """Show what fewer stages would do to the very same borrowers, which a simulation tells in a moment."""
    files = PortfolioFiles(folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl")
    fewer = options.policy.model_copy(update={"version": "fewer-stages", "stages": options.policy.stages[1::2]})
    out = options.out / "compare"
    for name, policy in (("a", options.policy), ("b", fewer)):
        simulate_files(files, replace(options, policy=policy, out=out / name), 1)
    compare(out / "a", out / "b", _SEGMENT_USD)
    stages = " and ".join(setting.name for setting in fewer.stages)
    print(f"demo: what if there were only {stages}? {out / 'a' / 'compare.html'} shows it")


def _finish(result: dict[str, Any], out: Path) -> int:
    """Tell what happened, and make it the exit status."""
    print(summary.text(result))
    rejected = result["rejected_rows"]
    if rejected:
        print(f"{rejected} rows were set aside; {out / 'rejected.csv'} says which, and why.")
    if result["warned"]:
        print(f"{result['warned']} cells cannot be used as they stand; {out / 'warnings.csv'} says which, and why.")
    print(f"Everything is in {out}; open {out / 'report.html'} in a browser.")
    if result["promises"]["broken"]:
        return BROKEN
    return REJECTED if rejected else DONE


def _explain(given: argparse.Namespace) -> int:
    print(explain(given.out, given.borrower), end="")
    return DONE


def _demo(given: argparse.Namespace) -> int:
    first_day, last_day = date(2026, 12, 1), date(2026, 12, 14)
    folder = given.out / "portfolio"
    demo.write_demo(folder, seed=given.seed, first_day=first_day, last_day=last_day)
    print(f"demo: a portfolio of a lender stands in {folder}; two weeks of it now pass in virtual time")
    portfolio = read_portfolio(folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl")
    options = RunOptions(first_day, last_day, given.out, given.seed, title="Two weeks of a lender's reminders")
    with progress_bar() as progress:
        result = run(portfolio, options, progress)
    _compared(options, folder)
    # The bundled portfolio holds bad rows on purpose; that they are set aside is no failure of the demo.
    return DONE if (status := _finish(result, given.out)) == REJECTED else status
