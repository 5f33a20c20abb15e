"""The input files: borrowers and installments as CSV, events as JSON lines; a bad row stops nothing."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from infrastructure.local.runs.row_files import PortfolioError, Rejected, lines_of, opened, table
from predue.domain.instant import from_text
from predue.imports.book import InstallmentRow
from predue.imports.book_rows import (
    BORROWER_COLUMNS,
    INSTALLMENT_COLUMNS,
    LONGEST_GRACE,
    BorrowerRow,
    borrower_row,
    id_fault,
    installment_row,
    known_currencies,
    read_channels,
    read_date,
    read_time,
)
from predue.imports.csv_rows import BadRow, whole

__all__ = [
    "BORROWER_COLUMNS", "INSTALLMENT_COLUMNS", "LONGEST_GRACE", "BorrowerRow", "EventRow", "InstallmentRow",
    "Portfolio", "PortfolioError", "Rejected", "id_fault", "known_currencies", "read_channels", "read_date",
    "read_portfolio", "read_time", "write_rejected",
]  # fmt: skip

EVENT_FIELDS = ("type", "event_id", "source", "sequence")


@dataclass(frozen=True, slots=True)
class EventRow:
    """One happening: its physical line, when it arrives (UTC), and the whole JSON object, checked no deeper."""

    line: int
    at: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All that could be read, events in the order in which they arrive, and the rows that could not be used."""

    borrowers: list[BorrowerRow]
    installments: list[InstallmentRow]
    events: list[EventRow]
    rejected: list[Rejected]


def read_portfolio(borrowers: Path, installments: Path, events: Path | None) -> Portfolio:
    """Read the files; raises PortfolioError when one cannot be opened or lacks columns."""
    rejected: list[Rejected] = []
    people: dict[str, BorrowerRow] = {}
    for person in table(borrowers, BORROWER_COLUMNS, lambda row: _borrower(row, people), rejected):
        people[person.borrower_id] = person
    owed: dict[tuple[str, int], InstallmentRow] = {}
    for due in table(installments, INSTALLMENT_COLUMNS, lambda row: _installment(row, people, owed), rejected):
        owed[due.loan_id, due.installment_no] = due
    news = [] if events is None else sorted(_events(events, rejected), key=lambda event: event.at)
    return Portfolio(list(people.values()), list(owed.values()), news, rejected)


def write_rejected(path: Path, rows: Iterable[Rejected]) -> None:
    """Write `rejected.csv`; its header stands there even when no row was rejected."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "line", "reason"))
        writer.writerows((row.file, row.line, row.reason) for row in rows)


def _borrower(row: Mapping[str, str], known: Mapping[str, BorrowerRow]) -> BorrowerRow:
    """Read a borrower's row; raises BadRow."""
    person = borrower_row(row)
    if person.borrower_id in known:
        raise BadRow("borrower_id stands in an earlier row already; keep one row a borrower")
    return person


def _installment(
    row: Mapping[str, str], people: Mapping[str, BorrowerRow], known: Mapping[tuple[str, int], InstallmentRow]
) -> InstallmentRow:
    """Read an installment's row; raises BadRow."""
    due = installment_row(row)
    if (due.loan_id, due.installment_no) in known:
        raise BadRow("loan_id and installment_no stand in an earlier row already; keep one row an installment")
    owner = people.get(due.borrower_id)
    if owner is None:
        raise BadRow("borrower_id is not in the borrowers file, or its row was rejected; mend that row first")
    # The very same text, so that a large file holds each id once.
    return replace(due, borrower_id=owner.borrower_id)


def _events(path: Path, rejected: list[Rejected]) -> Iterator[EventRow]:
    """Yield the events of a JSON lines file; lines that are none go to `rejected`."""
    with opened(path) as file:
        for line in lines_of(file):
            if not line.text.strip():
                continue
            try:
                yield _event(line.number, whole(line))
            except BadRow as fault:
                rejected.append(Rejected(path.name, line.number, str(fault)))


def _event(number: int, line: bytes) -> EventRow:
    """Read one line; raises BadRow when it lacks the frame that every event has."""
    try:
        body = json.loads(line, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise BadRow("the line is not UTF-8; write JSON in UTF-8") from None
    except (ValueError, RecursionError):
        raise BadRow("the line is no JSON; write one whole object a line") from None
    if not isinstance(body, dict):
        raise BadRow("the line is no JSON object; write one whole object a line")
    missing = [name for name in EVENT_FIELDS if body.get(name) in (None, "")]
    if missing:
        raise BadRow(f"the event lacks {', '.join(missing)}; every event carries {', '.join(EVENT_FIELDS)} and at")
    try:
        return EventRow(number, from_text(body["at"]), body)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise BadRow("at is missing or no instant; write it in UTC, such as 2026-12-01T09:00:00Z") from None


def _no_constant(_: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError("no JSON")
