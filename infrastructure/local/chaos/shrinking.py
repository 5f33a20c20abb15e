"""The smallest portfolio that still fails: rows of a failed case are left out as long as what is left fails, too.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002) over borrowers with
all that is theirs, then installments, then events. With other rows other faults are drawn, so each try has a few seeds.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from infrastructure.local.chaos.chaos_case import FILES, POLICY, ChaosCase

_SEEDS, _TRIES = 12, 600
Plays = Callable[[ChaosCase], tuple[str, ...]]
"""Plays a case, and tells what went wrong in it."""
_Rows = tuple[list[str], list[str], list[str]]
"""The lines of borrowers, installments and events, without headers."""


def shrunk(case: ChaosCase, wrong: tuple[str, ...], scratch: Path, plays: Plays) -> tuple[ChaosCase, tuple[str, ...]]:
    """The smallest case that was found to fail, which may be the given one, and what went wrong in it."""
    search = _Search(case, wrong, scratch, plays)
    for kind in range(len(FILES)):
        search.leave_out(kind)
    return search.case, search.wrong


@dataclass
class _Search:
    """The smallest failing case so far; every try is written into a folder of its own."""

    case: ChaosCase
    wrong: tuple[str, ...]
    scratch: Path
    plays: Plays
    tries: int = 0

    def leave_out(self, kind: int) -> None:
        """Leave out stretches of the rows of one file, halves at first and single rows at last."""
        rows = _rows_and_events(self.case)
        size = max(1, len(rows[kind]) // 2)
        while size and self.tries < _TRIES:
            start = 0
            while start < len(rows[kind]) and self.tries < _TRIES:
                fewer = _without(rows, kind, start, size)
                if self._fails(fewer):
                    rows = fewer
                else:
                    start += size
            size //= 2

    def _fails(self, rows: _Rows) -> bool:
        """Whether some rows fail under one of a few seeds; then they are the smallest so far."""
        folder = self.scratch / f"try-{self.tries}"
        _write(self.case, rows, folder)
        for seed in dict.fromkeys((self.case.seed, *range(1, _SEEDS))):
            self.tries += 1
            candidate = replace(self.case, folder=folder, seed=seed)
            if wrong := self.plays(candidate):
                self.case, self.wrong = candidate, wrong
                return True
        return False


def _without(rows: _Rows, kind: int, start: int, size: int) -> _Rows:
    """The rows without a stretch of one kind; with a borrower goes all that is about the borrower."""
    gone = rows[kind][start : start + size]
    left = rows[kind][:start] + rows[kind][start + size :]
    if kind == 1:
        return rows[0], left, rows[2]
    if kind == 2:  # noqa: PLR2004 - the third file
        return rows[0], rows[1], left
    who = {line.partition(",")[0] for line in gone}
    theirs = [line for line in rows[1] if line.split(",")[2] in who]
    loans = {line.partition(",")[0] for line in theirs}
    about = [json.loads(line) for line in rows[2]]
    loans |= {str(one.get("loan_id")) for one in about if one.get("borrower_id") in who and "loan_id" in one}
    events = [
        line
        for line, one in zip(rows[2], about, strict=True)
        if one.get("borrower_id") not in who and one.get("loan_id") not in loans
    ]
    return left, [line for line in rows[1] if line not in theirs], events


def _rows_and_events(case: ChaosCase) -> _Rows:
    borrowers, installments, events = (
        (case.folder / name).read_text(encoding="utf-8").splitlines() if (case.folder / name).exists() else []
        for name in FILES
    )
    return borrowers[1:], installments[1:], events


def _write(case: ChaosCase, rows: _Rows, folder: Path) -> None:
    """The rows as a case's files, under the headers and the policy of the case that they come from."""
    folder.mkdir()
    for name, lines in zip(FILES, rows, strict=True):
        if (case.folder / name).exists():
            head = [] if name.endswith(".jsonl") else (case.folder / name).read_text(encoding="utf-8").splitlines()[:1]
            (folder / name).write_text("".join(f"{line}\n" for line in (*head, *lines)), encoding="utf-8")
    if (case.folder / POLICY).exists():
        (folder / POLICY).write_bytes((case.folder / POLICY).read_bytes())
