"""`predue serve`: the stack in real time."""

import argparse
from pathlib import Path

from infrastructure.local.cli.terminal import DONE, UsageError, policy_of, progress_bar
from infrastructure.local.serve.serve import ServeOptions, serve


def add(one: argparse.ArgumentParser) -> None:
    """The command's options."""
    one.add_argument("--port", type=int, default=8000, metavar="N", help="default 8000; 0: any")
    one.add_argument("--borrowers", type=Path, help="borrowers.csv; without it, a bundled portfolio around today")
    one.add_argument("--installments", type=Path, help="installments.csv")
    one.add_argument("--events", type=Path, help="events.jsonl")
    one.add_argument("--out", type=Path, default=Path("build/serve"), help="folder for the outputs (build/serve)")
    one.add_argument("--seed", type=int, default=1, help="what the carriers' fates are drawn from (default 1)")
    one.add_argument("--policy", type=Path, help="policy.toml; see docs/policy.md")
    one.set_defaults(command=_serve)


def _serve(given: argparse.Namespace) -> int:
    if given.port not in range(2**16):
        raise UsageError(f"--port {given.port}: a port is a number from 0 to {2**16 - 1}")
    if bool(given.borrowers) != bool(given.installments) or (given.events and not given.borrowers):
        raise UsageError("--borrowers and --installments belong together, and --events to them")
    files = (given.borrowers, given.installments, given.events) if given.borrowers else None
    serve(ServeOptions(given.out, given.port, given.seed, policy_of(given.policy), files), progress_bar)
    return DONE
