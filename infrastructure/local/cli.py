"""The `predue` command."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from infrastructure.local import demo, summary
from infrastructure.local.explain import NotFound, explain
from infrastructure.local.portfolio import PortfolioError, read_portfolio
from infrastructure.local.run import Options, run
from infrastructure.local.serve import Options as ServeOptions
from infrastructure.local.serve import serve
from infrastructure.local.server import CannotServe
from predue.errors import BadPolicy
from predue.policy import Policy, read_policy

DONE, USAGE, REJECTED, BROKEN = 0, 2, 3, 4


class UsageError(Exception):
    """The command cannot start as it was called; the text says what to mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 done, 2 wrong usage, 3 done with rejected rows, 4 a promise was broken."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.command(given))
    except (UsageError, CannotServe, PortfolioError, NotFound, BadPolicy) as error:
        print(f"predue: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predue", description="Reminds borrowers of loan installments before they fall overdue."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "run", help="a portfolio through the real handlers over the stack on one machine, in virtual time"
    )
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
    one.set_defaults(command=_run)
    two = commands.add_parser("explain", help="why each message to a borrower went or did not")
    two.add_argument("borrower", metavar="BORROWER", help="borrower_id")
    two.add_argument("--out", type=Path, required=True, help="the --out of the run")
    two.set_defaults(command=_explain)
    three = commands.add_parser("demo", help="two weeks of virtual time on a bundled portfolio")
    three.add_argument("--out", type=Path, required=True, help="folder for the results")
    three.add_argument("--seed", type=int, default=1, help="another seed, another portfolio (default 1)")
    three.set_defaults(command=_demo)
    four = commands.add_parser("serve", help="the stack in real time, with its API and a console on localhost")
    four.add_argument("--port", type=int, choices=range(2**16), default=8000, metavar="N", help="default 8000; 0: any")
    four.add_argument("--borrowers", type=Path, help="borrowers.csv; without it, a bundled portfolio around today")
    four.add_argument("--installments", type=Path, help="installments.csv")
    four.add_argument("--events", type=Path, help="events.jsonl")
    four.add_argument("--out", type=Path, default=Path("build/serve"), help="folder for the outputs (build/serve)")
    four.add_argument("--seed", type=int, default=1, help="what the carriers' fates are drawn from (default 1)")
    four.add_argument("--policy", type=Path, help="policy.toml; see docs/policy.md")
    four.set_defaults(command=_serve)
    return parser


def _run(given: argparse.Namespace) -> int:
    if given.last_day < given.first_day:
        raise UsageError(f"--to {given.last_day} lies before --from {given.first_day}")
    policy = _policy(given.policy)
    portfolio = read_portfolio(given.borrowers, given.installments, given.events)
    title = f"{given.installments.parent.name or 'portfolio'}, {given.first_day} to {given.last_day}"
    options = Options(given.first_day, given.last_day, given.out, given.seed, policy, title, given.chaos)
    with _bar() as progress:
        result = run(portfolio, options, progress)
    return _finish(result, given.out)


def _policy(path: Path | None) -> Policy:
    if path is None:
        return Policy()
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as text ({error})") from error
    except BadPolicy as error:
        raise UsageError(f"{path}: {error}") from error


def _finish(result: dict[str, Any], out: Path) -> int:
    """Tell what happened, and make it the exit status."""
    print(summary.text(result))
    rejected = result["rejected_rows"]
    if rejected:
        print(f"{rejected} rows were set aside; {out / 'rejected.csv'} says which, and why.")
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
    options = Options(first_day, last_day, given.out, given.seed, title="Two weeks of a lender's reminders")
    with _bar() as progress:
        result = run(portfolio, options, progress)
    # The bundled portfolio holds bad rows on purpose; that they are set aside is no failure of the demo.
    return DONE if (status := _finish(result, given.out)) == REJECTED else status


def _serve(given: argparse.Namespace) -> int:
    if bool(given.borrowers) != bool(given.installments) or (given.events and not given.borrowers):
        raise UsageError("--borrowers and --installments belong together, and --events to them")
    files = (given.borrowers, given.installments, given.events) if given.borrowers else None
    serve(ServeOptions(given.out, given.port, given.seed, _policy(given.policy), files), _bar)
    return DONE


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar on the terminal, or nothing where there is none."""
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(None),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(share: float, what: str) -> None:
            bar.update(task, completed=share, description=what)

        yield show
        bar.update(task, completed=1.0, description="done")


if __name__ == "__main__":
    sys.exit(main())
