"""Reading a file: its rows become chunks of checked events, and what cannot be used is set aside with the reason."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from predue.domain import instant
from predue.errors import InvalidEvent
from predue.events.models import InstallmentEvent, Rescheduled, Scheduled
from predue.imports.book_rows import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, borrower_row, installment_row
from predue.imports.csv_rows import BadHeader, BadRow, Lines, header, json_of, records
from predue.imports.import_state import BOOKS, CHUNK_ROWS, Chunked, Import, ImportServices
from predue.imports.name_index import NameIndex, name_of
from predue.imports.unpacked import BadFile, plain, unpacked
from predue.inbound.deliveries import event_of
from predue.inbound.sources import Source

_ENDINGS = (".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
_COMPLETE = ".complete"
_INDEX_CHUNKS = 10
"""Chunks whose names make an object, and how much is read again when a call is cut off."""
_ZIP = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")
Rejected = tuple[int, str]


def begun(state: Import) -> Import:
    """A new import with what the file's key says of it; raises BadFile if that is no file's."""
    source, _, name = state.key.removeprefix(BOOKS).partition("/")
    ending = next((one for one in reversed(_ENDINGS) if name.endswith(one)), "")
    if not source or not ending or "/" in name:
        raise BadFile(f"a file is put as {BOOKS}<source>/<name>, its name ending in one of {', '.join(_ENDINGS)}")
    return replace(state, source=source, complete=name.removesuffix(ending).endswith(_COMPLETE))


def reading(state: Import, services: ImportServices) -> Iterator[Import]:
    """Read on from where an import stands, and yield what is known now and then; the last says how far it came.

    It stops after whole leaves only, however little time is left: so each object's content follows from its name, and a
    call that was overtaken by another overwrites nothing with something else.

    Raises BadFile, and whatever `Files.blocks` raises.
    """
    taken = _Taken()
    text = _text(state, services, taken)
    lines = Lines(text, state.line, state.offset)
    if not state.columns and not state.events:
        state = replace(state, columns=tuple(_header(lines, state)))
    names_index = NameIndex()
    for number, rows in enumerate(_chunks(state, lines), start=1):
        good, rejected = _sorted_out(rows, state, services.source)
        state = _noted(_named_in(names_index, good, state, services), good, rejected, services)
        following = lines.peek()
        if following is not None:
            state = replace(state, offset=following.start, line=following.number - 1)
        state = replace(state, done=min(state.size, taken.total))
        if following is not None and number % _INDEX_CHUNKS == 0:
            state = names_index.put(state, services)
            names_index = NameIndex()
            yield state
    yield names_index.put(state, services).to("checking", done=state.size)


class _Taken:
    """How many bytes of the file itself were taken, for the progress."""

    total = 0

    def counted(self, blocks: Iterable[bytes], start: int) -> Iterator[bytes]:
        self.total = start
        for block in blocks:
            if not start and block.startswith(_ZIP):
                raise BadFile("the file is an archive; put its rows as CSV or JSON Lines, plain or packed by gzip")
            start = self.total = self.total + len(block)
            yield block


def _text(state: Import, services: ImportServices, taken: _Taken) -> Iterator[bytes]:
    start = 0 if state.packed else state.offset
    blocks = taken.counted(services.files.blocks(state.key, state.etag, start), start)
    return unpacked(blocks, state.offset) if state.packed else plain(blocks)


def _header(lines: Lines, state: Import) -> list[str]:
    """The columns of a book: those of borrowers if its first line names one that only borrowers have."""
    first = lines.peek()
    borrowers = first is not None and b"consent" in first.text
    if borrowers and state.complete:
        # It holds no installment, so that as a statement it would close all of them.
        raise BadFile(
            f"a complete statement holds installments; put a book of borrowers under a name without {_COMPLETE}"
        )
    try:
        return header(lines, BORROWER_COLUMNS if borrowers else INSTALLMENT_COLUMNS)
    except BadHeader as fault:
        raise BadFile(str(fault)) from None


Row = tuple[int, Any]


def _chunks(state: Import, lines: Lines) -> Iterator[list[Row]]:
    """The rows at hand, some at a time: their line, and the fields of a record or the bytes of a line."""
    rows: list[Row] = []
    for row in _events(lines) if state.events else records(lines, len(state.columns)):
        rows.append(row)
        if len(rows) == CHUNK_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _events(lines: Lines) -> Iterator[Row]:
    for line in lines:
        if line.text.strip():
            yield line.number, line


def _sorted_out(rows: list[Row], state: Import, source: Source) -> tuple[list[Chunked], list[Rejected]]:
    good: list[Chunked] = []
    rejected: list[Rejected] = []
    for line, row in rows:
        try:
            good.append(_read(line, row, state, source))
        except (InvalidEvent, BadRow) as fault:
            rejected.append((line, str(fault)))
    return good, rejected


def _read(line: int, row: Any, state: Import, source: Source) -> Chunked:
    """What one row says; raises BadRow or InvalidEvent."""
    if state.events:
        return Chunked(line, event_of(json_of(row), source))
    if isinstance(row, str):
        raise BadRow(row)
    values = dict(zip(state.columns, row, strict=True))
    if "consent" in values:
        return Chunked(line, borrower_row(values, source))
    return Chunked(line, *installment_row(values, source))


def _noted(state: Import, good: list[Chunked], rejected: list[Rejected], services: ImportServices) -> Import:
    """Put a chunk and what was set aside of it; names follow from their numbers, so that a repeat writes the same."""
    if good:
        services.files.put(state.work(f"chunk-{state.chunks:06}"), Chunked.text(good))
    if rejected:
        services.files.put(state.work(f"rejected-{state.parts:06}"), rejected_lines(state.key, rejected))
    return replace(
        state.counting(rejected=len(rejected)),
        rows=state.rows + len(good) + len(rejected),
        chunks=state.chunks + bool(good),
        parts=state.parts + bool(rejected),
    )


def _named_in(names_index: NameIndex, good: list[Chunked], state: Import, services: ImportServices) -> Import:
    """Put the names of the installments that rows are about into a leaf, and count them."""
    about = [row.event for row in good if isinstance(row.event, InstallmentEvent)]
    soon = [
        isinstance(event, Scheduled | Rescheduled) and falls_due_soon(event.due_date, state, services)
        for event in about
    ]
    for event, is_soon in zip(about, soon, strict=True):
        (names_index.soon if is_soon else names_index.later).append(name_of(event.loan_id, event.installment_no))
    return replace(state, installments=state.installments + len(about), due_soon=state.due_soon + sum(soon))


def falls_due_soon(due_date: date, state: Import, services: ImportServices) -> bool:
    """Whether a date lies in the days for which the limit counts.

    Days count from when the file was put, so that a repeat on another day counts the same.
    """
    today = instant.from_text(state.put_at).date()
    return today - timedelta(days=1) <= due_date <= today + timedelta(days=services.limits.due_soon_days)


# The report of rows that were set aside

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rejected_lines(key: str, rejected: Iterable[Rejected]) -> bytes:
    """Lines of the report. It repeats nothing of a row; the file's own name is all that somebody else chose."""
    name = key.rpartition("/")[2]
    # A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection").
    safe = f"'{name}" if name.startswith(_FORMULA) else name
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows((safe, line, reason) for line, reason in rejected)
    return made.getvalue().encode()
