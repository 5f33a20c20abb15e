"""AWS calls of one webhook request of many events about one loan: `python -m tests.bench.webhook 500`.

The deployed function takes them over moto, and every call is counted at the wire, so the counts are exact and the same
on every machine. The time is moto's, and says nothing of AWS.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.flow.published import event, open_door, tell
from tests.flow.small import Book, Standing, standing, utc

KINDS: dict[str, dict[str, Any]] = {
    "installment.scheduled": {"borrower_id": "b-1", "due_date": "2026-12-20", "amount": "120.00", "currency": "USD"},
    "installment.rescheduled": {"due_date": "2026-12-21"},
    "installment.paid": {"amount": "1.00"},
    "installment.disputed": {},
    "installment.cancelled": {},
}
_NUMBERS = 100
"""Installments of the loan, over which the events go round."""


def calls(stand: Standing, kind: str, events: int, first: int = 0, was: str = "applied") -> tuple[Counter[str], float]:
    """The calls of one request, and its seconds; every event must be taken, or be known already."""
    bodies = [
        event(
            kind, f"{kind}-{first + number}", first + number, **KINDS[kind] | {"installment_no": 1 + number % _NUMBERS}
        )
        for number in range(events)
    ]
    before, began = Counter(stand.stack.meter.work["predue-ingest"]), time.monotonic()
    answer = tell(stand, *bodies, array=True)
    seconds = time.monotonic() - began
    if answer.status != 200 or {one["status"] for one in answer.body["results"]} != {was}:
        raise SystemExit(f"{kind}: not all were taken ({answer.status})")
    return Counter(stand.stack.meter.work["predue-ingest"]) - before, seconds


def main() -> None:
    """Print the calls of an event of each kind, by operation."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with (
        tempfile.TemporaryDirectory(prefix="predue-bench-") as folder,
        standing(Path(folder), Book().borrower(), utc(6), Workers=1) as stand,
    ):
        open_door(stand)
        calls(stand, "installment.scheduled", _NUMBERS)
        for number, kind in enumerate(KINDS):
            counted, seconds = calls(stand, kind, events, first=_NUMBERS + number * events)
            each = {name: round(count / events, 2) for name, count in sorted(counted.items())}
            again, _ = calls(stand, kind, events, first=_NUMBERS + number * events, was="duplicate")
            told = {"kind": kind, "events": events, "calls_each": round(sum(counted.values()) / events, 2)}
            told["calls_again"] = round(sum(again.values()) / events, 2)
            print(json.dumps(told | {"by_operation": each, "seconds_over_moto": round(seconds, 1)}))  # noqa: T201


if __name__ == "__main__":
    main()
