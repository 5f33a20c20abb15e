"""A chaos run that can be repeated: the portfolio's files, the days, the seed, and the policy if it is not the default.

A case is kept whole or not at all: it is made beside its place and then moved there in one step.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from infrastructure.local.runs.portfolio import read_portfolio
from infrastructure.local.runs.run import Progress, RunOptions, run
from infrastructure.local.simulate.parts import simulate
from predue.domain.policy import Policy, read_policy

KEPT = Path(__file__).parents[3] / "tests" / "flow" / "regressions"
FILES = ("borrowers.csv", "installments.csv", "events.jsonl")
Over = Literal["handlers", "ports"]
POLICY, _ABOUT = "policy.toml", "case.json"


@dataclass(frozen=True)
class ChaosCase:
    """One run under chaos, over the handlers or the ports; `folder` holds the input files, and `out` is where its
    results stay, if anywhere.
    """

    folder: Path
    seed: int
    first_day: date
    last_day: date
    out: Path | None = None
    over: Over = "handlers"

    @classmethod
    def read(cls, folder: Path, out: Path | None = None) -> "ChaosCase":
        """Read a kept case; raises OSError, ValueError or KeyError for a folder that is none."""
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        first_day, last_day = (date.fromisoformat(about[name]) for name in ("from", "to"))
        return cls(folder, about["seed"], first_day, last_day, out, about.get("over", "handlers"))

    def play(self, out: Path, progress: Progress) -> dict[str, Any]:
        """Run it, and return the summary."""
        borrowers, installments, events = (self.folder / name for name in FILES)
        policy = self.folder / POLICY
        portfolio = read_portfolio(borrowers, installments, events if events.exists() else None)
        rules = read_policy(policy.read_text(encoding="utf-8")) if policy.exists() else Policy()
        options = RunOptions(self.first_day, self.last_day, out, self.seed, rules, chaos=True, moving_events=True)
        return (run if self.over == "handlers" else simulate)(portfolio, options, progress)

    def _inputs(self) -> list[Path]:
        return [path for name in (*FILES, POLICY) if (path := self.folder / name).exists()]

    @property
    def name(self) -> str:
        """Seed and a hash of the inputs: the same case has the same name."""
        digest = hashlib.sha256()
        for path in self._inputs():
            digest.update(path.read_bytes())
        digest.update(f"{self.first_day}{self.last_day}{'' if self.over == 'handlers' else self.over}".encode())
        return f"seed-{self.seed}-{digest.hexdigest()[:8]}"

    def keep(self, why: list[str], kept: Path = KEPT) -> Path:
        """Keep it for good, with what went wrong, under its name; one that is kept already stays as it is.

        Raises OSError, and leaves nothing, if it cannot be written whole.
        """
        place = kept / self.name
        if place.exists():
            return place
        about = {
            "over": self.over,
            "seed": self.seed,
            "from": str(self.first_day),
            "to": str(self.last_day),
            "why": why,
        }
        kept.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".keeping-", dir=kept))
        try:
            for path in self._inputs():
                shutil.copyfile(path, made / path.name)
            (made / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
            made.chmod(0o755)
            made.rename(place)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return place


def kept_cases(kept: Path = KEPT) -> list[Path]:
    """The folders of all kept cases; one that was being written when its process died is none."""
    return sorted(path.parent for path in kept.glob(f"[!.]*/{_ABOUT}"))


def with_files(folder: Path, borrowers: Path, installments: Path, events: Path | None, policy: Path | None) -> None:
    """Put a portfolio of one's own into a case's folder."""
    given = {FILES[0]: borrowers, FILES[1]: installments, FILES[2]: events, POLICY: policy}
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in given.items():
        if path is not None:
            shutil.copyfile(path, folder / name)
