"""The reports of an import beside its file: how far it is, which rows were rejected, and what of the others cannot be
used as it stands.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from predue.imports.import_state import REJECTED, WARNINGS, Import, ImportServices
from predue.imports.row_report import REJECTED_COLUMNS, WARNED_COLUMNS, Told, lines

_TOGETHER = 200
"""Parts that become one larger one in a step: they are small, and there is one for each chunk with a bad row."""
_REPORTS = {"rejected": (REJECTED, REJECTED_COLUMNS), "warned": (WARNINGS, WARNED_COLUMNS)}
"""The reports of rows by the kind of what they tell: their endings and their columns."""


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
        "warned": state.tally.get("warned", 0),
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


def reported(kind: str, content: Sequence[Told], state: Import, services: ImportServices) -> Import:
    """Put a part of a report, if there is any; names follow from their numbers, so that a repeat writes the same."""
    if not content:
        return state
    part = state.parts.get(kind, 0)
    text = lines(state.key.rpartition("/")[2], content, _REPORTS[kind][1])
    services.files.put(state.work(f"{kind}-{part:06}"), text)
    return replace(state, parts={**state.parts, kind: part + 1})


def finishing(state: Import, services: ImportServices) -> Iterator[Import]:
    """Put the reports of rows beside the file, each in one piece; their headers stand there even without a row.

    Their parts are joined in two stages, since to read thousands of them is more than a call has time for.
    """
    for kind in _REPORTS:
        while (joined := state.joined.get(kind, 0)) * _TOGETHER < state.parts.get(kind, 0):
            numbers = range(state.parts[kind])[joined * _TOGETHER :][:_TOGETHER]
            names = [state.work(f"{kind}-{number:06}") for number in numbers]
            services.files.put(_joined(kind, state, joined), b"".join(services.each(services.files.get, names)))
            state = replace(state, joined={**state.joined, kind: joined + 1})
            yield state
    for kind, (ending, _) in _REPORTS.items():
        services.files.join(state.key + ending, _pieces(kind, state, services))
    yield state.to("done")


def _pieces(kind: str, state: Import, services: ImportServices) -> Iterator[bytes]:
    yield (",".join(_REPORTS[kind][1]) + "\n").encode()
    for number in range(state.joined.get(kind, 0)):
        yield services.files.get(_joined(kind, state, number))


def _joined(kind: str, state: Import, number: int) -> str:
    return state.work(f"joined-{kind}-{number:06}")
