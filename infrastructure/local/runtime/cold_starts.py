"""Calls every function of the template in the real Lambda runtime, checks what it did, and measures its cold start."""

import argparse
import json
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from infrastructure.local.aws.aws_server import AwsServer, aws_server
from infrastructure.local.runtime.effects import Missed, check
from infrastructure.local.runtime.emulator import PYTHON, ROOT, Deployed, RuntimeFailure, missing, running
from infrastructure.local.runtime.scene import deployed, scene, template

OUT = ROOT / "build/runtime.json"
_STARTS = 3


@dataclass(frozen=True)
class Measured:
    """One function's figures: milliseconds (medians over the starts), and megabytes at the peak."""

    function: str
    cold_start_ms: float
    first_call_ms: float
    warm_call_ms: float
    peak_mb: float | None
    did: str
    failure: str = ""


def functions() -> list[str]:
    """The handlers' files of the template's functions, in the template's order."""
    return [one.module for one in deployed(template(lambda resource, _attribute: resource.name))]


def measure(server: AwsServer, module: str, starts: int) -> Measured:
    """Start a function some times, each time calling it twice with its recorded event, and check what it did."""
    try:
        made = scene(server, datetime.now(UTC))
        event, function = made.event(module), made.function(module)
        # The one before those that count writes the bytecode, which the build ships.
        figures = [_start(function, server.endpoint, event) for _ in range(1 + starts)][1:]
        did = check(made, module, figures[-1].answer)
    except (RuntimeFailure, Missed) as error:
        return Measured(module, 0, 0, 0, None, "", str(error))
    return Measured(
        function=module,
        cold_start_ms=round(median(one.cold_ms for one in figures)),
        first_call_ms=round(median(one.first_ms for one in figures)),
        warm_call_ms=round(median(one.warm_ms for one in figures)),
        peak_mb=max((one.peak_mb for one in figures if one.peak_mb is not None), default=None),
        did=did,
    )


class _Start(NamedTuple):
    cold_ms: float
    first_ms: float
    warm_ms: float
    peak_mb: float | None
    answer: Any


def _start(function: Deployed, endpoint: str, event: Any) -> _Start:
    with running(function, endpoint) as one:
        first = one.invoke(event)
        # The same event again, as Scheduler, SQS and a mail provider may send it.
        warm = one.invoke(event)
        return _Start(one.cold_start_ms, first.ms, warm.ms, one.peak_mb, warm.answer)


def table(measured: Sequence[Measured]) -> str:
    """The figures for a terminal."""
    width = max(len(one.function) for one in measured)
    lines = [f"{'function':{width}}  cold start  first call  warm call     peak  did"]
    for one in measured:
        if one.failure:
            lines.append(f"{one.function:{width}}  FAILED: {one.failure}")
            continue
        peak = f"{one.peak_mb:5.0f} MB" if one.peak_mb is not None else "       -"
        lines.append(
            f"{one.function:{width}}  {one.cold_start_ms:7.0f} ms  {one.first_call_ms:7.0f} ms  "
            f"{one.warm_call_ms:6.0f} ms {peak}  {one.did}"
        )
    return "\n".join(lines)


def _machine() -> dict[str, str]:
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own environment
    return {"python": version.split()[-1], "processor": platform.machine()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 if every function did what it must, 1 if one did not, 2 if the runtime is not installed."""
    parser = argparse.ArgumentParser(prog="make runtime", description=__doc__)
    parser.add_argument("--starts", type=int, default=_STARTS, help=f"cold starts of each function (default {_STARTS})")
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go, as JSON")
    given = parser.parse_args(arguments)
    if reason := missing():
        print(f"runtime: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    with aws_server() as server:
        measured = [measure(server, module, given.starts) for module in functions()]
    print(table(measured))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"starts": given.starts, **_machine(), "functions": [asdict(one) for one in measured]}
    given.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if any(one.failure for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
