"""The input files of a run, read a second time for the auditor: borrowers, installments and events.

What the auditor cannot read has no effect. A row of a CSV file that the run rejected has none either, since the user
was told so; but one in which nothing is odd must not be among them.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path
from sys import intern
from typing import Any, NoReturn, TypeVar

from infrastructure.local.audit.values import (
    LARGEST_NUMBER,
    LONGEST_GRACE,
    channel_names,
    currencies,
    instant,
    local_date,
    minor_digits,
    minor_of,
    wall_time,
    whole_number,
)

Row = TypeVar("Row")

_LONGEST_LINE = 64 * 1024
_LONGEST_RECORD = 11
_FRAME = ("type", "event_id", "source", "sequence")
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_PLAIN_TEXT = 40
_PLAIN_AMOUNT = re.compile(r"[1-9]\d{0,8}(\.\d\d?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class GivenBorrower:
    """A borrower as the file has it; zone and jurisdiction are raw text, which may be bad or empty."""

    borrower_id: str
    time_zone: str
    jurisdiction: str
    channels: tuple[str, ...] = ()
    consent: tuple[str, ...] = ()
    preferred_time: time | None = None


@dataclass(frozen=True, slots=True)
class GivenInstallment:
    """An installment as the file has it; `amount` in minor units, `status` one of open, paid, cancelled."""

    loan_id: str
    installment_no: int
    borrower_id: str
    due_date: date
    amount: int
    currency: str
    grace_days: int
    status: str


@dataclass(frozen=True, slots=True)
class GivenEvent:
    """An event: its line in the file, when it arrives (UTC), and its body."""

    line: int
    at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a run was given: the rows that count, and the events in the order in which they arrive.

    `rejected` counts the rows that the run set aside, and `wronged` names those of them in which nothing is odd.
    """

    borrowers: list[GivenBorrower]
    installments: list[GivenInstallment]
    events: list[GivenEvent]
    rejected: int = 0
    wronged: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """Whose the two files of rows are: the events' only source, else the loan system's."""
        named = {str(event.body["source"]) for event in self.events}
        return named.pop() if len(named) == 1 else "core"

    def arrived(self, arrivals: Iterable[tuple[int, datetime]]) -> "Inputs":
        """The same with the events at the instants of `arrivals`, by line, and in their order; others stay."""
        left = {event.line: event for event in self.events}
        came = [replace(left.pop(line), at=at) for line, at in arrivals if line in left]
        return replace(self, events=sorted([*came, *left.values()], key=lambda event: event.at))


def read_inputs(borrowers: Path, installments: Path, events: Path | None, rejected: Path | None = None) -> Inputs:
    """Read the input files, and the rejected.csv of the run; raises OSError, and ValueError for a file without its
    columns.
    """
    refused = _refused(rejected)
    wronged: list[str] = []
    people: dict[str, GivenBorrower] = {}
    for number, row in _given_rows(borrowers):
        person = _read_file(_given_borrower, row)
        if (borrowers.name, number) in refused:
            if person and person.borrower_id not in people and _plain(row, "borrower_id"):
                wronged.append(f"{borrowers.name} line {number}")
        elif person:
            people.setdefault(person.borrower_id, person)
    owed: dict[tuple[str, int], GivenInstallment] = {}
    for number, row in _given_rows(installments):
        due = _read_file(_given_installment, row)
        known = due is None or due.borrower_id not in people or (due.loan_id, due.installment_no) in owed
        if (installments.name, number) in refused:
            if not known and _plain(row, "loan_id") and _PLAIN_AMOUNT.fullmatch(row["amount"]):
                wronged.append(f"{installments.name} line {number}")
        elif due and not known:
            owed[due.loan_id, due.installment_no] = due
    stated = sorted(_given_events(events), key=lambda event: event.at) if events else []
    return Inputs(list(people.values()), list(owed.values()), stated, len(refused), wronged)


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines, one by one; of none, if there is no such file."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _refused(path: Path | None) -> frozenset[tuple[str, int]]:
    """The file and line of each row that the run set aside."""
    if path is None or not path.exists():
        return frozenset()
    with path.open(encoding="utf-8", newline="") as file:
        return frozenset((row["file"], int(row["line"])) for row in csv.DictReader(file))


def _given_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the records of a CSV file that have all fields, each with the line on which it starts.

    Blank rows above the header, blank cells behind the last column, and white space around a cell say nothing, and of a
    column's name neither capitals nor blanks.
    """
    lines = _content(path).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    at = next((number for number, line in enumerate(lines) if line.strip(b" ,\t\r")), 0)
    names = ["_".join(name.lower().split()) for name in _fields(lines[at : at + 1]) or ()]
    while names and not names[-1]:
        names.pop()
    if not {"borrower_id"} <= set(names):
        raise ValueError(f"{path.name} has no header")
    at += 1
    while at < len(lines):
        begun = at
        for end in range(at + 1, at + 1 + _LONGEST_RECORD):
            fields = _fields(lines[at:end]) or []
            while len(fields) > len(names) and not fields[-1].strip():
                fields.pop()
            if len(fields) == len(names):
                yield at + 1, dict(zip(names, map(str.strip, fields), strict=True))
                at = end
                break
            if b'"' not in lines[at]:
                break
        at = max(at, begun + 1)


def _content(path: Path) -> bytes:
    """The bytes of a file, plain or packed by gzip."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.name.lower().endswith(".gz") else content


def _fields(lines: list[bytes]) -> list[str] | None:
    """The fields of one record (RFC 4180); None if the lines are none, or not the whole of one."""
    try:
        text = b"\n".join(lines).decode()
        return next(csv.reader([text], strict=True), None) if '"' in text else text.rstrip("\r").split(",")
    except (UnicodeDecodeError, csv.Error):
        return None


def _read_file(make: Callable[[Mapping[str, str]], Row], row: Mapping[str, str]) -> Row | None:
    try:
        return make(row)
    except ValueError:
        return None


def _given_borrower(row: Mapping[str, str]) -> GivenBorrower:
    return GivenBorrower(
        _usable_id(row, "borrower_id"),
        row["time_zone"],
        row["jurisdiction"],
        channel_names(row["channels"]),
        channel_names(row["consent"]),
        wall_time(row["preferred_time"]),
    )


def _given_installment(row: Mapping[str, str]) -> GivenInstallment:
    if row["currency"] not in currencies() or row["status"] not in ("open", "paid", "cancelled"):
        raise ValueError("no currency or status")
    return GivenInstallment(
        _usable_id(row, "loan_id"),
        whole_number(row["installment_no"], 1, LARGEST_NUMBER + 1),
        _usable_id(row, "borrower_id"),
        local_date(row["due_date"]),
        minor_of(row["amount"], row["currency"]),
        row["currency"],
        whole_number(row["grace_days"], 0, LONGEST_GRACE + 1),
        row["status"],
    )


def _usable_id(row: Mapping[str, str], column: str) -> str:
    if not row[column]:
        raise ValueError("no id")
    return intern(row[column])


def _plain(row: Mapping[str, str], id_column: str) -> bool:
    """Whether nothing in a row that can be read is odd, so that nobody may reject it."""
    digits = minor_digits(row.get("currency", ""))
    short = all(len(value) <= _PLAIN_TEXT and value.isprintable() for value in row.values())
    return short and digits == minor_digits("USD") and bool(_PLAIN_ID.fullmatch(row[id_column]))


def _given_events(path: Path) -> Iterator[GivenEvent]:
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if len(line) > _LONGEST_LINE:
                continue
            try:
                body = json.loads(line, parse_constant=_no_number)
                if isinstance(body, dict) and all(body.get(name) not in (None, "") for name in _FRAME):
                    yield GivenEvent(number, instant(body["at"]), body)
            except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
                continue


def _no_number(_: str) -> NoReturn:
    raise ValueError("JSON knows no such number")
