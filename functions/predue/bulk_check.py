"""Checking a file that has been read: whether what it would do is plausible, and what a complete statement closes.

A file that makes everybody due at once, or that holds a tenth of what it held yesterday, is a fault of an export far
more often than the truth. Both stop here, before anything is applied, until somebody says that it is right.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from predue import instant
from predue.bulk import BulkDesk, Chunked, Import
from predue.bulk_read import falls_due_soon
from predue.due import Due
from predue.ports import IndexEntry
from predue.tenant import parted

_IN_A_PASS = 200_000
"""Installments of a file that are held in memory at a time: some 30 MB."""
_IN_A_BATCH = 100
"""BatchGetItem reads at most 100 items (DynamoDB API reference)."""
Named = tuple[str, int]


def checking(state: Import, desk: BulkDesk) -> Import:
    """One step of checking: a pass over the open installments, or the verdict after the last."""
    if state.complete and not _unfit(state) and state.passes < _passes(state):
        return _swept(state, desk)
    reasons = tuple(filter(None, (_too_many_due(state, desk), _too_small(state, desk))))
    if _unfit(state) and state.complete:
        state = replace(state, reasons=("closes_nothing: rows were rejected",))
    if reasons and not state.confirmed:
        return replace(state, phase="held", reasons=(*state.reasons, *reasons))
    return replace(state, phase="applying")


def _unfit(state: Import) -> bool:
    """Whether a statement cannot close anything: what stands in a rejected row would seem to be missing."""
    return state.tally.get("rejected", 0) > 0


# The volume breaker


def _too_many_due(state: Import, desk: BulkDesk) -> str:
    """Why a file must be held that makes implausibly many installments due soon, or ""."""
    most = desk.limits.most_due_soon
    if state.due_soon <= most or _newly_due(state, desk) <= most:
        return ""
    return f"due_soon: more than {most} installments would fall due within {desk.limits.due_soon_days} days"


def _newly_due(state: Import, desk: BulkDesk) -> int:
    """How many installments a file makes due soon that were not; counted up to one more than the limit."""
    found = 0
    for rows in _chunks(state, desk):
        soon = {_name(row): row.body["due_date"] for row in rows if falls_due_soon(row.body, state, desk)}
        known = desk.open_dues.due_dates_of(list(soon))
        found += sum(not _already(known.get(name), state, desk) for name in soon)
        if found > desk.limits.most_due_soon:
            break
    return found


def _already(due_date: date | None, state: Import, desk: BulkDesk) -> bool:
    return due_date is not None and falls_due_soon({"due_date": due_date.isoformat()}, state, desk)


# What a complete statement no longer holds


def _passes(state: Import) -> int:
    return max(1, -(-state.installments // _IN_A_PASS))


def _swept(state: Import, desk: BulkDesk) -> Import:
    """One pass: of one part of all installments, those that are open and those of them that the file holds."""
    held = {name for rows in _chunks(state, desk) for row in rows if _mine(name := _name(row), state)}
    kept, missing = 0, list[IndexEntry]()
    closings = state.closings
    closable = 0
    for entry in desk.open_dues.all_open():
        name = (entry.loan_id, entry.installment_no)
        if not _mine(name, state) or parted(entry.loan_id)[0] != desk.source.tenant:
            continue
        if name in held:
            kept += 1
            continue
        missing.append(entry)
        if len(missing) == _IN_A_BATCH:
            closings, closable = _closing(missing, state, desk, closings, closable)
            missing = []
    closings, closable = _closing(missing, state, desk, closings, closable)
    return replace(
        state,
        passes=state.passes + 1,
        closings=closings,
        open_held=state.open_held + kept,
        closable=state.closable + closable,
    )


def _mine(name: Named, state: Import) -> bool:
    """Whether an installment belongs to the pass at hand; not by `hash`, which differs from process to process."""
    digest = hashlib.sha256(f"{name[0]}#{name[1]}".encode()).digest()
    return int.from_bytes(digest[:4]) % _passes(state) == state.passes


def _closing(missing: list[IndexEntry], state: Import, desk: BulkDesk, closings: int, closable: int) -> tuple[int, int]:
    """Put the events that close what a file does not hold, as one more chunk; returns the counts with them."""
    rows = [Chunked(0, _cancelled(due, state)) for due in desk.open_dues.dues_of(missing) if _ends(due, state)]
    if not rows:
        return closings, closable
    desk.files.put(state.work(f"closing-{closings:06}"), Chunked.text(rows))
    return closings + 1, closable + len(rows)


def _ends(due: Due, state: Import) -> bool:
    """Whether a due is this source's, and was open before the file was put: what came since cannot stand in it."""
    since = due.changes[-1].at if due.changes else None
    known = since is not None and since < instant.from_text(state.put_at)
    return due.source == state.source and due.closed_by is None and known


def _cancelled(due: Due, state: Import) -> dict[str, object]:
    """The event that closes a due, as old as the schedule that it ends: any newer one opens it again."""
    name = f"{due.loan_id}#{due.installment_no}"
    return {
        "type": "installment.cancelled",
        "event_id": f"unheld-{hashlib.sha256(f'{state.id}{name}'.encode()).hexdigest()[:32]}",
        "source": state.source,
        "sequence": due.sequences.get("scheduled", 0),
        "loan_id": due.loan_id,
        "installment_no": due.installment_no,
    }


def _too_small(state: Import, desk: BulkDesk) -> str:
    """Why a complete statement must be held that lacks implausibly much of what is open, or ""."""
    share = desk.limits.most_closed_percent
    if not state.complete or _unfit(state) or 100 * state.closable <= share * (state.open_held + state.closable):
        return ""
    return (
        f"too_small: it would close {state.closable} of {state.open_held + state.closable} open installments, more "
        f"than {share} percent"
    )


def _chunks(state: Import, desk: BulkDesk) -> Iterator[list[Chunked]]:
    """The rows about installments, chunk by chunk."""
    for number in range(state.chunks):
        rows = Chunked.read(desk.files.get(state.work(f"chunk-{number:06}")))
        yield [row for row in rows if "installment_no" in row.body]


def _name(row: Chunked) -> Named:
    return str(row.body["loan_id"]), int(row.body["installment_no"])
