"""The results of a portfolio's parts as those of the whole: lines merged in their order, as streams."""

import heapq
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from infrastructure.local.runs import outputs

Key = Callable[[str], tuple[str, ...]]


def merge(out: Path, parts: Sequence[Path]) -> None:
    """Merge the files of lines of all parts into the folder of the whole."""
    with ExitStack() as stack:
        twice = [zip(_lines(part / "contacts.jsonl", stack), _lines(part / "records.jsonl", stack)) for part in parts]  # noqa: B905 - both are as long
        contacts, records = (
            stack.enter_context((out / name).open("w", encoding="utf-8"))
            for name in ("contacts.jsonl", "records.jsonl")
        )
        for contact, record in heapq.merge(*twice, key=lambda both: _reminder(both[0])):
            contacts.write(contact)
            records.write(record)
    for name, key in _KEYS.items():
        with ExitStack() as stack:
            merged = heapq.merge(*(_lines(part / name, stack) for part in parts), key=key)
            with (out / name).open("w", encoding="utf-8") as file:
                file.writelines(merged)
    with (out / "logs.jsonl").open("wb") as file:
        for part in parts:
            with (part / "logs.jsonl").open("rb") as log:
                shutil.copyfileobj(log, file)


def _lines(path: Path, stack: ExitStack) -> Iterator[str]:
    return iter(stack.enter_context(path.open(encoding="utf-8")))


def _reminder(line: str) -> tuple[str, str]:
    """What sorts a line of contacts.jsonl or wire.jsonl, of which instant and reminder are the first and third value;
    these are millions, and to read each whole would take longer than all else here.
    """
    parts = line.split('"', 12)
    return outputs.by_instant({"at": parts[3], "reminder_id": parts[11]})


def _handed_over(line: str) -> tuple[str, ...]:
    one: dict[str, Any] = json.loads(line)
    return (*outputs.by_instant(one), one["event_id"])


def _opened(line: str) -> tuple[str, ...]:
    one: dict[str, Any] = json.loads(line)
    return outputs.by_instant({"at": one["opened_at"], "reminder_id": one["case_id"]})


def _queue(line: str) -> tuple[str, ...]:
    return (str(json.loads(line)["queue"]),)


_KEYS: dict[str, Key] = {
    "wire.jsonl": _reminder,
    "overdue.jsonl": _handed_over,
    "cases.jsonl": _opened,
    "dead_letters.jsonl": _queue,
}
