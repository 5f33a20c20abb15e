"""Going on with an import from part to part, and applying its file chunk by chunk."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from predue.domain import instant
from predue.errors import Gone, InvalidEvent, LedgerMoved, Replaced
from predue.events.event_services import EventServices
from predue.imports import book_events
from predue.imports.file_check import checking
from predue.imports.file_reading import reading
from predue.imports.import_report import finishing, report, reported
from predue.imports.import_state import CLOSES_NOTHING, REPORT, Chunked, Files, Import, ImportServices
from predue.imports.row_report import Told, about
from predue.imports.unpacked import BadFile
from predue.inbound.deliveries import batches

_TRIES = 5
REPLACED = "replaced: another file came under its key, or it was taken away"
_REPORT_EVERY = 5


def go_on(state: Import, token: str, services: ImportServices) -> Import:
    """Go on with an import until it is over or the time is; raises ImportMoved if another call goes on with it."""
    try:
        for known in _steps(state, services):
            state = replace(known, updated_at=instant.to_text(services.now()))
            token = services.files.save(state, token)
            services.files.put(state.key + REPORT, report(state))
    except Replaced:
        return ended(refused(state, REPLACED), token, services.files)
    except (BadFile, Gone) as fault:
        return ended(refused(state, f"file: {fault}"), token, services.files)
    return state


def refused(state: Import, reason: str) -> Import:
    """An import of which nothing more is applied."""
    return state.to("refused", reasons=(*state.reasons, reason))


def confirmed(state: Import) -> Import:
    """A held import that may go on, since somebody says that the file is right."""
    return state.to("applying", confirmed=True)


def ended(state: Import, token: str, files: Files) -> Import:
    """Store how an import ended, and tell it beside the file, unless another file stands there."""
    files.save(state, token)
    if REPLACED not in state.reasons:
        files.put(state.key + REPORT, report(state))
    return state


def _steps(state: Import, services: ImportServices) -> Iterator[Import]:
    """What is known after each step; each may be done again from what was known before it."""
    while not state.over:
        for known in _PHASES[state.phase](state, services):
            yield known
            state = known
            if services.time_is_up:
                return


def _applying(state: Import, services: ImportServices) -> Iterator[Import]:
    while state.applied < state.chunks + state.closings:
        state = _applied(state, services)
        if state.applied % _REPORT_EVERY == 0 or services.time_is_up:
            yield state
    yield state.to("finishing")


_PHASES: Mapping[str, Callable[[Import, ImportServices], Iterator[Import]]] = {
    "reading": reading,
    "checking": checking,
    "applying": _applying,
    "finishing": finishing,
}


def _applied(state: Import, services: ImportServices) -> Import:
    """Apply the next chunk; what need not wait for another is applied side by side."""
    if state.applied == state.chunks and state.unfit:
        # A row was refused only now. All closings are left, or none: that one of them is refused says nothing of a row.
        return replace(state, applied=state.chunks + state.closings, reasons=(*state.reasons, CLOSES_NOTHING))
    closes = state.applied >= state.chunks
    name = f"closing-{state.applied - state.chunks:06}" if closes else f"chunk-{state.applied:06}"
    rows = Chunked.read(services.files.get(state.work(name)))
    event_services, at = services.events(), services.now()

    def one_after_the_other(group: list[int]) -> list[tuple[str, Told | None]]:
        return [_outcome(rows[index], at, event_services) for index in group]

    apart = batches({index: [row.event] for index, row in enumerate(rows)})
    outcomes = [outcome for groups in apart for came in services.each(one_after_the_other, groups) for outcome in came]
    refused = sorted(fault for _, fault in outcomes if fault is not None)
    counted = Counter("closed" if closes and word == "applied" else word for word, _ in outcomes)
    return replace(reported("rejected", refused, state.counting(**counted), services), applied=state.applied + 1)


def _outcome(row: Chunked, at: datetime, services: EventServices) -> tuple[str, Told | None]:
    """What became of one row, and why if it was refused; what may pass by itself is tried again, then raised."""
    for left in reversed(range(_TRIES)):
        try:
            return book_events.tell(row.event, row.status, at, services).replace(" ", "_"), None
        except InvalidEvent as fault:
            return "rejected", Told(row.line, str(fault), about(row.event.body()), fault.fields[0][0])
        except LedgerMoved:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")
