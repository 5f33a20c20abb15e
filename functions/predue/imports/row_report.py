"""What is told of rows beside their file: those that were rejected, and what of the others cannot be used as it stands.

It repeats nothing of a row but the id of whom it is about.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from predue.events.tenant import split_tenant

REJECTED_COLUMNS = ("file", "line", "id", "field", "reason")
WARNED_COLUMNS = ("file", "line", "field", "reason", "id")
_LONGEST_ID = 128
_NAME = re.compile(r"[a-z_]{1,40}")
# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Told(NamedTuple):
    """What is told of one row: its 1-based physical line, whose it is and which field, each empty where that is not
    known.
    """

    line: int
    reason: str
    id: str = ""
    field: str = ""


def about(body: Any) -> str:
    """Whose an event is, by the id that its sender knows: its loan's, else its borrower's; empty if that is no id."""
    kept = body.get("loan_id") or body.get("borrower_id") if isinstance(body, Mapping) else None
    good = isinstance(kept, str) and len(kept) <= _LONGEST_ID and kept.isprintable()
    return split_tenant(str(kept))[1] if good else ""


def lines(file: str, told: Iterable[Told], columns: Sequence[str]) -> bytes:
    """Lines of a report about one file, in these columns."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    for one in told:
        cells = {**one._asdict(), "file": _safe(file), "id": _safe(one.id), "field": named(one.field)}
        writer.writerow([cells[column] for column in columns])
    return made.getvalue().encode()


def named(field: str) -> str:
    """A field's name, empty if it is so unlike one that it may be anything."""
    return field if _NAME.fullmatch(field) else ""


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
