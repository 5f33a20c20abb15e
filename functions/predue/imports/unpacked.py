"""Blocks of a file as it was before gzip packed it, bounded on the way: a small file may hold an endless one."""

import zlib
from collections.abc import Iterable, Iterator

_BLOCK = 256 * 1024
MOST_BYTES = 4 * 1024**3
"""Of a file, unpacked: some twenty million rows."""
MOST_RATIO = 200
"""Text of rows packs to a fifth or a twentieth; gzip itself reaches a thousandth, with one byte a million times."""
_RATIO_FROM = 4 * 1024**2
_GZIP = 16 + zlib.MAX_WBITS


class BadFile(Exception):
    """A file cannot be used as a whole; the message says why and what to do, without the file's own words."""


def plain(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks as they are, up to the most that a file may have; raises BadFile."""
    total = 0
    for block in blocks:
        total += len(block)
        _check_size(total)
        yield block


def unpacked(blocks: Iterable[bytes], skip: int = 0) -> Iterator[bytes]:
    """What gzip packed, from its byte `skip` on; raises BadFile for what is no gzip, is damaged, cut off or a bomb.

    A packed stream cannot be entered in its middle, so whoever takes it up again unpacks what comes before once more:
    that takes a hundredth of the time that its rows took.
    """
    total = 0
    for block in _expanded(blocks):
        before, total = total, total + len(block)
        if total > skip:
            yield block[max(0, skip - before) :]


def _expanded(blocks: Iterable[bytes]) -> Iterator[bytes]:
    read = total = 0
    member = zlib.decompressobj(_GZIP)
    empty = True
    for block in blocks:
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


def _check_size(total: int) -> None:
    if total > MOST_BYTES:
        raise BadFile(f"the file has more than {MOST_BYTES} bytes; split it")
