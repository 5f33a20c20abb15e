"""The import of a file, as it goes on from call to call: what is known of it, and what it works with.

An import has four parts. **Reading** makes chunks of checked events of the file's rows, and changes nothing else.
**Checking** asks whether what the whole file would do is plausible; if not, it is held for a human's confirmation.
**Applying** applies chunk by chunk. **Finishing** puts the report beside the file. Each step may be repeated, and what
is known stands in one object that is replaced only on condition that it is as it was read: of two calls that come side
by side one goes on.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from predue.borrowers.ports import IndexEntry
from predue.domain.due import Due
from predue.domain.policy import ImportsSetting
from predue.events.event_services import EventServices
from predue.events.models import Event, read_event
from predue.inbound.sources import Source
from predue.lifecycle import Lifecycle

BOOKS, WORK, CONFIRMED = "books/", "work/", "confirmed/"
"""Where files are put, as `books/<source>/<name>`; where an import keeps what it works with; where an operator says
that a held one may go on.
"""
REJECTED, WARNINGS, REPORT = ".rejected.csv", ".warnings.csv", ".report.json"
PARKED = (REJECTED, WARNINGS, REPORT)
"""What is appended to a file's key for what stands beside it."""
CHUNK_ROWS = 200
"""Rows applied between two looks at the clock."""
ENOUGH_SECONDS = 45
"""What a step may need: two hundred rows of ten calls each, eight at a time, with a table that is slow."""
SIDE_BY_SIDE = 8
"""Objects that are taken in a step, as many as a function works on at a time."""
CLOSES_NOTHING = "closes_nothing: rows were rejected"
"""Why a complete statement is done and has closed nothing: what stands in a rejected row would seem to be missing."""

Phase = Literal["reading", "checking", "held", "applying", "finishing", "done", "refused"]
_NOT_USABLE = "the file cannot be used, or another stands in its place"
IMPORT: Lifecycle[Phase] = Lifecycle(
    "import",
    {
        "reading": {"checking": "the whole file is read", "refused": _NOT_USABLE},
        "checking": {"applying": "it is plausible", "held": "it is not plausible", "refused": _NOT_USABLE},
        "held": {"applying": "somebody confirmed it", "refused": _NOT_USABLE},
        "applying": {"finishing": "every chunk is applied", "refused": _NOT_USABLE},
        "finishing": {"done": "its report is whole", "refused": _NOT_USABLE},
        "done": {},
        "refused": {"reading": "the same file was put again"},
    },
)
"""An import begins `reading`. Nothing is applied before it is `applying`."""


@dataclass(frozen=True, slots=True)
class Import:
    """What is known of an import; `done` and `size` are bytes of the file, `offset` one of its text unpacked.

    `chunks` and `closings` tell how many objects of events there are from its rows and of what it no longer holds,
    `applied` how many of both are through; `leaves` how many objects of names there are, `counted` of how many of them
    it is known what falls due soon and did not, which is `newly_due`. `passes` over what is open are through, and the
    one at hand came to `swept_to`. `open_held` and `closable` are open installments of the source that the file holds,
    and does not hold. Of each report of rows (`rejected`, `warned`) so many `parts` became so many `joined` ones.
    """

    key: str
    etag: str
    size: int
    put_at: str
    source: str
    complete: bool = False
    phase: Phase = "reading"
    reasons: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    offset: int = 0
    line: int = 0
    done: int = 0
    rows: int = 0
    chunks: int = 0
    leaves: int = 0
    closings: int = 0
    applied: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    joined: Mapping[str, int] = field(default_factory=dict)
    installments: int = 0
    due_soon: int = 0
    counted: int = 0
    newly_due: int = 0
    passes: int = 0
    swept_to: str = ""
    open_held: int = 0
    closable: int = 0
    confirmed: bool = False
    tally: Mapping[str, int] = field(default_factory=dict)
    started_at: str = ""
    updated_at: str = ""

    @property
    def id(self) -> str:
        """The import's own name: that of this content under this key, and nothing of either can be told from it."""
        return hashlib.sha256(f"{self.key}\n{self.etag}".encode()).hexdigest()[:32]

    @property
    def packed(self) -> bool:
        """Whether gzip packed the file."""
        return self.key.lower().endswith(".gz")

    @property
    def events(self) -> bool:
        """Whether its lines are events."""
        return self.key.lower().removesuffix(".gz").endswith(".jsonl")

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do, unless somebody confirms it."""
        return self.phase in ("held", "done", "refused")

    def to(self, phase: Phase, **more: Any) -> "Import":
        """In its next phase, with more changed; raises ValueError for a step that IMPORT does not have."""
        return replace(self, phase=IMPORT.step(self.phase, phase), **more)

    @property
    def unfit(self) -> bool:
        """Whether a statement cannot close anything: what stands in a rejected row would seem to be missing."""
        return self.tally.get("rejected", 0) > 0

    def work(self, name: str) -> str:
        """The key of an object that the import works with."""
        return f"{WORK}{self.id}/{name}"

    def counting(self, **more: int) -> "Import":
        """The same with more in its tally."""
        names = self.tally.keys() | more.keys()
        return replace(self, tally={name: self.tally.get(name, 0) + more.get(name, 0) for name in sorted(names)})

    def text(self) -> str:
        """As one JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Import":
        """The import that a text holds."""
        raw = json.loads(text)
        return cls(**raw | {name: tuple(raw[name]) for name in ("reasons", "columns")})


class Chunked(NamedTuple):
    """One row as a chunk keeps it: its line in the file, its event, and what its book says it is beside that."""

    line: int
    event: Event
    status: str = "open"

    @staticmethod
    def text(rows: Iterable["Chunked"]) -> bytes:
        """Rows as the object of a chunk."""
        return "".join(json.dumps([row.line, row.event.body(), row.status]) + "\n" for row in rows).encode()

    @staticmethod
    def read(content: bytes) -> list["Chunked"]:
        """The rows of a chunk's object."""
        stored = map(json.loads, content.splitlines())
        return [Chunked(line, read_event(body), status) for line, body, status in stored]


class Files(Protocol):
    """Where files, their reports and the work stand."""

    def blocks(self, key: str, etag: str, start: int) -> Iterator[bytes]:
        """A file's bytes from `start` on, in blocks of a bounded size; raises Replaced if it is not this content any
        more.
        """

    def get(self, key: str) -> bytes:
        """A small object's content; raises Gone if it is not there."""

    def put(self, key: str, content: bytes) -> None:
        """Write a small object, in the place of any."""

    def join(self, key: str, parts: Iterator[bytes]) -> None:
        """Write an object of many parts, none of which need be held beside the others."""

    def load(self, import_id: str) -> tuple[Import, str] | None:
        """What is known of an import, and a token for this very state."""

    def save(self, state: Import, token: str) -> str:
        """Store what is known on condition of the token, "" for nothing yet; returns the new token.

        Raises ImportMoved if another call went on meanwhile.
        """


class OpenDues(Protocol):
    """The open dues of all borrowers, for what a file no longer holds."""

    def all_open(self, after: str) -> tuple[list[IndexEntry], str]:
        """Some of the open dues that the index shows, and a token for those that follow, "" if none do; `after` is such
        a token, "" for the first ones.
        """

    def dues_of(self, entries: Sequence[IndexEntry]) -> list[Due]:
        """The dues of entries; those that have gone meanwhile are left out."""

    def due_dates_of(self, installments: Sequence[tuple[str, int]]) -> dict[tuple[str, int], date]:
        """The current due dates of installments that are known."""


_T = TypeVar("_T")


def chunks_of(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """Items in their order, so many at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def one_by_one(work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
    """What `work` makes of each item, one after the other."""
    return [work(item) for item in items]


@dataclass(frozen=True)
class ImportServices:
    """All that an import works with; `each` does work on several items at a time, `time_left` tells in seconds what is
    left of the call.
    """

    files: Files
    open_dues: OpenDues
    events: Callable[[], EventServices]
    source: Source
    limits: ImportsSetting
    now: Callable[[], datetime]
    time_left: Callable[[], float]
    each: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]] = one_by_one

    @property
    def time_is_up(self) -> bool:
        """Whether too little of the call is left for another step."""
        return self.time_left() < ENOUGH_SECONDS
