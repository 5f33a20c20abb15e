"""What a complete statement no longer holds: all that is open is held against the file's names, page by page.

The names of a large file do not fit into memory. So there is a pass for each part of them, over all that is open.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from predue.borrowers.ports import IndexEntry
from predue.domain import instant
from predue.domain.due import Due
from predue.events.models import Event, read_event
from predue.events.tenant import split_tenant
from predue.imports.import_state import CHUNK_ROWS, SIDE_BY_SIDE, Chunked, Import, ImportServices, chunks_of
from predue.imports.name_index import NameIndex, name_of

_IN_A_PASS = 200_000
"""Installments of a file that are held in memory at a time: some 20 MB."""
_IN_A_BATCH = 100
"""BatchGetItem reads at most 100 items (DynamoDB API reference)."""


def sweeping(state: Import, services: ImportServices) -> Iterator[Import]:
    """What is known after each page of what is open, until there was a pass for each part of the file's names."""
    while state.complete and not state.unfit and state.passes < _passes(state):
        for known in _pass(state, services):
            yield known
            state = known


def _pass(state: Import, services: ImportServices) -> Iterator[Import]:
    """Go on with one pass to its end; the names that it holds go with it, before those of the next one come."""
    held = _held(state, services)
    at = state.passes
    while state.passes == at:
        state = _sweep_page(state, held, services)
        yield state


def _passes(state: Import) -> int:
    return max(1, -(-state.installments // _IN_A_PASS))


def _held(state: Import, services: ImportServices) -> set[bytes]:
    """The names of the file that belong to the pass at hand."""

    def mine(number: int) -> list[bytes]:
        return [name for name in NameIndex.get(state, services, number).names if _mine(name, state)]

    held = set[bytes]()
    for numbers in chunks_of(range(state.leaves), SIDE_BY_SIDE):
        held.update(name for names in services.each(mine, numbers) for name in names)
    return held


def _mine(name: bytes, state: Import) -> bool:
    """Whether an installment belongs to the pass at hand; not by `hash`, which differs from process to process."""
    passes = _passes(state)
    return passes == 1 or zlib.crc32(name) % passes == state.passes


def _sweep_page(state: Import, held: set[bytes], services: ImportServices) -> Import:
    """Go on by a page of what is open: count what of it the file holds, and put the events that close the rest."""
    entries, rest = services.open_dues.all_open(state.swept_to)
    kept, missing = 0, list[IndexEntry]()
    for entry in entries:
        name = name_of(entry.loan_id, entry.installment_no)
        if not _mine(name, state) or split_tenant(entry.loan_id)[0] != services.source.tenant:
            continue
        if name in held:
            kept += 1
        else:
            missing.append(entry)
    state = replace(state, passes=state.passes + (not rest), swept_to=rest, open_held=state.open_held + kept)
    return _closing(missing, state, services)


def _closing(missing: Sequence[IndexEntry], state: Import, services: ImportServices) -> Import:
    """Put the events that close what a file does not hold, as chunks of their own."""
    batches = chunks_of(missing, _IN_A_BATCH)
    dues = [due for found in services.each(services.open_dues.dues_of, batches) for due in found]
    rows = [Chunked(0, _cancelled(due, state)) for due in dues if _ends(due, state)]
    chunks = list(enumerate(chunks_of(rows, CHUNK_ROWS), start=state.closings))
    services.each(lambda one: services.files.put(state.work(f"closing-{one[0]:06}"), Chunked.text(one[1])), chunks)
    return replace(state, closings=state.closings + len(chunks), closable=state.closable + len(rows))


def _ends(due: Due, state: Import) -> bool:
    """Whether a due is this source's, and was open and stated so before the file was put: what came since cannot stand
    in it.
    """
    put = instant.from_text(state.put_at)
    known = bool(due.changes) and due.changes[-1].at < put and (due.stated_at is None or due.stated_at < put)
    return due.source == state.source and due.closed_by is None and known


def _cancelled(due: Due, state: Import) -> Event:
    """The event that closes a due, as old as the schedule that it ends: any newer one opens it again."""
    name = f"{due.loan_id}#{due.installment_no}"
    return read_event(
        {
            "type": "installment.cancelled",
            "event_id": f"unheld-{hashlib.sha256(f'{state.id}{name}'.encode()).hexdigest()[:32]}",
            "source": state.source,
            "sequence": due.sequences.get("scheduled", 0),
            "loan_id": due.loan_id,
            "installment_no": due.installment_no,
        }
    )
