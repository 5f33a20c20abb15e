"""The report of an import beside its file: how far it is, and which rows were rejected."""

import json
from collections.abc import Iterator
from dataclasses import replace

from predue.imports.import_state import REJECTED, Import, ImportServices

_TOGETHER = 200
"""Parts that become one larger one in a step: they are small, and there is one for each chunk with a bad row."""


def report(state: Import) -> bytes:
    """How far an import came, for whoever put the file; it repeats nothing of its rows."""
    content = {
        "import": state.id,
        "status": state.phase,
        "reasons": state.reasons,
        "confirmed": state.confirmed,
        "complete": state.complete,
        "source": state.source,
        "bytes": state.size,
        "bytes_read": state.done,
        "rows": state.rows,
        "rejected": state.tally.get("rejected", 0),
        "applied": state.tally.get("applied", 0),
        "known_already": state.tally.get("duplicate", 0),
        "no_change": state.tally.get("no_change", 0),
        "parked": state.tally.get("parked", 0),
        "closed": state.tally.get("closed", 0),
        "due_soon": state.due_soon,
        "share_done": round(share_done(state), 3),
        "started_at": state.started_at,
        "updated_at": state.updated_at,
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def share_done(state: Import) -> float:
    """How far an import is, from 0 to 1: reading is a tenth of it."""
    if state.over or state.phase == "finishing":
        return 1.0
    read = 0.1 * (state.done / state.size if state.size else 1)
    steps = state.chunks + state.closings
    return read + (0.9 * state.applied / steps if steps and state.phase == "applying" else 0)


def finishing(state: Import, services: ImportServices) -> Iterator[Import]:
    """Put the report of rejected rows beside the file, in one piece; its header stands there even without a row.

    Its parts are joined in two stages, since to read thousands of them is more than a call has time for.
    """
    while state.joined * _TOGETHER < state.parts:
        numbers = range(state.parts)[state.joined * _TOGETHER :][:_TOGETHER]
        names = [state.work(f"rejected-{number:06}") for number in numbers]
        services.files.put(_joined(state, state.joined), b"".join(services.each(services.files.get, names)))
        state = replace(state, joined=state.joined + 1)
        yield state
    services.files.join(state.key + REJECTED, _pieces(state, services))
    yield state.to("done")


def _pieces(state: Import, services: ImportServices) -> Iterator[bytes]:
    yield b"file,line,reason\n"
    for number in range(state.joined):
        yield services.files.get(_joined(state, number))


def _joined(state: Import, number: int) -> str:
    return state.work(f"joined-{number:06}")
