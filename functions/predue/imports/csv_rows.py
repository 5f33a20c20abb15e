"""Rows of text, read one by one from a stream: physical lines and CSV records, however broken their neighbours are.

Nothing here holds more than a block and a few lines, whatever the input is: a line has a bound, and so has a record.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from predue.events import strict_json
from predue.imports.row_report import Told
from predue.imports.unpacked import SAVE_AS

LONGEST_LINE = 64 * 1024
"""In bytes; the rest of a longer line is ignored unread, and the row is rejected."""
# A quoted field may span lines. A quote that nobody closed must not swallow the rows after it, so the search is short.
_LONGEST_RECORD = 10
_TOO_LONG = f"the row is longer than {LONGEST_LINE} bytes; shorten it"
_ID = re.compile(r"[^\s,+]*[0-9][^\s,]*")
_BLANK = b" ,\t\r\n"
_SEPARATORS = {",": "", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BY_COMMAS = "separate them by commas, and write amounts with a point (Excel takes both from Windows' region settings)"
_TITLES = 20
"""Lines above which a header may stand that it is looked for in, so that its place can be told."""


class BadRow(Exception):
    """One row cannot be used; the message says what was wrong and what to do, without the row's own words.

    `fields` names the column that is at fault, if one is, as those of InvalidEvent do. `first` is the first cell of a
    row whose cells have no place, if it looks like an id: nothing can have pushed it into another column.
    """

    def __init__(self, reason: str, field: str = "", first: str = "") -> None:
        super().__init__(reason)
        self.fields, self.first = ((field, reason),), first


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


def header(lines: Lines, *kinds: Sequence[str]) -> list[str]:
    """Read the column names, in lower case, of a file of one of these kinds; blank columns at the end are none.

    Raises BadHeader when one is missing or stands there twice, and says how the file seems to have come to that.
    """
    first = next((line for line in lines if line.text.strip(_BLANK)), None)
    if first is None:
        raise BadHeader("the file is empty; put it again with its rows")
    if b"\0" in first.text:
        raise BadHeader(f"the first line is no text in UTF-8, perhaps in UTF-16; {SAVE_AS}")
    if b"\r" in first.text.rstrip(b"\r\n"):
        raise BadHeader(f'its lines end in CR alone, as those of "CSV (Macintosh)"; {SAVE_AS}')
    if first.too_long:
        raise BadHeader(f"the first line is no header in UTF-8; {SAVE_AS}")
    try:
        names = _names(_split(first.text.decode()) or ())
    except UnicodeDecodeError:
        raise BadHeader(f"the header is not UTF-8; {SAVE_AS}") from None
    columns = kind_of(names, *kinds)
    missing = [column for column in columns if column not in names]
    if missing:
        told = f"missing columns {', '.join(missing)}; the header needs {','.join(columns)}"
        raise BadHeader(_why(first, lines, kinds) or told)
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        raise BadHeader("a column stands in the header twice; keep one of each name")
    return names


def unused(names: Sequence[str], *kinds: Sequence[str]) -> list[Told]:
    """The columns that nothing is read of."""
    reason = "is a column that nothing is read of; take it out, or mend its name"
    return [Told(1, reason, field=name) for name in names if name and name not in kind_of(names, *kinds)]


def kind_of(names: Sequence[str], *kinds: Sequence[str]) -> Sequence[str]:
    """Of the kinds of files the one whose columns these most likely are."""
    return max(kinds, key=lambda columns: len(set(columns) & set(names)))


def cells(names: Sequence[str], fields: Sequence[str]) -> dict[str, str]:
    """A record's fields by their columns, without the white space around them, which says nothing."""
    return dict(zip(names, map(str.strip, fields), strict=True))


def _names(fields: Sequence[str]) -> list[str]:
    """Column names as they are known: however their letters and blanks were written."""
    names = ["_".join(field.lower().split()) for field in fields]
    while names and not names[-1]:
        names.pop()
    return names


def _why(first: CsvLine, lines: Lines, kinds: Sequence[Sequence[str]]) -> str:
    """How a first line seems to have come to be no header, as far as it and those below it show; else empty."""
    for line in (first, *islice(lines, _TITLES)):
        for mark, word in _SEPARATORS.items():
            names = _names(line.text.decode(errors="replace").split(mark))
            columns = kind_of(names, *kinds)
            if 2 * len(set(columns) & set(names)) > len(columns):
                above = f"the header stands on line {line.number}; take out what stands above it"
                apart = f"its columns are separated by {word}; {_BY_COMMAS}"
                return "; ".join([above] * (line != first) + [apart] * bool(word))
    return ""


def records(lines: Lines, width: int) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Yield each record's first line and its fields, or in their place the reason why it has none.

    Rows of blank cells are ignored, and blank cells beyond the header's width: spreadsheets leave both.
    """
    for line in lines:
        if not line.text.strip(_BLANK):
            continue
        if line.too_long:
            yield line.number, BadRow(_TOO_LONG)
            continue
        try:
            text = line.text.decode()
        except UnicodeDecodeError:
            told = f"the row is not UTF-8, perhaps Windows-1252 or GBK; {SAVE_AS}"
            yield line.number, _broken(told, line.text.decode(errors="replace"))
            continue
        fields = _fitted(_split(text), width) or _joined(lines, text, width)
        if fields is None:
            told = "a quotation mark is not closed or stands inside a field; double it or take it out"
            yield line.number, _broken(told, text)
        elif not any(map(str.strip, fields)):
            continue
        elif len(fields) != width:
            told = f"the row has {len(fields)} fields and the header {width}; quote fields that hold a comma"
            yield line.number, _broken(told, text)
        else:
            yield line.number, fields


def _broken(reason: str, text: str) -> BadRow:
    first = text.partition(",")[0].strip()
    return BadRow(reason, first=first if _ID.fullmatch(first) and "\ufffd" not in first and '"' not in first else "")


def _fitted(fields: list[str] | None, width: int) -> list[str] | None:
    """The fields without the blank ones beyond a width."""
    while fields and len(fields) > width and not fields[-1].strip():
        fields.pop()
    return fields


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
        fields = _fitted(_split(text), width)
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
