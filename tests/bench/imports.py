"""Time and memory of an import by the size of its file: `python -m tests.bench.imports 10000 1000000`.

Each size runs in a process of its own, over a file and work objects on disk and a table in memory that forgets after
each chunk, so that what grows is the import's own. All rows are read, checked, written as chunks, read again and
applied as news; one in a thousand is bad and goes to the report. No call of AWS is in it.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from predue import bulk_read, instant
from predue.bulk import Import
from predue.news import NewsDesk
from predue.policy import ImportsSetting
from predue.profile import Profile
from tests.depot import Depot
from tests.unit.world import World

_HEADER = "loan_id,installment_no,borrower_id,due_date,amount,currency,grace_days,status\n"
_BAD_EVERY = 1000


class _Forgetful(World):
    """A world that knows every borrower, and forgets what it was told when it is asked for a new desk."""

    def news_desk(self) -> NewsDesk:
        for kept in (self.store.ledgers, self.store.dues, self.store.index, self.store.pointers, self.store.events):
            kept.clear()
        self.store.calls.clear()
        self.store.profile = lambda borrower_id: Profile(borrower_id, "r" * 16)  # type: ignore[method-assign]  # anybody is known
        return super().news_desk()


def measure(rows: int) -> dict[str, float]:
    """Import so many rows; seconds, and megabytes at the peak of this process."""
    with tempfile.TemporaryDirectory(prefix="predue-bench-") as folder:
        depot = Depot(Path(folder), _Forgetful(), ImportsSetting(most_due_soon=10**9))
        name = _put(depot, rows)
        depot.world.now += timedelta(minutes=1)
        began = time.monotonic()
        state = depot.run(name)
        seconds = time.monotonic() - began
    told = {"rows": state.rows, "applied": state.tally["applied"], "rejected": state.tally["rejected"]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**told, "megabytes": round(state.size / 1e6, 1), "seconds": round(seconds, 1), "peak_mb": round(peak, 1)}


def _put(depot: Depot, rows: int) -> str:
    path = depot.files._path("books/core/i.csv")
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        for number in range(rows):
            day = "soon" if number % _BAD_EVERY == _BAD_EVERY - 1 else f"2026-{7 + number % 6:02}-{1 + number % 28:02}"
            file.write(f"L-{number // 12},{1 + number % 12},b-{number // 24},{day},120.50,USD,5,open\n")
    at = instant.to_text(depot.world.now)
    etag = depot.files._etag_of(path)
    state = bulk_read.begun(Import("books/core/i.csv", etag, path.stat().st_size, at, "", started_at=at))
    depot.files.save(state, "")
    return state.id


def main() -> None:
    """Measure each size given, each in a process of its own; one size alone is measured here."""
    sizes = sys.argv[1:] or ["10000", "1000000"]
    if len(sizes) == 1:
        print(json.dumps(measure(int(sizes[0]))))  # noqa: T201 - a command for a terminal
        return
    for size in sizes:
        subprocess.run([sys.executable, "-m", "tests.bench.imports", size], check=True)  # noqa: S603 - our own words


if __name__ == "__main__":
    main()
