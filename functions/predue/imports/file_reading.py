"""Reading a file: its rows become chunks of checked events, and what cannot be used is set aside with the reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from predue.domain import instant
from predue.errors import InvalidEvent
from predue.events.models import InstallmentEvent, Rescheduled, Scheduled, Updated
from predue.events.usable import warned
from predue.imports.book_rows import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, borrower_row, installment_row, row_id
from predue.imports.csv_rows import BadHeader, BadRow, Lines, cells, header, json_of, kind_of, records, unused
from predue.imports.import_report import reported
from predue.imports.import_state import BOOKS, CHUNK_ROWS, Chunked, Import, ImportServices
from predue.imports.name_index import NameIndex, name_of
from predue.imports.row_report import Told, about
from predue.imports.unpacked import BadFile, plain, unpacked
from predue.inbound.deliveries import event_of
from predue.inbound.sources import Source

_ENDINGS = (".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
_COMPLETE = ".complete"
_INDEX_CHUNKS = 10
"""Chunks whose names make an object, and how much is read again when a call is cut off."""
_BOOKS = (BORROWER_COLUMNS, INSTALLMENT_COLUMNS)


def begun(state: Import) -> Import:
    """A new import with what the file's key says of it; raises BadFile if that is no file's."""
    source, _, name = state.key.removeprefix(BOOKS).partition("/")
    ending = next((one for one in reversed(_ENDINGS) if name.lower().endswith(one)), "")
    if not source or not ending or "/" in name:
        raise BadFile(f"a file is put as {BOOKS}<source>/<name>, its name ending in one of {', '.join(_ENDINGS)}")
    return replace(state, source=source, complete=name[: -len(ending)].lower().endswith(_COMPLETE))


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
        state = _warned(unused(state.columns, *_BOOKS), state, services)
    names_index = NameIndex()
    for number, rows in enumerate(_chunks(state, lines), start=1):
        good, rejected, warnings = _sorted_out(rows, state, services.source)
        state = _noted(_named_in(names_index, good, state, services), good, rejected, services)
        state = _warned(warnings, state, services)
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
            self.total += len(block)
            yield block


def _text(state: Import, services: ImportServices, taken: _Taken) -> Iterator[bytes]:
    start = 0 if state.packed else state.offset
    blocks = taken.counted(services.files.blocks(state.key, state.etag, start), start)
    return unpacked(blocks, state.offset) if state.packed else plain(blocks, state.offset)


def _header(lines: Lines, state: Import) -> list[str]:
    """The columns of a book."""
    try:
        names = header(lines, *_BOOKS)
    except BadHeader as fault:
        raise BadFile(str(fault)) from None
    if state.complete and _is_of_borrowers(names):
        # It holds no installment, so that as a statement it would close all of them.
        raise BadFile(
            f"a complete statement holds installments; put a book of borrowers under a name without {_COMPLETE}"
        )
    return names


def _is_of_borrowers(columns: Sequence[str]) -> bool:
    return kind_of(columns, *_BOOKS) is BORROWER_COLUMNS


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


def _sorted_out(rows: list[Row], state: Import, source: Source) -> tuple[list[Chunked], list[Told], list[Told]]:
    """The events of rows, the rows that have none, and what of the others cannot be used as it stands."""
    good: list[Chunked] = []
    rejected: list[Told] = []
    for line, row in rows:
        said = row if state.events or isinstance(row, BadRow) else cells(state.columns, row)
        try:
            good.append(_read(line, said, state, source))
        except (InvalidEvent, BadRow) as fault:
            rejected.append(Told(line, str(fault), _whose(said, state), fault.fields[0][0]))
    return good, rejected, [told for row in good for told in _warnings(row)]


def _read(line: int, said: Any, state: Import, source: Source) -> Chunked:
    """What one row says; raises BadRow or InvalidEvent."""
    if state.events:
        return Chunked(line, event_of(json_of(said), source))
    if isinstance(said, BadRow):
        raise said
    if _is_of_borrowers(state.columns):
        return Chunked(line, borrower_row(said, source))
    return Chunked(line, *installment_row(said, source))


def _whose(said: Any, state: Import) -> str:
    """Whose a row is that was refused, as far as it shows."""
    if not state.events:
        return row_id(state.columns, said)
    try:
        return about(json_of(said))
    except BadRow:
        return ""


def _warnings(row: Chunked) -> list[Told]:
    if not isinstance(row.event, Updated):
        return []
    return [Told(row.line, reason, about(row.event.body()), field) for field, reason in warned(row.event.given())]


def _noted(state: Import, good: list[Chunked], rejected: list[Told], services: ImportServices) -> Import:
    """Put a chunk and what was set aside of it; names follow from their numbers, so that a repeat writes the same."""
    if good:
        services.files.put(state.work(f"chunk-{state.chunks:06}"), Chunked.text(good))
    state = reported("rejected", rejected, state.counting(rejected=len(rejected)), services)
    return replace(state, rows=state.rows + len(good) + len(rejected), chunks=state.chunks + bool(good))


def _warned(told: list[Told], state: Import, services: ImportServices) -> Import:
    return reported("warned", told, state.counting(warned=len(told)), services)


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
