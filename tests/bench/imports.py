"""Time and memory of an import by the size of its file: `python -m tests.bench.imports 10000 1000000`.

Each size runs in a process of its own, over a file and work objects on disk and a table in memory that forgets after
each chunk, so that what grows is the import's own. All rows are read, checked, written as chunks, read again and
applied as events; one in a thousand is bad and goes to the report. No call of AWS is in it.

With `--complete` the file is a complete statement: every row of it is open already, and so is one more installment for
every twenty rows, which the statement closes. No row is bad, since a statement with a bad one closes nothing. What is
open is made while it is listed and held nowhere.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from predue.borrowers.ports import IndexEntry
from predue.domain import instant
from predue.domain.due import Change, Due
from predue.domain.policy import ImportsSetting
from predue.domain.profile import Profile
from predue.events.event_services import EventServices
from predue.imports import file_reading
from predue.imports.import_state import Import
from tests.depot import Depot, StoreOpenDues
from tests.unit.world import World

_HEADER = "loan_id,installment_no,borrower_id,due_date,amount,currency,grace_days,status\n"
_BAD_EVERY = 1000
_GONE_EVERY = 20
_GONE = "G-"
_PAGE = 7000
"""Rows whose entries of the index are about the megabyte that a scan reads at a time."""
_DAY = date(2026, 7, 1)


class _Everybody(dict[str, Profile]):
    """Profiles, of which there is one of anybody."""

    def get(self, borrower_id: str, _default: object = None) -> Profile:
        return Profile(borrower_id, "r" * 16)


class _Forgetful(World):
    """A world that knows every borrower and every installment that is to be closed, and forgets what it was told when
    it is asked for a new services.
    """

    def event_services(self) -> EventServices:
        for kept in (self.store.ledgers, self.store.dues, self.store.index, self.store.pointers, self.store.events):
            kept.clear()
        self.store.calls.clear()
        self.store.profiles = _Everybody()
        self.store.pointer = self._pointer  # type: ignore[method-assign]  # those that are to be closed are known
        self.store.due = self._due  # type: ignore[method-assign]
        return super().event_services()

    def _pointer(self, loan_id: str, installment_no: int) -> tuple[str, date] | None:
        if loan_id.startswith(_GONE):
            return f"b-{loan_id}", _DAY
        return self.store.pointers.get((loan_id, installment_no))

    def _due(self, borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Due | None:
        stored = {due.loan_id: due for due in self.store.dues.get(borrower_id, {}).values()}
        return stored.get(loan_id) or self.open_due(borrower_id, due_date, loan_id, installment_no)

    def open_due(self, borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Due:
        """An installment as the source told it a day before its statement."""
        known = (Change(self.now - timedelta(days=1), True),)
        return Due(borrower_id, loan_id, installment_no, due_date, 12050, "USD", 5, known, source="core")


class _Endless(StoreOpenDues):
    """The open installments of a statement of so many rows, and those that it lacks."""

    def __init__(self, world: _Forgetful, rows: int) -> None:
        super().__init__(world.store)
        self._world = world
        self._rows = rows

    def all_open(self, after: str) -> tuple[list[IndexEntry], str]:
        first = int(after or 0)
        numbers = range(first, min(first + _PAGE, self._rows))
        return list(self._open(numbers)), str(numbers.stop) if numbers.stop < self._rows else ""

    def _open(self, numbers: Iterable[int]) -> Iterator[IndexEntry]:
        at = self._world.now
        for number in numbers:
            loan_id, installment_no, borrower_id = _named(number)
            yield IndexEntry(borrower_id, loan_id, installment_no, _DAY, "", at)
            if number % _GONE_EVERY == 0:
                yield IndexEntry(f"b-{_GONE}{number}", f"{_GONE}{number}", 1, _DAY, "", at)

    def dues_of(self, entries: Sequence[IndexEntry]) -> list[Due]:
        return [self._world.open_due(one.borrower_id, one.due_date, one.loan_id, one.installment_no) for one in entries]

    def due_dates_of(self, installments: Sequence[tuple[str, int]]) -> dict[tuple[str, int], date]:
        return dict.fromkeys(installments, _DAY)


def measure(rows: int, *, complete: bool = False) -> dict[str, float]:
    """Import so many rows; seconds, and megabytes at the peak of this process."""
    with tempfile.TemporaryDirectory(prefix="predue-bench-") as folder:
        world = _Forgetful()
        depot = Depot(Path(folder), world, ImportsSetting(most_due_soon=10**9))
        if complete:
            depot.open_dues = _Endless(world, rows)
        name = _put(depot, rows, "i.complete.csv" if complete else "i.csv")
        depot.world.now += timedelta(minutes=1)
        began = time.monotonic()
        state = depot.run(name)
        seconds = time.monotonic() - began
    told = {name: state.tally.get(name, 0) for name in ("applied", "rejected", "closed")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measured = {"megabytes": round(state.size / 1e6, 1), "seconds": round(seconds, 1), "peak_mb": round(peak, 1)}
    return {"rows": state.rows, **told, **measured}


def _named(number: int) -> tuple[str, int, str]:
    return f"L-{number // 12}", 1 + number % 12, f"b-{number // 24}"


def _put(depot: Depot, rows: int, name: str) -> str:
    key = f"books/core/{name}"
    path = depot.files._path(key)
    bad_every = _BAD_EVERY if name == "i.csv" else rows + 1
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        for number in range(rows):
            day = "soon" if number % bad_every == bad_every - 1 else f"2026-{7 + number % 6:02}-{1 + number % 28:02}"
            loan_id, installment_no, borrower_id = _named(number)
            file.write(f"{loan_id},{installment_no},{borrower_id},{day},120.50,USD,5,open\n")
    at = instant.to_text(depot.world.now)
    etag = depot.files._etag_of(path)
    state = file_reading.begun(Import(key, etag, path.stat().st_size, at, "", started_at=at))
    depot.files.save(state, "")
    return state.id


def main() -> None:
    """Measure each size given, each in a process of its own; one size alone is measured here."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.imports")
    parser.add_argument("sizes", type=int, nargs="*", default=[10_000, 1_000_000], metavar="ROWS")
    parser.add_argument("--complete", action="store_true", help="the file is a complete statement")
    given = parser.parse_args()
    if len(given.sizes) == 1:
        print(json.dumps(measure(given.sizes[0], complete=given.complete)))  # noqa: T201 - a command for a terminal
        return
    for size in given.sizes:
        command = [sys.executable, "-m", "tests.bench.imports", str(size), *["--complete"] * given.complete]
        subprocess.run(command, check=True)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
