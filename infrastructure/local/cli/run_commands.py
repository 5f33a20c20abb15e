"""`predue run`, `predue demo` and `predue explain`: portfolios in virtual time, and what became of them."""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from infrastructure.local.aws.engine import BadEndpoint, address
from infrastructure.local.cli.terminal import BROKEN, DONE, REJECTED, UsageError, policy_of, progress_bar
from infrastructure.local.report import summary
from infrastructure.local.report.explain import explain
from infrastructure.local.runs import demo
from infrastructure.local.runs.portfolio import read_portfolio
from infrastructure.local.runs.run import RunOptions, run


def add(one: argparse.ArgumentParser) -> None:
    """The options of `predue run`."""
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
    one.add_argument("--publish", action="store_true", help="tell every outcome on the bus, too: published.jsonl")
    one.add_argument(
        "--endpoint",
        type=_endpoint,
        metavar="URL",
        help="a server that speaks the AWS APIs, in place of moto in this process, such as http://127.0.0.1:4571",
    )
    one.set_defaults(command=_run)


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
    if given.last_day < given.first_day:
        raise UsageError(f"--to {given.last_day} lies before --from {given.first_day}")
    policy = policy_of(given.policy)
    portfolio = read_portfolio(given.borrowers, given.installments, given.events)
    title = f"{given.installments.parent.name or 'portfolio'}, {given.first_day} to {given.last_day}"
    options = RunOptions(
        given.first_day, given.last_day, given.out, given.seed, policy, title, given.chaos, given.endpoint or ""
    )
    options = replace(options, publish=given.publish)
    with progress_bar() as progress:
        result = run(portfolio, options, progress)
    return _finish(result, given.out)


def _endpoint(text: str) -> str:
    try:
        return address(text)
    except BadEndpoint as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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
    # The bundled portfolio holds bad rows on purpose; that they are set aside is no failure of the demo.
    return DONE if (status := _finish(result, given.out)) == REJECTED else status
