"""A large portfolio in parts that have nothing in common: whoever shares a contact point or a loan stays together.

The files are read twice and held never: once to see who belongs together, once to deal their rows out. A part is a
portfolio in files of the same names, and beside each the lines at which its rows stand in the whole.
"""

import csv
import json
import unicodedata
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, Rejected
from infrastructure.local.runs.row_files import lines_of, opened
from predue.domain import contact_point
from predue.imports.book_rows import row_id
from predue.imports.csv_rows import BadRow, CsvLine, cells, header, records, unused
from predue.imports.row_report import Told

_CONTACTS = ("phone", "email", "wechat_openid")
_DIGITS = 7
"""Of a number's end: what its ways of writing have in common even in countries of short numbers."""


class PortfolioFiles(NamedTuple):
    """The three input files of a portfolio."""

    borrowers: Path
    installments: Path
    events: Path | None


@dataclass(frozen=True)
class Part:
    """A part of a portfolio: its files, and by the name of each the lines of its rows in the whole."""

    files: PortfolioFiles

    @property
    def folder(self) -> Path:
        """Where the part stands."""
        return self.files.borrowers.parent

    def in_whole(self, rows: list[Rejected]) -> list[Rejected]:
        """What is told of rows of the part, by their lines in the whole."""
        lines = {name: array("q", (self.folder / f"{name}.lines").read_bytes()) for name in {row.file for row in rows}}
        return [row._replace(line=lines[row.file][row.line - 1]) for row in rows]


@dataclass
class Together:
    """Who belongs together; some hundred bytes for each borrower, loan and contact point, of which only hashes are
    kept. Two names of one hash would only keep more together than need be.
    """

    _home: dict[int, int] = field(default_factory=dict)
    _above: array[int] = field(default_factory=lambda: array("q"))

    def of(self, name: str) -> int:
        """Those with whom a name belongs, as a number."""
        place = self._home.setdefault(hash(name), len(self._above))
        if place == len(self._above):
            self._above.append(place)
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def join(self, names: Iterator[str]) -> None:
        """Note that some belong together."""
        first = next(names, None)
        if first is not None:
            for name in names:
                self._above[self.of(name)] = self.of(first)


def rows_in(path: Path) -> int:
    """About how many rows a CSV file has."""
    with opened(path) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


class Split(NamedTuple):
    """The parts of a portfolio, the rows that belong to nobody and are rejected at once, the columns that nothing is
    read of, and every time zone and jurisdiction of a borrower.
    """

    parts: list[Part]
    rejected: list[Rejected]
    warnings: list[Rejected]
    places: set[tuple[str, str]]


def split(files: PortfolioFiles, folder: Path, most: int) -> Split:
    """Deal a portfolio out to parts of about `most` borrowers each under a folder; raises PortfolioError as reading the
    whole does.
    """
    together, places = Together(), set[tuple[str, str]]()
    for row, _ in _rows(files.borrowers, BORROWER_COLUMNS, []):
        together.join(_names(row))
        places.add((row["time_zone"], row["jurisdiction"]))
    for row, _ in _rows(files.installments, INSTALLMENT_COLUMNS, []):
        together.join(_names(row))
    for line in _events(files.events):
        together.join(_names(_body(line.text)))
    rejected: list[Rejected] = []
    with ExitStack() as stack:
        deal = _Deal(files, folder, most, together, stack)
        for row, number in _rows(files.borrowers, BORROWER_COLUMNS, rejected):
            deal.borrower(row, number)
        for row, number in _rows(files.installments, INSTALLMENT_COLUMNS, rejected):
            deal.installment(row, number)
        for line in _events(files.events):
            deal.event(line)
    warnings = _unused(files.borrowers, BORROWER_COLUMNS) + _unused(files.installments, INSTALLMENT_COLUMNS)
    return Split(deal.parts, rejected, warnings, places)


class _Dealt:
    """One file of one part while rows are dealt to it; `lines` are where they stand in the whole."""

    def __init__(self, path: Path, columns: list[str] | None, stack: ExitStack) -> None:
        self._file: Any = stack.enter_context(path.open("wb" if columns is None else "w", **_text(columns)))
        self._lines: BinaryIO = stack.enter_context(path.with_name(f"{path.name}.lines").open("wb"))
        if columns is not None:
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._row(columns, 1)

    def _row(self, fields: list[str], number: int) -> None:
        self._writer.writerow(fields)
        breaks = 1 + sum(one.count("\n") for one in fields)
        array("q", [number] * breaks).tofile(self._lines)

    def add(self, row: dict[str, str], number: int) -> None:
        self._row(list(row.values()), number)

    def add_line(self, line: CsvLine) -> None:
        self._file.write(line.text if line.text.endswith(b"\n") else line.text + b"\n")
        array("q", [line.number]).tofile(self._lines)


def _text(columns: list[str] | None) -> dict[str, Any]:
    return {} if columns is None else {"encoding": "utf-8", "newline": ""}


class _Deal:
    """The parts while rows are dealt to them."""

    def __init__(self, files: PortfolioFiles, folder: Path, most: int, together: Together, stack: ExitStack) -> None:
        self.parts: list[Part] = []
        self._files, self._folder, self._most, self._together, self._stack = files, folder, most, together, stack
        self._columns = [list(BORROWER_COLUMNS), list(INSTALLMENT_COLUMNS)]
        self._dealt: list[tuple[_Dealt, _Dealt, _Dealt | None]] = []
        self._sizes: list[int] = []
        self._part_of: dict[int, int] = {}
        self._open()

    def _open(self) -> None:
        folder = self._folder / str(len(self.parts))
        folder.mkdir(parents=True)
        paths = PortfolioFiles(*(folder / path.name if path else None for path in self._files))  # type: ignore[arg-type]
        self.parts.append(Part(paths))
        events = _Dealt(paths.events, None, self._stack) if paths.events else None
        borrowers, installments = (
            _Dealt(path, columns, self._stack) for path, columns in zip(paths[:2], self._columns, strict=True) if path
        )
        self._dealt.append((borrowers, installments, events))
        self._sizes.append(0)

    def _part(self, names: Iterator[str]) -> int:
        """The part of those to whom a row belongs; what belongs to nobody goes to the first."""
        first = next(names, None)
        if first is None:
            return 0
        who = self._together.of(first)
        if who not in self._part_of:
            if self._sizes[-1] >= self._most:
                self._open()
            self._part_of[who] = len(self.parts) - 1
        return self._part_of[who]

    def borrower(self, row: dict[str, str], number: int) -> None:
        part = self._part(_names(row))
        self._sizes[part] += 1
        self._dealt[part][0].add(row, number)

    def installment(self, row: dict[str, str], number: int) -> None:
        self._dealt[self._part(_names(row))][1].add(row, number)

    def event(self, line: CsvLine) -> None:
        dealt = self._dealt[self._part(_names(_body(line.text)))][2]
        assert dealt is not None, "events come from a file of events"
        dealt.add_line(line)


def _names(row: dict[str, Any]) -> Iterator[str]:
    """Whom and what a row or event is about: borrower, loan, contact points."""
    for name in ("borrower_id", "loan_id"):
        if row.get(name) not in (None, ""):
            yield f"{name}#{row[name]}"
    for name in _CONTACTS:
        if value := _folded(name, row.get(name)):
            yield f"contact#{value}"


def _folded(name: str, value: object) -> str:
    """A contact point as any two ways of writing it have in common: the last digits of a number, whatever stands before
    them, else its canonical form. That some have these digits in common by chance keeps a few more together.
    """
    text = str(value or "").strip().lower()
    if name == "phone":
        return "".join(str(unicodedata.digit(sign)) for sign in text if sign.isdigit())[-_DIGITS:]
    if text.isascii():
        return text
    try:
        return contact_point.email(text)
    except ValueError:
        return text


def _rows(path: Path, columns: tuple[str, ...], rejected: list[Rejected]) -> Iterator[tuple[dict[str, str], int]]:
    with lines_of(path) as lines:
        names = header(lines, columns)
        for number, fields in records(lines, len(names)):
            if isinstance(fields, BadRow):
                told = Told(number, str(fields), row_id(names, fields), fields.fields[0][0])
                rejected.append(Rejected.of(path.name, told))
            else:
                row = cells(names, fields)
                yield {column: row[column] for column in columns}, number


def _unused(path: Path, columns: tuple[str, ...]) -> list[Rejected]:
    """The columns of a file that nothing is read of; its parts have the others only."""
    with lines_of(path) as lines:
        return [Rejected.of(path.name, told) for told in unused(header(lines, columns), columns)]


def _events(path: Path | None) -> Iterator[CsvLine]:
    if path is not None:
        with lines_of(path) as lines:
            yield from lines


def _body(text: bytes) -> dict[str, Any]:
    """What a line says, if it is one; a line that is none is rejected by the part that gets it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
