"""Many runs under chaos side by side, each seed in a process of its own, and what became of them together."""

import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from infrastructure.local.chaos import chaos_data
from infrastructure.local.chaos.chaos_case import ChaosCase, Over
from infrastructure.local.runs.pools import as_done
from infrastructure.local.runs.run import Progress

_PATIENCE = 300
"""Seconds without any happening in a run, after which it counts as hung; one takes milliseconds."""


class Hung(BaseException):
    """A run does not come to its end; no handler may catch this as a failure of its own."""


@dataclass(frozen=True)
class SeedOutcome:
    """What became of one seed: `faults` by kind, `checked` by promise, and what went wrong, if anything.

    `unfit` tells why the machine could not do it, such as a full disk; that says nothing of the promises.
    """

    case: ChaosCase
    faults: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    wrong: tuple[str, ...] = ()
    unfit: str = ""


@dataclass
class ChaosTally:
    """What became of all seeds; `lost` are those that a killed process took along or that nobody ran."""

    done: list[SeedOutcome] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    stopped: str = ""

    @property
    def failures(self) -> list[SeedOutcome]:
        """The seeds whose run broke a promise or ended in an exception."""
        return [one for one in self.done if one.wrong]


def generated(seed: int, folder: Path, over: Over = "handlers") -> ChaosCase:
    """A case over a portfolio of its own, which is written into the folder."""
    chaos_data.write_portfolio(folder, seed)
    return ChaosCase(folder, seed, chaos_data.FIRST_DAY, chaos_data.LAST_DAY, over=over)


def play(case: ChaosCase, scratch: Path) -> SeedOutcome:
    """Run a case; an exception in it is a failure, as a broken promise is."""
    passing = Path(tempfile.mkdtemp(prefix=f"seed-{case.seed}-", dir=scratch))
    try:
        with _watched() as progress:
            summary = case.play(case.out or passing, progress)
    except (OSError, MemoryError) as error:
        return SeedOutcome(case, unfit=f"{type(error).__name__}: {error}")
    except (Exception, Hung):  # noqa: BLE001 - whatever a run raises is a finding
        return SeedOutcome(case, wrong=(traceback.format_exc(limit=-6),))
    finally:
        shutil.rmtree(passing, ignore_errors=True)
    wrong = tuple(str(one["detail"]) for one in summary["promises"]["broken"])
    return SeedOutcome(case, Counter(summary["faults"]), Counter(summary["promises"]["checked"]), wrong)


@contextmanager
def _watched(patience: int = _PATIENCE) -> Iterator[Progress]:
    """Within this, Hung is raised where a run stands when it has shown no progress for so many seconds."""

    def give_up(*_: object) -> None:
        raise Hung(f"nothing moved for {patience} seconds")

    def moved(_share: float, _what: str) -> None:
        signal.alarm(patience)

    before = signal.signal(signal.SIGALRM, give_up)
    try:
        moved(0, "")
        yield moved
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def play_all(
    cases: Sequence[ChaosCase],
    scratch: Path,
    jobs: int,
    progress: Progress = lambda _share, _what: None,
    *,
    first: bool = False,
) -> ChaosTally:
    """Run cases, `jobs` at a time; Ctrl-C, a killed process and a full disk end it with what is done until then, and so
    does the `first` failure, if that is all that is asked for.
    """
    tally = ChaosTally()
    try:
        for outcome in as_done(partial(play, scratch=scratch), cases, jobs):
            tally.done.append(outcome)
            progress(len(tally.done) / len(cases), f"seed {outcome.case.seed}")
            if outcome.unfit or (first and outcome.wrong):
                tally.stopped = outcome.unfit or "the first failure is found"
                break
    except KeyboardInterrupt:
        tally.stopped = "stopped by hand"
    except BrokenProcessPool:
        tally.stopped = "a process was killed"
    done = {(outcome.case.over, outcome.case.seed) for outcome in tally.done if not outcome.unfit}
    tally.lost = [case.seed for case in cases if (case.over, case.seed) not in done]
    return tally
