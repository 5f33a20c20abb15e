"""Files of rows on this machine: opened, read record by record, and what cannot be used set aside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from predue.errors import InvalidEvent
from predue.events.usable import warned
from predue.imports.book_rows import row_id
from predue.imports.csv_rows import BadHeader, BadRow, Lines, cells, header, records, unused
from predue.imports.row_report import Told, named
from predue.imports.unpacked import BadFile, plain, unpacked

_BLOCK = 64 * 1024
Row = TypeVar("Row")


class PortfolioError(Exception):
    """An input file cannot be used at all; the message names the file and what to mend."""


class Rejected(NamedTuple):
    """A row that was set aside: the file's name, the 1-based physical line on which it starts, why, and whose it is and
    which field is wrong, where that is known.
    """

    file: str
    line: int
    reason: str
    id: str = ""
    field: str = ""

    @classmethod
    def of(cls, file: str, told: Told) -> "Rejected":
        """What is told of a row of a file."""
        return cls(file, told.line, told.reason, told.id, named(told.field))


def table(
    path: Path,
    columns: Sequence[str],
    make: Callable[[Mapping[str, str]], Row],
    rejected: list[Rejected],
    warnings: list[Rejected],
) -> Iterator[Row]:
    """Yield the rows of a CSV file that `make` takes; the others go to `rejected`, and what of those that it takes
    cannot be used as it stands to `warnings`.
    """
    with lines_of(path) as lines:
        names = header(lines, columns)
        warnings += [Rejected.of(path.name, told) for told in unused(names, columns)]
        for line, fields in records(lines, len(names)):
            row = fields if isinstance(fields, BadRow) else cells(names, fields)
            try:
                if isinstance(row, BadRow):
                    raise row
                yield make(row)
            except (InvalidEvent, BadRow) as fault:
                told = Told(line, str(fault), row_id(names, row), fault.fields[0][0])
                rejected.append(Rejected.of(path.name, told))
            else:
                faults = warned(row) if "consent" in columns else []
                warnings += [Rejected(path.name, line, one.reason, row_id(names, row), one.field) for one in faults]


@contextmanager
def lines_of(path: Path) -> Iterator[Lines]:
    """The physical lines of a file, plain or packed by gzip; what makes it unusable is raised as PortfolioError."""
    with opened(path) as file:
        blocks = iter(partial(file.read, _BLOCK), b"")
        try:
            yield Lines(unpacked(blocks) if path.name.lower().endswith(".gz") else plain(blocks))
        except (BadFile, BadHeader) as fault:
            raise PortfolioError(f"{path.name}: {fault}") from None


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
