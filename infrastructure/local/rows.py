"""Rows of text files, read one by one: CSV records and physical lines, however broken their neighbours are."""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

# A quoted field may span lines. A quote that nobody closed must not swallow the rows after it, so the search is short.
_LONGEST_RECORD = 10


Row = TypeVar("Row")


class PortfolioError(Exception):
    """An input file cannot be used at all; the message names the file and what to mend."""


class BadRow(Exception):
    """One row cannot be used; the message says what was wrong and what to do, without the row's own words."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was set aside: the file's name, the 1-based physical line on which it starts, and why."""

    file: str
    line: int
    reason: str


def table(
    path: Path, columns: Sequence[str], make: Callable[[Mapping[str, str]], Row], rejected: list[Rejected]
) -> Iterator[Row]:
    """Yield the rows of a CSV file that `make` takes; the others go to `rejected`."""
    with opened(path) as file:
        lines = Lines(file)
        header = _header(path, columns, lines)
        for line, fields in _records(lines, len(header)):
            try:
                if isinstance(fields, str):
                    raise BadRow(fields)  # noqa: TRY301 - all ways to be rejected meet here
                yield make(dict(zip(header, fields, strict=True)))
            except BadRow as fault:
                rejected.append(Rejected(path.name, line, str(fault)))


def _header(path: Path, columns: Sequence[str], lines: "Lines") -> list[str]:
    """Read the column names; raises PortfolioError when one is missing or stands there twice."""
    _, first = next(lines, (0, b""))
    try:
        names = [name.strip() for name in _split(first.decode()) or ()]
    except UnicodeDecodeError:
        raise PortfolioError(f"{path.name}: the header is not UTF-8; save the file as CSV in UTF-8") from None
    missing = [column for column in columns if column not in names]
    if missing:
        raise PortfolioError(f"{path.name}: missing columns {', '.join(missing)}; the header needs {','.join(columns)}")
    if len(set(names)) < len(names):
        raise PortfolioError(f"{path.name}: a column stands in the header twice; keep one of each name")
    return names


class Lines(Iterator[tuple[int, bytes]]):
    """The physical lines of a file with their 1-based numbers; a line can be put back to be read again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = enumerate(file, start=1)
        self._back: deque[tuple[int, bytes]] = deque()

    def __next__(self) -> tuple[int, bytes]:
        number, line = self._back.popleft() if self._back else next(self._file)
        return number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line

    def put_back(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Give lines, in their order, to the next readers."""
        self._back.extendleft(reversed(list(lines)))


def _records(lines: Lines, width: int) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record's first line and its fields, or in their place the reason why it has none."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            fields = _split(line.decode())
        except UnicodeDecodeError:
            yield number, "the row is not UTF-8; save the file as CSV in UTF-8"
            continue
        fields = fields or _joined(lines, line.decode(), width)
        if fields is None:
            yield number, "a quotation mark is not closed or stands inside a field; double it or take it out"
        elif len(fields) != width:
            yield number, f"the row has {len(fields)} fields and the header {width}; quote fields that hold a comma"
        else:
            yield number, fields


def _joined(lines: Lines, text: str, width: int) -> list[str] | None:
    """Read on over further lines until the record ends; None, with those lines put back, when it does not end well."""
    taken: list[tuple[int, bytes]] = []
    for item in lines:
        taken.append(item)
        text += item[1].decode(errors="replace")
        fields = _split(text)
        if fields and len(fields) == width and "\ufffd" not in text:
            return fields
        if fields or len(taken) == _LONGEST_RECORD:
            break
    lines.put_back(taken)
    return None


def _split(text: str) -> list[str] | None:
    """Split one CSV record (RFC 4180) into its fields; None when its quotes do not match."""
    if '"' not in text:
        return text.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None


def opened(path: Path) -> BinaryIO:
    """Open the file for reading bytes; raises PortfolioError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise PortfolioError(
            f"{path.name}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
