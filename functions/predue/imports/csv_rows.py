"""Rows of text, read one by one from a stream: physical lines and CSV records, however broken their neighbours are.

Nothing here holds more than a block and a few lines, whatever the input is: a line has a bound, and so has a record.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from predue.events import strict_json

LONGEST_LINE = 64 * 1024
"""In bytes; the rest of a longer line is ignored unread, and the row is rejected."""
# A quoted field may span lines. A quote that nobody closed must not swallow the rows after it, so the search is short.
_LONGEST_RECORD = 10
_TOO_LONG = f"the row is longer than {LONGEST_LINE} bytes; shorten it"


class BadRow(Exception):
    """One row cannot be used; the message says what was wrong and what to do, without the row's own words."""


class BadHeader(Exception):
    """The columns' names cannot be used, so nothing of the file can; the message says what to mend."""


class CsvLine(NamedTuple):
    """One physical line: its 1-based number, its bytes up to one more than LONGEST_LINE, and where in the stream it
    begins.
    """

    number: int
    text: bytes
    start: int

    @property
    def too_long(self) -> bool:
        """Whether it is longer than a line may be."""
        return len(self.text) > LONGEST_LINE


class Lines(Iterator[CsvLine]):
    """The physical lines of blocks of bytes; a line can be put back to be read again.

    `number` and `start` tell what stands before the first block, for a stream that is taken up in its middle.
    """

    def __init__(self, blocks: Iterable[bytes], number: int = 0, start: int = 0) -> None:
        self._lines = _lines(blocks, number, start)
        self._back: deque[CsvLine] = deque()

    def __next__(self) -> CsvLine:
        line = self._back.popleft() if self._back else next(self._lines)
        return line._replace(text=line.text.removeprefix(b"\xef\xbb\xbf")) if line.number == 1 else line

    def put_back(self, lines: Iterable[CsvLine]) -> None:
        """Give lines, in their order, to the next readers."""
        self._back.extendleft(reversed(list(lines)))

    def peek(self) -> CsvLine | None:
        """The next line, left where it is; None at the end."""
        line = next(self, None)
        if line is not None:
            self.put_back([line])
        return line


def _lines(blocks: Iterable[bytes], number: int, start: int) -> Iterator[CsvLine]:
    held, lost = b"", 0  # of the line at hand: what is kept, and how many bytes are not
    for block in blocks:
        *ended, rest = block.split(b"\n")
        for piece in ended:
            number += 1
            text = (held + piece + b"\n") if not lost else held
            yield CsvLine(number, text[: LONGEST_LINE + 1], start)
            start += len(held) + lost + len(piece) + 1
            held, lost = b"", 0
        kept = LONGEST_LINE + 1 - len(held)
        held, lost = held + rest[:kept], lost + len(rest[kept:])
    if held:
        yield CsvLine(number + 1, held, start)


def header(lines: Lines, columns: Sequence[str]) -> list[str]:
    """Read the column names; raises BadHeader when one is missing or stands there twice."""
    first = next(lines, CsvLine(0, b"", 0))
    if first.text.startswith((b"\xff\xfe", b"\xfe\xff")) or first.too_long:
        raise BadHeader("the first line is no header in UTF-8; save the file as CSV in UTF-8")
    try:
        names = [name.strip() for name in _split(first.text.decode()) or ()]
    except UnicodeDecodeError:
        raise BadHeader("the header is not UTF-8; save the file as CSV in UTF-8") from None
    missing = [column for column in columns if column not in names]
    if missing:
        raise BadHeader(f"missing columns {', '.join(missing)}; the header needs {','.join(columns)}")
    if len(set(names)) < len(names):
        raise BadHeader("a column stands in the header twice; keep one of each name")
    return names


def records(lines: Lines, width: int) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record's first line and its fields, or in their place the reason why it has none."""
    for line in lines:
        if not line.text.strip():
            continue
        if line.too_long:
            yield line.number, _TOO_LONG
            continue
        try:
            fields = _split(line.text.decode())
        except UnicodeDecodeError:
            yield line.number, "the row is not UTF-8; save the file as CSV in UTF-8"
            continue
        fields = fields or _joined(lines, line.text.decode(), width)
        if fields is None:
            yield line.number, "a quotation mark is not closed or stands inside a field; double it or take it out"
        elif len(fields) != width:
            yield (
                line.number,
                f"the row has {len(fields)} fields and the header {width}; quote fields that hold a comma",
            )
        else:
            yield line.number, fields


def json_of(line: CsvLine) -> Any:
    """The JSON of a line, read as a webhook's is; raises BadRow."""
    if line.too_long:
        raise BadRow(_TOO_LONG)
    try:
        return strict_json.read(line.text.decode())
    except UnicodeDecodeError:
        raise BadRow("the line is not UTF-8; write JSON in UTF-8") from None
    except ValueError:
        raise BadRow("the line is no JSON as a webhook takes it; write one whole object a line") from None


def _joined(lines: Lines, text: str, width: int) -> list[str] | None:
    """Read on over further lines until the record ends; None, with those lines put back, when it does not end well."""
    taken: list[CsvLine] = []
    for item in lines:
        taken.append(item)
        text += item.text.decode(errors="replace")
        fields = _split(text)
        if fields and len(fields) == width and "\ufffd" not in text:
            return fields
        if fields or len(taken) == _LONGEST_RECORD or item.too_long:
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
