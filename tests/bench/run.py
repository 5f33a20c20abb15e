"""Every benchmark, told as tables and written to build/bench.json: `make bench`."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_GOALS = {"dollars": 2.75, "ratio": 1.25, "planner": 60.0, "simulation": 50.0}


def _measured(module: str, *arguments: str) -> dict[str, Any]:
    """What one benchmark says, in a process of its own."""
    print(f"bench: {module} {' '.join(arguments)}", file=sys.stderr)  # noqa: T201 - a command for a terminal
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own modules
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _bill(found: dict[str, Any]) -> list[str]:
    """The bill of a million delivered reminders by cause, and what a month costs before the first of them.

    predue is 71 emails to 29 text messages, as in `make demo`.
    """
    designs = ("email", "sms", "predue", "floor", "naive")
    lines = [f"{'a million delivered reminders':<30}" + "".join(f"{name:>10}" for name in designs)]
    lines += [
        f"  {cause:<28}" + "".join(f"{found[name][cause]:>10.2f}" for name in designs) for cause in found["predue"]
    ]
    totals = {name: sum(found[name].values()) for name in designs}
    lines.append(f"  {'dollars':<28}" + "".join(f"{totals[name]:>10.2f}" for name in designs))
    fixed = sum(found["fixed_a_month"].values())
    lines.append(f"  a month with nothing due costs {fixed:.2f}, of which idle polls of queues {_polls(found):.2f}")
    return [*lines, f"  goal: at most {_GOALS['dollars']}; {_verdict(totals['predue'], _GOALS['dollars'])}"]


def _polls(found: dict[str, Any]) -> float:
    return float(found["fixed_a_month"]["sqs idle polls"])


def _verdict(value: float, most: float) -> str:
    return "met" if value <= most else f"missed by {value - most:.2f}"


def _delivery(found: dict[str, Any]) -> str:
    return (
        f"  {found['channel']:<6} {found['milliseconds_per_reminder']:.2f} ms a reminder, "
        f"{found['milliseconds_of_bare_calls']:.2f} ms the {len(found['calls'])} bare SDK calls, "
        f"ratio {found['ratio']:.2f}; goal {_GOALS['ratio']}: {_verdict(found['ratio'], _GOALS['ratio'])}"
    )


def _planner(found: dict[str, Any]) -> str:
    own = found["own_microseconds_per_due"]
    return (
        f"  {found['dues']:>9,} dues: {own:.0f} microseconds of our own each, peak {found['peak_memory_mib']:.0f} MiB; "
        f"goal {_GOALS['planner']:.0f}: {_verdict(own, _GOALS['planner'])}"
    )


def _simulation(found: dict[str, Any]) -> str:
    short = _GOALS["simulation"] - found["ratio"]
    verdict = "met" if short <= 0 else f"missed by {short:.0f}"
    return (
        f"  {found['borrowers']} borrowers for a week: {found['simulate_seconds']:.2f} s of CPU, a run takes "
        f"{found['ratio']:.0f} times as long; goal {_GOALS['simulation']:.0f}: {verdict}"
    )


def main() -> None:
    """Measure everything and tell it."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--borrowers", default="300", help="of the bill (default 300)")
    parser.add_argument("--dues", default="10000,100000", help="of the planner (default 10000,100000)")
    parser.add_argument("--simulated", default="300", help="borrowers of the simulation beside a run (default 300)")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    given = parser.parse_args()
    cost = _measured("cost", given.borrowers)
    delivery = [_measured("delivery", channel) for channel in ("sms", "email")]
    planner = [_measured("planner", dues) for dues in given.dues.split(",")]
    simulation = _measured("simulate", "run", given.simulated)
    lines = [
        *_bill(cost),
        "processor time of a delivery",
        *map(_delivery, delivery),
        "planner",
        *map(_planner, planner),
        "simulation",
        _simulation(simulation),
    ]
    print("\n".join(lines))  # noqa: T201 - a command for a terminal
    given.out.parent.mkdir(parents=True, exist_ok=True)
    found = {"bill": cost, "delivery": delivery, "planner": planner, "simulation": simulation}
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
