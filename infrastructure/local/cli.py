"""The `predue` command."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from infrastructure.local import bulk, chaos_report, chaos_runs, demo, summary
from infrastructure.local.buckets import CannotImport, served_at
from infrastructure.local.chaos_case import KEPT, Case, with_files
from infrastructure.local.engine import BadEndpoint, EndpointFailed, address
from infrastructure.local.explain import NotFound, explain
from infrastructure.local.portfolio import PortfolioError, read_portfolio
from infrastructure.local.run import Options, run
from infrastructure.local.serve import Options as ServeOptions
from infrastructure.local.serve import serve
from infrastructure.local.server import CannotServe
from predue.connectors import Settings, Source, read
from predue.errors import BadNews, BadPolicy
from predue.policy import Policy, read_policy

DONE, UNDONE, USAGE, REJECTED, BROKEN, HELD = 0, 1, 2, 3, 4, 5
_RUNS = 16
"""Seeds of `predue chaos`: about three minutes on two cores."""
_MOST_MINUTES = 14 * 24 * 60
"""How long a queue keeps what failed (infrastructure/bulk.yaml)."""
INTERRUPTED = 130
"""What shells say of a command that ended by Ctrl-C."""


class UsageError(Exception):
    """The command cannot start as it was called; the text says what to mend."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 done, 2 wrong usage, 3 done with rejected rows, 4 a promise was broken, 5 an
    import is held, and 1 for chaos that was ended early.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.command(given))
    except (UsageError, CannotServe, CannotImport, PortfolioError, NotFound, BadPolicy) as error:
        print(f"predue: {error}", file=sys.stderr)
        return USAGE
    except EndpointFailed as error:
        print(f"predue: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("predue: stopped", file=sys.stderr)
        return INTERRUPTED
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
    one.add_argument("--publish", action="store_true", help="tell every outcome on the bus, too: published.jsonl")
    one.add_argument(
        "--endpoint",
        type=_endpoint,
        metavar="URL",
        help="a server that speaks the AWS APIs, in place of moto in this process, such as http://127.0.0.1:4571",
    )
    one.set_defaults(command=_run)
    two = commands.add_parser("explain", help="why each message to a borrower went or did not")
    two.add_argument("borrower", metavar="BORROWER", help="borrower_id")
    two.add_argument("--out", type=Path, required=True, help="the --out of the run")
    two.set_defaults(command=_explain)
    _chaos_parser(commands.add_parser("chaos", help="many seeds of faults, side by side; keeps each that fails"))
    _import_parser(commands.add_parser("import", help=_IMPORTS, description=_IMPORTS))
    three = commands.add_parser("demo", help="two weeks of virtual time on a bundled portfolio")
    three.add_argument("--out", type=Path, required=True, help="folder for the results")
    three.add_argument("--seed", type=int, default=1, help="another seed, another portfolio (default 1)")
    three.set_defaults(command=_demo)
    four = commands.add_parser("mapping", help="what a mapping file makes of a message; see docs/connectors.md")
    four.add_argument("action", choices=["check"], help="check: print the events that the message becomes")
    four.add_argument("file", type=Path, metavar="FILE", help="mapping.toml")
    four.add_argument("message", type=Path, metavar="MESSAGE", help="a message of the other system, as JSON")
    four.add_argument("--source", default="mapping", help="the source that the events name (default mapping)")
    four.set_defaults(command=_mapping)
    five = commands.add_parser("serve", help="the stack in real time, with its API and a console on localhost")
    five.add_argument("--port", type=int, choices=range(2**16), default=8000, metavar="N", help="default 8000; 0: any")
    five.add_argument("--borrowers", type=Path, help="borrowers.csv; without it, a bundled portfolio around today")
    five.add_argument("--installments", type=Path, help="installments.csv")
    five.add_argument("--events", type=Path, help="events.jsonl")
    five.add_argument("--out", type=Path, default=Path("build/serve"), help="folder for the outputs (build/serve)")
    five.add_argument("--seed", type=int, default=1, help="what the carriers' fates are drawn from (default 1)")
    five.add_argument("--policy", type=Path, help="policy.toml; see docs/policy.md")
    five.set_defaults(command=_serve)
    return parser


_IMPORTS = (
    "files through the deployed import: into a stack of their own, which shows what they would do and goes when the "
    "command ends, with --to into a running `predue serve`, or with --bucket into a deployed one"
)


def _import_parser(one: argparse.ArgumentParser) -> None:
    one.add_argument("files", type=Path, nargs="+", metavar="FILE", help="*.csv or *.jsonl, or either with .gz")
    one.add_argument("--source", help="the source that the files are of (default core, and demo with --to)")
    one.add_argument("--complete", action="store_true", help="the last file is all that is open: the rest is closed")
    one.add_argument("--confirm", action="store_true", help="the files are right: what is held goes on")
    one.add_argument("--out", type=Path, default=Path("build/import"), help="folder for the reports (build/import)")
    one.add_argument(
        "--patience", type=_minutes, default=bulk.PATIENCE, metavar="MINUTES", help="with one that stands still (30)"
    )
    own = one.add_argument_group("a stack of their own")
    own.add_argument("--tenant", default="", help="whose the source is (default the lender's own)")
    own.add_argument("--policy", type=Path, help="policy.toml; see docs/policy.md")
    served = one.add_argument_group("a running `predue serve`")
    served.add_argument("--to", type=_served, metavar="URL", help="its address: http://127.0.0.1:8000")
    there = one.add_argument_group("a deployed stack")
    there.add_argument("--bucket", default="", help="its output BooksBucket; credentials as the AWS CLI finds them")
    there.add_argument("--endpoint", default="", metavar="URL", help="a server that speaks the AWS APIs, for AWS")
    one.set_defaults(command=_import)


def _import(given: argparse.Namespace) -> int:
    if (given.bucket or given.to) and (given.tenant or given.policy):
        raise UsageError("--tenant and --policy are of a stack of its own; a served or a deployed one has them already")
    if given.to and (given.bucket or given.endpoint):
        raise UsageError("--to is a running `predue serve`, --bucket a deployed stack; give one of them")
    if given.endpoint and not given.bucket:
        raise UsageError("--endpoint says where --bucket is; without one the files go to a stack of their own")
    options = bulk.Options(
        files=tuple(given.files),
        out=given.out,
        source=given.source or ("demo" if given.to else "core"),
        tenant=given.tenant,
        complete=given.complete,
        confirm=given.confirm,
        policy=_policy(given.policy),
        bucket=given.bucket,
        endpoint=given.endpoint,
        served=given.to or "",
        patience=given.patience,
    )
    with _bar() as progress:
        reports = bulk.import_files(options, progress)
    print(bulk.text(reports, given.out))
    ends = {one["status"] for one in reports}
    if ends != {"done"}:
        return HELD if "held" in ends else USAGE
    return REJECTED if any(one["rejected"] for one in reports) else DONE


def _chaos_parser(chaos: argparse.ArgumentParser) -> None:
    which = chaos.add_mutually_exclusive_group()
    which.add_argument("--seeds", type=_seeds, metavar="A-B", help="the seeds from A to B")
    which.add_argument("--runs", type=_count, default=_RUNS, metavar="N", help=f"the seeds 1 to N (default {_RUNS})")
    which.add_argument("--replay", type=Path, metavar="CASE", help="the folder of a kept case, and nothing else")
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


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def _minutes(text: str) -> timedelta:
    """Raises ValueError, which argparse tells, for what is no number."""
    minutes = float(text)
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"must be over 0 and at most {_MOST_MINUTES}")
    return timedelta(minutes=minutes)


def _chaos(given: argparse.Namespace) -> int:
    """Run the seeds or the case; keep what fails, and tell how to run it again."""
    with tempfile.TemporaryDirectory(prefix="predue-chaos-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        cases = _chaos_cases(given, scratch)
        with _bar() as progress:
            tally = chaos_runs.play_all(cases, scratch, given.jobs, progress)
        print(chaos_report.text(tally))
        for failure in () if given.replay else tally.failures:
            print(chaos_report.kept(failure.case.keep(list(failure.wrong), given.keep)))
    return BROKEN if tally.failures else UNDONE if tally.lost else DONE


def _chaos_cases(given: argparse.Namespace, scratch: Path) -> list[Case]:
    if given.replay:
        try:
            return [Case.read(given.replay, given.out)]
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"{given.replay} is no kept case ({type(error).__name__}: {error})") from error
    seeds = given.seeds or range(1, given.runs + 1)
    own = given.borrowers, given.installments, given.first_day, given.last_day
    if not any((*own, given.events, given.policy)):
        return [chaos_runs.generated(seed, scratch / f"seed-{seed}") for seed in seeds]
    if not all(own) or given.last_day < given.first_day:
        raise UsageError("a portfolio of one's own takes --borrowers, --installments, --from and --to")
    _policy(given.policy)
    read_portfolio(given.borrowers, given.installments, given.events)
    with_files(scratch / "own", given.borrowers, given.installments, given.events, given.policy)
    return [Case(scratch / "own", seed, given.first_day, given.last_day) for seed in seeds]


def _run(given: argparse.Namespace) -> int:
    if given.last_day < given.first_day:
        raise UsageError(f"--to {given.last_day} lies before --from {given.first_day}")
    policy = _policy(given.policy)
    portfolio = read_portfolio(given.borrowers, given.installments, given.events)
    title = f"{given.installments.parent.name or 'portfolio'}, {given.first_day} to {given.last_day}"
    options = Options(
        given.first_day, given.last_day, given.out, given.seed, policy, title, given.chaos, given.endpoint or ""
    )
    options = replace(options, publish=given.publish)
    with _bar() as progress:
        result = run(portfolio, options, progress)
    return _finish(result, given.out)


def _served(text: str) -> str:
    try:
        return served_at(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _endpoint(text: str) -> str:
    try:
        return address(text)
    except BadEndpoint as error:
        raise argparse.ArgumentTypeError(str(error)) from error


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


def _mapping(given: argparse.Namespace) -> int:
    """Print the events of one message, a line each."""
    try:
        text, message = given.file.read_text(encoding="utf-8"), json.loads(given.message.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{given.file} or {given.message} cannot be read as TOML and JSON text ({error})") from error
    try:
        reading = read("mapping", message, Source(given.source, lambda _loan_id: {}, Settings(mapping=text)))
    except BadNews as error:
        raise UsageError(f"{given.message}: {error}") from error
    for event in reading.events:
        print(json.dumps(event))
    for reason in reading.passed_over:
        print(f"passed over: {reason}", file=sys.stderr)
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
