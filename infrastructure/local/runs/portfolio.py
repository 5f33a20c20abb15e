"""The input files: borrowers and installments as CSV, events as JSON lines; a bad row stops nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from infrastructure.local.runs.row_files import PortfolioError, Rejected, lines_of, table
from predue.domain.instant import from_text
from predue.errors import InvalidEvent
from predue.events import applying
from predue.events.event_services import EventServices
from predue.events.models import Event, Updated
from predue.imports import book_events
from predue.imports.book_rows import (
    BORROWER_COLUMNS,
    INSTALLMENT_COLUMNS,
    InstallmentRow,
    borrower_row,
    installment_row,
)
from predue.imports.csv_rows import BadRow, json_of
from predue.imports.row_report import REJECTED_COLUMNS, RowNote, about, lines
from predue.inbound.deliveries import event_of
from predue.inbound.sources import Source

__all__ = [
    "BORROWER_COLUMNS",
    "INSTALLMENT_COLUMNS",
    "EventRow",
    "InstallmentRow",
    "Portfolio",
    "PortfolioError",
    "Rejected",
    "apply_rows",
    "read_portfolio",
    "write_rejected",
]  # fmt: skip

SOURCE = Source("core")
"""Whose the two tables are where not all events are of one source, and an event that names none."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One happening: its physical line, when it arrives (UTC), and what it says."""

    line: int
    at: datetime
    event: Event

    @property
    def body(self) -> dict[str, Any]:
        """What it says as JSON, `at` among it."""
        return self.event.body()


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All that could be read, events in the order in which they arrive, the rows that could not be used, and the
    `files` that it was read from: borrowers, installments, events.
    """

    borrowers: list[Updated]
    installments: list[InstallmentRow]
    events: list[EventRow]
    rejected: list[Rejected]
    files: tuple[Path, Path, Path | None]
    warnings: list[Rejected] = field(default_factory=list)


def read_portfolio(borrowers: Path, installments: Path, events: Path | None) -> Portfolio:
    """Read the files; raises PortfolioError when one cannot be opened or lacks columns."""
    rejected: list[Rejected] = []
    warnings: list[Rejected] = []
    wrong_events: list[Rejected] = []
    happenings = [] if events is None else sorted(_events_of_file(events, wrong_events), key=lambda event: event.at)
    named = {row.event.source for row in happenings}
    source = Source(named.pop()) if len(named) == 1 else SOURCE
    people: dict[str, Updated] = {}
    persons = table(borrowers, BORROWER_COLUMNS, lambda row: _borrower_of_row(row, people, source), rejected, warnings)
    for person in persons:
        people[person.borrower_id] = person
    owed: dict[tuple[str, int], InstallmentRow] = {}
    made = table(
        installments,
        INSTALLMENT_COLUMNS,
        lambda row: _installment_of_row(row, people, owed, source),
        rejected,
        warnings,
    )
    for due in made:
        owed[due.event.loan_id, due.event.installment_no] = due
    rows = list(people.values()), list(owed.values())
    return Portfolio(*rows, happenings, rejected + wrong_events, (borrowers, installments, events), warnings)


def apply_rows(
    borrower: Mapping[str, str], installments: Iterable[Mapping[str, str]], at: datetime, services: EventServices
) -> None:
    """Tell the rows of one borrower, as files with these cells do; a column that is left out is an empty cell."""
    applying.apply(borrower_row(dict.fromkeys(BORROWER_COLUMNS, "") | dict(borrower), SOURCE), at, services)
    for row in installments:
        due = installment_row(dict.fromkeys(INSTALLMENT_COLUMNS, "") | dict(row), SOURCE)
        book_events.apply_row(*due, at, services)


def write_rejected(path: Path, rows: Iterable[Rejected], columns: Sequence[str] = REJECTED_COLUMNS) -> None:
    """Write `rejected.csv`, or `warnings.csv` by its columns; the header stands there even without a row."""
    stated = b"".join(lines(row.file, [RowNote(row.line, row.reason, row.id, row.field)], columns) for row in rows)
    path.write_bytes((",".join(columns) + "\n").encode() + stated)


def _borrower_of_row(row: Mapping[str, str], known: Mapping[str, Updated], source: Source) -> Updated:
    """Read a borrower's row; raises BadRow or InvalidEvent."""
    person = borrower_row(row, source)
    if person.borrower_id in known:
        raise BadRow("borrower_id stands in an earlier row already; keep one row a borrower")
    return person


def _installment_of_row(
    row: Mapping[str, str],
    people: Mapping[str, Updated],
    known: Mapping[tuple[str, int], InstallmentRow],
    source: Source,
) -> InstallmentRow:
    """Read an installment's row; raises BadRow or InvalidEvent."""
    due = installment_row(row, source)
    if (due.event.loan_id, due.event.installment_no) in known:
        raise BadRow("loan_id and installment_no stand in an earlier row already; keep one row an installment")
    if due.event.borrower_id not in people:
        raise BadRow("borrower_id is not in the borrowers file, or its row was rejected; mend that row first")
    return due


def _events_of_file(path: Path, rejected: list[Rejected]) -> Iterator[EventRow]:
    """Yield the events of a JSON lines file; lines that are none go to `rejected`."""
    with lines_of(path) as physical:
        for line in physical:
            if not line.text.strip():
                continue
            body: Any = None
            try:
                body = json_of(line)
                yield _event_of_line(line.number, body)
            except (InvalidEvent, BadRow) as fault:
                stated = RowNote(line.number, str(fault), about(body), fault.fields[0][0])
                rejected.append(Rejected.of(path.name, stated))


def _event_of_line(number: int, body: Any) -> EventRow:
    """Read one line; raises InvalidEvent or BadRow."""
    named = isinstance(body, dict) and body.get("source")
    event = event_of(body, Source(named) if isinstance(named, str) else SOURCE)
    try:
        return EventRow(number, from_text(body["at"]), event)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadRow("at is missing or no instant; write it in UTC, such as 2026-12-01T09:00:00Z", "at") from None
