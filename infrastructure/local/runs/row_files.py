"""Files of rows on this machine: opened, read record by record, and what cannot be used set aside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from predue.errors import InvalidEvent
from predue.imports.csv_rows import BadHeader, BadRow, Lines, header, records

_BLOCK = 64 * 1024
Row = TypeVar("Row")


class PortfolioError(Exception):
    """An input file cannot be used at all; the message names the file and what to mend."""


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
        lines = lines_of(file)
        try:
            names = header(lines, columns)
        except BadHeader as fault:
            raise PortfolioError(f"{path.name}: {fault}") from None
        for line, fields in records(lines, len(names)):
            try:
                if isinstance(fields, str):
                    raise BadRow(fields)  # noqa: TRY301 - all ways to be rejected meet here
                yield make(dict(zip(names, fields, strict=True)))
            except (InvalidEvent, BadRow) as fault:
                rejected.append(Rejected(path.name, line, str(fault)))


def lines_of(file: BinaryIO) -> Lines:
    """The physical lines of an open file."""
    return Lines(iter(partial(file.read, _BLOCK), b""))


def opened(path: Path) -> BinaryIO:
    """Open the file for reading bytes; raises PortfolioError."""
    if path.exists() and not path.is_file():
        raise PortfolioError(f"{path.name}: is no regular file, and the audit reads it again; write it to disk first")
    try:
        return path.open("rb")
    except OSError as error:
        raise PortfolioError(
            f"{path.name}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error
