"""Files and their imports without AWS: a folder in the bucket's place, and the store in memory in the table's."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from predue.borrowers.ports import IndexEntry
from predue.domain import instant
from predue.domain.due import Due
from predue.domain.policy import ImportsSetting
from predue.errors import Gone, ImportMoved, Replaced
from predue.imports import chunk_applying, file_reading
from predue.imports.book_rows import BORROWER_COLUMNS, INSTALLMENT_COLUMNS
from predue.imports.import_state import Import, ImportServices
from predue.inbound.sources import Source
from tests.fakes import DueKey, Step, Store
from tests.unit.world import World

SOURCE = Source("core", ())


def _silent(_call: str) -> None:
    """Nothing happens between two calls."""


class FolderFiles:
    """The port Files over a folder; `before` is called with the name of each call before it takes effect."""

    def __init__(self, folder: Path, before: Step = _silent, block: int = 1 << 20) -> None:
        self._folder = folder
        self.before = before
        self.block = block
        self.log: list[str] = []

    def _path(self, key: str) -> Path:
        return self._folder / quote(key, safe="")

    @staticmethod
    def etag(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()[:16]

    def blocks(self, key: str, etag: str, start: int) -> Iterator[bytes]:
        self.before("blocks")
        path = self._path(key)
        if not path.exists() or self._etag_of(path) != etag:
            raise Replaced("file: not the one that was put")
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(self.block):
                yield block

    def _etag_of(self, path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def get(self, key: str) -> bytes:
        self.before("get")
        if not self._path(key).exists():
            raise Gone("not there")
        return self._path(key).read_bytes()

    def put(self, key: str, content: bytes) -> None:
        self.before("put")
        self._path(key).write_bytes(content)

    def join(self, key: str, parts: Iterator[bytes]) -> None:
        self.before("join")
        with self._path(key).open("wb") as file:
            for part in parts:
                file.write(part)

    def load(self, import_id: str) -> tuple[Import, str] | None:
        self.before("load")
        path = self._path(f"work/{import_id}/state.json")
        return (Import.read(path.read_text()), self._etag_of(path)) if path.exists() else None

    def save(self, state: Import, token: str) -> str:
        self.before("save")
        path = self._path(state.work("state.json"))
        if (self._etag_of(path) if path.exists() else "") != token:
            raise ImportMoved("moved")
        path.write_text(state.text())
        return self._etag_of(path)


class StoreOpenDues:
    """The port OpenDues over the store in memory; `page` is how many open dues are listed at a time."""

    page = 1000

    def __init__(self, store: Store) -> None:
        self._store = store

    def all_open(self, after: str) -> tuple[list[IndexEntry], str]:
        self._store.before("all_open")
        found = {f"{one.due_date} {one.loan_id} {one.installment_no}": one for _, _, one in self._store.index.values()}
        names = sorted(name for name in found if name > after)[: self.page]
        return [found[name] for name in names], names[-1] if len(names) == self.page else ""

    def dues_of(self, entries: Sequence[IndexEntry]) -> list[Due]:
        self._store.before("dues_of")
        found = [
            self._store.dues.get(one.borrower_id, {}).get(DueKey(one.due_date, one.loan_id, one.installment_no))
            for one in entries
        ]
        return [due for due in found if due is not None]

    def due_dates_of(self, installments: Sequence[tuple[str, int]]) -> dict[tuple[str, int], date]:
        self._store.before("due_dates_of")
        return {one: self._store.pointers[one][1] for one in installments if one in self._store.pointers}


@dataclass
class Depot:
    """A world and the files that are put; `seconds` is what each call has left, asked for again and again."""

    folder: Path
    world: World = field(default_factory=World)
    limits: ImportsSetting = field(default_factory=ImportsSetting)
    source: Source = SOURCE

    def __post_init__(self) -> None:
        self.files = FolderFiles(self.folder)
        self.time_left = lambda: 600.0
        self.open_dues = StoreOpenDues(self.world.store)

    def services(self) -> ImportServices:
        return ImportServices(
            self.files,
            self.open_dues,
            self.world.event_services,
            self.source,
            self.limits,
            lambda: self.world.now,
            self.time_left,
        )

    def put(self, name: str, content: str | bytes) -> str:
        """Put a file; returns the import's name."""
        raw = content.encode() if isinstance(content, str) else content
        key = f"books/{self.source.name}/{name}"
        self.files.put(key, gzip.compress(raw, mtime=0) if name.endswith(".gz") and isinstance(content, str) else raw)
        stored = self.files.get(key)
        at = instant.to_text(self.world.now)
        state = Import(key, FolderFiles.etag(stored), len(stored), at, "", started_at=at, updated_at=at)
        if self.files.load(state.id) is None:
            self.files.save(file_reading.begun(state), "")
        return state.id

    def call(self, name: str) -> Import:
        """One call of the function about an import."""
        known = self.files.load(name)
        assert known is not None
        return known[0] if known[0].over else chunk_applying.go_on(*known, self.services())

    def run(self, name: str) -> Import:
        """As many calls as it takes."""
        state = self.call(name)
        while not state.over:
            state = self.call(name)
        return state

    def imported(self, name: str, content: str | bytes) -> Import:
        """Put a file a minute after all before, and import it a minute later."""
        self.world.now += timedelta(minutes=1)
        put = self.put(name, content)
        self.world.now += timedelta(minutes=1)
        return self.run(put)

    def confirm(self, name: str) -> Import:
        known = self.files.load(name)
        assert known is not None
        self.files.save(chunk_applying.confirmed(known[0]), known[1])
        return self.run(name)

    def report(self, name: str) -> dict[str, Any]:
        raw: dict[str, Any] = json.loads(self.files.get(f"books/{self.source.name}/{name}.report.json"))
        return raw

    def rejected(self, name: str) -> list[str]:
        return self.files.get(f"books/{self.source.name}/{name}.rejected.csv").decode().splitlines()[1:]


def borrowers(*ids: str, **fields: str) -> str:
    """A book of borrowers."""
    usual = {
        "name": "Ann",
        "phone": "+12015550100",
        "email": "ann@example.com",
        "locale": "en-US",
        "time_zone": "America/New_York",
        "jurisdiction": "US-NY",
        "channels": "sms|email",
        "consent": "sms|email",
    }
    rows = [dict.fromkeys(BORROWER_COLUMNS, "") | usual | fields | {"borrower_id": one} for one in ids]
    return csv_of(BORROWER_COLUMNS, rows)


def installments(*loans: str, **fields: str) -> str:
    """A book of installments, each the first of a loan; the loan `L-7` is borrower `b-7`'s."""
    usual = {"installment_no": "1", "due_date": "2026-06-30", "amount": "100.00", "currency": "USD"}
    usual |= {"grace_days": "3", "status": "open"}
    rows = [{"loan_id": one, "borrower_id": one.replace("L-", "b-")} | usual | fields for one in loans]
    return csv_of(INSTALLMENT_COLUMNS, rows)


def csv_of(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    """Rows under their header."""
    return "".join(",".join(line) + "\n" for line in (columns, *([row[name] for name in columns] for row in rows)))


def events(*bodies: dict[str, Any]) -> str:
    """JSON Lines."""
    return "".join(json.dumps(body) + "\n" for body in bodies)
