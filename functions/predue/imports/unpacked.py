"""Blocks of a file as it was before gzip packed it, bounded on the way: a small file may hold an endless one.

What is no text of rows at all is told by its first bytes.
"""

import zlib
from collections.abc import Iterable, Iterator

_BLOCK = 256 * 1024
MOST_BYTES = 4 * 1024**3
"""Of a file, unpacked: some twenty million rows."""
MOST_RATIO = 200
"""Text of rows packs to a fifth or a twentieth; gzip itself reaches a thousandth, with one byte a million times."""
_RATIO_FROM = 4 * 1024**2
_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_UTF_16 = 'text in UTF-16 ("Unicode Text")'
_OTHERS = {
    b"PK": "an Excel workbook (xlsx) or another archive",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel workbook (xls)",
    b"7z\xbc\xaf": "an archive (7z)",
    b"Rar!": "an archive (rar)",
    b"BZh": "packed by bzip2",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"\xfd7zXZ": "packed by xz",
    b"%PDF": "a PDF",
    b"{\\rtf": "a text document (rtf)",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
"""Other kinds of files by their first bytes, as they come under a name that ends in .csv."""
SAVE_AS = "in Excel save it as 'CSV UTF-8 (Comma delimited)'"
_START = 16
"""Bytes by which a file's kind shows."""


class BadFile(Exception):
    """A file cannot be used as a whole; the message says why and what to do, without the file's own words."""


def plain(blocks: Iterable[bytes], skipped: int = 0) -> Iterator[bytes]:
    """Blocks as they are, up to the most that a file may have; raises BadFile, for another kind of file, too, unless
    the bytes before were `skipped`.
    """
    total = skipped
    for block in _with_start(blocks):
        if not total:
            if block.startswith(_MAGIC):
                raise BadFile("the file is packed by gzip; let its name end in .gz")
            _check_kind(block)
        total += len(block)
        _check_size(total)
        yield block


def unpacked(blocks: Iterable[bytes], skip: int = 0) -> Iterator[bytes]:
    """What gzip packed, from its byte `skip` on; raises BadFile for what is no gzip, is damaged, cut off or a bomb.

    A packed stream cannot be entered in its middle, so whoever takes it up again unpacks what comes before once more:
    that takes a hundredth of the time that its rows took.
    """
    total = 0
    for block in _with_start(_expanded(_with_start(blocks))):
        if not total:
            if block.startswith(_MAGIC):
                raise BadFile("the file is packed by gzip twice; unpack it once")
            _check_kind(block)
        before, total = total, total + len(block)
        if total > skip:
            yield block[max(0, skip - before) :]


def _expanded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    read = total = 0
    member = zlib.decompressobj(_GZIP)
    empty = True
    for block in blocks:
        if not read and not block.startswith(_MAGIC):
            _check_kind(block)
            raise BadFile("the file is no gzip, though its name ends in .gz; take .gz off its name, or pack it")
        read += len(block)
        left = block
        while left:
            if member.eof:
                # Members may follow each other (RFC 1952, 2.2); some tools pad the last one with zeros.
                left = left.lstrip(b"\0")
                member = zlib.decompressobj(_GZIP) if left else member
                continue
            empty = False
            try:
                made = member.decompress(left, _BLOCK)
            except zlib.error:
                raise BadFile("the file is no gzip, or damaged; pack it anew") from None
            left = member.unused_data if member.eof else member.unconsumed_tail
            total += len(made)
            _check_size(total)
            if total > _RATIO_FROM and total > MOST_RATIO * read:
                raise BadFile(f"the file unpacks to more than {MOST_RATIO} times its size; put it unpacked")
            if made:
                yield made
    if empty or not member.eof:
        raise BadFile("the file is cut off in the middle of its gzip; put it again as a whole")


def _with_start(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; their first block holds enough of them to tell a file's kind."""
    start = b""
    left = iter(blocks)
    for block in left:
        start += block
        if len(start) >= _START:
            break
    if start:
        yield start
    yield from left


def _check_size(total: int) -> None:
    if total > MOST_BYTES:
        raise BadFile(f"the file has more than {MOST_BYTES} bytes; split it")


def _check_kind(block: bytes) -> None:
    """Raise BadFile for the first bytes of a file that is no text of rows."""
    kind = next((name for magic, name in _OTHERS.items() if block.startswith(magic)), "")
    if block.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        # What a download leaves when its session has ended, and what many systems call an Excel export.
        kind = "a page in HTML or XML, such as a login page that came in its place"
    if kind:
        raise BadFile(f"the file is {kind}; put its rows as CSV or JSON Lines ({SAVE_AS})")
