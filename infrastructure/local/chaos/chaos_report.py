"""What many runs under chaos came to, for a terminal."""

import os
from collections import Counter
from pathlib import Path

from infrastructure.local.chaos.chaos_runs import ChaosTally, SeedOutcome
from infrastructure.local.report import words

_SHOWN = 3


def text(tally: ChaosTally) -> str:
    """Faults by kind, promises checked, and what failed."""
    ran = [one for one in tally.done if not one.unfit]
    faults, checked = Counter[str](), Counter[str]()
    for one in ran:
        faults += one.faults
        checked += one.checked
    lines = [f"{len(ran)} seeds ran and met {faults.total():,} faults."]
    lines += ["", "Faults"] + [f"  {name.replace('_', ' '):<24} {count:>9,}" for name, count in sorted(faults.items())]
    lines += ["", "Promises checked"]
    lines += [
        f"  {number:>2}  {words.PROMISES.get(number, ''):<64} {checked[number]:>9,}"
        for number in sorted(checked, key=int)
    ]
    lines += ["", *_ending(tally)]
    return "\n".join(lines)


def _ending(tally: ChaosTally) -> list[str]:
    lines = [line for failure in tally.failures for line in _failure(failure)]
    if tally.lost:
        seeds = ", ".join(map(str, tally.lost))
        lines.append(f"ENDED EARLY ({tally.stopped}); these seeds did not run to their end: {seeds}")
    return lines or ["Every promise was kept."]


def _failure(failure: SeedOutcome) -> list[str]:
    more = len(failure.wrong) - _SHOWN
    rest = [f"    and {more} more"] if more > 0 else []
    return [
        f"FAILED: seed {failure.case.seed} over the {failure.case.over}",
        *(f"    {what}" for what in failure.wrong[:_SHOWN]),
        *rest,
    ]


def kept(place: Path) -> str:
    """Where a failure is kept, and how to run just that one again."""
    shown = os.path.relpath(place)
    return f"Kept as {shown}; again: .venv/bin/predue chaos --replay {shown}"
