"""`predue import`: files of whole books."""

import argparse
from datetime import timedelta
from pathlib import Path

from infrastructure.local.cli import import_run
from infrastructure.local.cli.buckets import served_at
from infrastructure.local.cli.terminal import DONE, HELD, REJECTED, USAGE, UsageError, policy_of, progress_bar

_MOST_MINUTES = 14 * 24 * 60
"""How long a queue keeps what failed (infrastructure/bulk.yaml)."""

HELP = (
    "files through the deployed import: into a stack of their own, which shows what they would do and goes when the "
    "command ends, with --to into a running `predue serve`, or with --bucket into a deployed one"
)


def add(one: argparse.ArgumentParser) -> None:
    """The command's options."""
    one.add_argument("files", type=Path, nargs="+", metavar="FILE", help="*.csv or *.jsonl, or either with .gz")
    one.add_argument("--source", help="the source that the files are of (default core, and demo with --to)")
    one.add_argument("--complete", action="store_true", help="the last file is all that is open: the rest is closed")
    one.add_argument("--confirm", action="store_true", help="the files are right: what is held goes on")
    one.add_argument("--out", type=Path, default=Path("build/import"), help="folder for the reports (build/import)")
    one.add_argument(
        "--patience",
        type=_minutes,
        default=import_run.PATIENCE,
        metavar="MINUTES",
        help="with one that stands still (30)",
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
    options = import_run.ImportOptions(
        files=tuple(given.files),
        out=given.out,
        source=given.source or ("demo" if given.to else "core"),
        tenant=given.tenant,
        complete=given.complete,
        confirm=given.confirm,
        policy=policy_of(given.policy),
        bucket=given.bucket,
        endpoint=given.endpoint,
        served=given.to or "",
        patience=given.patience,
    )
    with progress_bar() as progress:
        reports = import_run.import_files(options, progress)
    print(import_run.text(reports, given.out))
    ends = {one["status"] for one in reports}
    if ends != {"done"}:
        return HELD if "held" in ends else USAGE
    return REJECTED if any(one["rejected"] for one in reports) else DONE


def _minutes(text: str) -> timedelta:
    """Raises ValueError, which argparse tells, for what is no number."""
    minutes = float(text)
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"must be over 0 and at most {_MOST_MINUTES}")
    return timedelta(minutes=minutes)


def _served(text: str) -> str:
    try:
        return served_at(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
