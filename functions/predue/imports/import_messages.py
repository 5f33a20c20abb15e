"""Imports as the queue brings them: a file that was put, a confirmation, or an import that is to go on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote_plus

from predue.domain import instant
from predue.errors import ImportMoved
from predue.events.event_services import EventServices
from predue.imports import chunk_applying, file_reading
from predue.imports.import_report import report
from predue.imports.import_state import (
    BOOKS,
    CLOSES_NOTHING,
    CONFIRMED,
    PARKED,
    REPORT,
    Files,
    Import,
    ImportServices,
    OpenDues,
)
from predue.imports.unpacked import BadFile
from predue.inbound.sources import Source
from predue.runtime import clock
from predue.runtime.settings import Controls
from predue.runtime.telemetry import count, failures, logger
from predue.runtime.workers import each_of

Known = tuple[Import, str]
_NOBODYS = "source: no source of this name may put files; name it in the secret of sources, then put the file again"


class PutFiles(Files, Protocol):
    """Files as they were put into the bucket."""

    def still_there(self, key: str, etag: str) -> bool:
        """Whether the object is there and has this content."""


@dataclass(frozen=True)
class ImportAdapters:
    """What an import works with; `again` queues that an import of this name is to go on."""

    files: PutFiles
    open_dues: OpenDues
    events: Callable[[], EventServices]
    sources: Callable[[], Mapping[str, Source]]
    controls: Callable[[], Controls]
    again: Callable[[str], None]


def take(body: str, time_left_ms: Callable[[], int], adapters: Callable[[], ImportAdapters]) -> None:
    """Take one message, and go on with the imports that it is about."""
    with failures("an import failed"):
        with_what = adapters()
        for name in _meant(json.loads(body), with_what.files):
            known = with_what.files.load(name)
            try:
                if known is not None:
                    _go_on(known, with_what, lambda: time_left_ms() / 1000)
            except ImportMoved:
                # A message came twice: what it asks for is being done.
                logger.info("import goes on elsewhere", import_id=name)


def _meant(message: dict[str, Any], files: PutFiles) -> list[str]:
    """The imports that a message is about: of what S3 says was put, or of an import's own name."""
    names = [str(message["import"])] if "import" in message else []
    for put in _put(message):
        key = unquote_plus(put["key"])
        if key.startswith(CONFIRMED):
            names += _confirmed(key.removeprefix(CONFIRMED), files)
        elif key.startswith(BOOKS) and not key.endswith(PARKED):
            names.append(_begun(key, put, files))
    return names


def _put(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects that were put, by S3's own word (S3 user guide, "Event message structure"); none in its test."""
    for record in message.get("Records", ()):
        if str(record.get("eventName", "")).startswith("ObjectCreated:"):
            yield {"at": record["eventTime"], **record["s3"]["object"]}


def _begun(key: str, put: dict[str, Any], files: PutFiles) -> str:
    """Note a new import, unless this very file is known and was not refused, and tell its name."""
    now = instant.to_text(clock.now())
    state = Import(key, put["eTag"], int(put["size"]), put["at"], "", started_at=now, updated_at=now)
    known, token = files.load(state.id) or (None, "")
    # What was refused may be right now, as after its source was named; what is done stays done.
    if known is not None and known.phase != "refused":
        return state.id
    try:
        files.save(file_reading.begun(state), token)
        count("ImportBegun")
    except BadFile as fault:
        _log_state(chunk_applying.ended(chunk_applying.refused(state, f"file: {fault}"), token, files))
    return state.id


def _confirmed(name: str, files: PutFiles) -> list[str]:
    """Let a held import go on; a confirmation of anything else changes nothing."""
    known = files.load(name)
    if known is not None and known[0].phase == "held":
        files.save(chunk_applying.confirmed(known[0]), known[1])
        count("ImportConfirmed")
    return [name]


def _go_on(known: Known, adapters: ImportAdapters, time_left: Callable[[], float]) -> None:
    """Go on with an import that is not over; what is left when the time is goes into a message of its own."""
    state, token = known
    files = adapters.files
    if state.over:
        # The call that ended it may have died before it told so; or another file had this name meanwhile.
        if files.still_there(state.key, state.etag):
            files.put(state.key + REPORT, report(state))
        return
    source = adapters.sources().get(state.source)
    if source is None:
        state = chunk_applying.ended(chunk_applying.refused(state, _NOBODYS), token, files)
    elif not files.still_there(state.key, state.etag):
        state = chunk_applying.ended(chunk_applying.refused(state, chunk_applying.REPLACED), token, files)
    else:
        state = chunk_applying.go_on(state, token, _services(source, adapters, time_left))
    _log_state(state)
    if not state.over:
        adapters.again(state.id)


def _services(source: Source, adapters: ImportAdapters, time_left: Callable[[], float]) -> ImportServices:
    return ImportServices(
        adapters.files,
        adapters.open_dues,
        adapters.events,
        source,
        adapters.controls().rulebook.policy.imports,
        clock.now,
        time_left,
        _each,
    )


def _each(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    return each_of(work, items) if items else []


def _log_state(state: Import) -> None:
    """Count how an import ended, and log how far it came; neither its key nor a row's words."""
    if state.over:
        count({"held": "ImportHeld", "done": "ImportDone"}.get(state.phase, "ImportRefused"))
    if state.phase == "done" and CLOSES_NOTHING in state.reasons:
        count("ImportClosedNothing")
    logger.info(
        "import",
        import_id=state.id,
        status=state.phase,
        reasons=[reason.partition(":")[0] for reason in state.reasons],
        rows=state.rows,
        applied=state.applied,
        of=state.chunks + state.closings,
    )
