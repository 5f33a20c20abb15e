"""The bucket in which files are put, and in which their imports keep what they work with."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from predue.aws.clients import client, code_of, translated
from predue.errors import Gone, ImportMoved, PredueError, Replaced, Unreachable
from predue.imports.import_state import Import

_BLOCK = 4 * 1024**2
"""Bytes of one request: what is held of a file at a time."""
_PART = 5 * 1024**2
"""The smallest part of a multipart upload but for its last (S3 user guide, "Multipart upload limits")."""
_MISSING = ("NoSuchKey", "NotFound", "404")
_OTHER = ("PreconditionFailed", "ConditionalRequestConflict", *_MISSING)
_PAST_END = ("InvalidRange",)


@contextmanager
def _translated(what: str, *meanings: tuple[Sequence[str], PredueError]) -> Iterator[None]:
    """As `translated`, with errors of their own for what some codes mean here."""
    with translated(what):
        try:
            yield
        except ClientError as error:
            for codes, otherwise in meanings:
                if code_of(error) in codes:
                    raise otherwise from error
            raise


class BucketFiles:
    """Implements the port Files over one bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def blocks(self, key: str, etag: str, start: int) -> Iterator[bytes]:
        """See Files; each block is a request of its own, so that a slow reader holds no connection open."""
        while block := self._block(key, etag, start):
            yield block
            start += len(block)

    def _block(self, key: str, etag: str, start: int) -> bytes:
        other = Replaced("file: not the one that was put")
        try:
            with _translated("file", (_OTHER, other), (_PAST_END, Gone("past the end"))):
                return _body(
                    client("s3").get_object(
                        Bucket=self._bucket, Key=key, IfMatch=etag, Range=f"bytes={start}-{start + _BLOCK - 1}"
                    )
                )
        except Gone:
            return b""

    def still_there(self, key: str, etag: str) -> bool:
        """Whether a key holds this content."""
        try:
            with _translated("file", (_MISSING, Gone("file: not there"))):
                return str(client("s3").head_object(Bucket=self._bucket, Key=key)["ETag"]).strip('"') == etag
        except Gone:
            return False

    def get(self, key: str) -> bytes:
        """See Files."""
        gone = Gone("what the import works with is not there any more; put the file anew")
        with _translated("work", (_MISSING, gone)):
            return _body(client("s3").get_object(Bucket=self._bucket, Key=key))

    def put(self, key: str, content: bytes) -> None:
        """See Files."""
        with translated("work"):
            client("s3").put_object(Bucket=self._bucket, Key=key, Body=content)

    def join(self, key: str, parts: Iterator[bytes]) -> None:
        """See Files: in one request where all fits into one, else as a multipart upload."""
        pieces = _of_size(parts)
        first, second = next(pieces, b""), next(pieces, None)
        if second is None:
            return self.put(key, first)
        with translated("report"):
            upload = client("s3").create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        about: dict[str, Any] = {"Bucket": self._bucket, "Key": key, "UploadId": upload}
        done = []
        for number, piece in enumerate(_chained((first, second), pieces), start=1):
            with translated("report"):
                answer = client("s3").upload_part(**about, PartNumber=number, Body=piece)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        with translated("report"):
            client("s3").complete_multipart_upload(**about, MultipartUpload={"Parts": done})
        return None

    def load(self, import_id: str) -> tuple[Import, str] | None:
        """See Files; the token is the entity tag."""
        try:
            with _translated("import", (_MISSING, Gone("import: not there"))):
                answer = client("s3").get_object(Bucket=self._bucket, Key=_state(import_id))
                return Import.read(_body(answer).decode()), str(answer["ETag"])
        except Gone:
            return None

    def save(self, state: Import, token: str) -> str:
        """See Files (S3 user guide, "Conditional writes")."""
        condition = {"IfMatch": token} if token else {"IfNoneMatch": "*"}
        with _translated("import", (_OTHER, ImportMoved("import: another call goes on with it"))):
            answer = client("s3").put_object(
                Bucket=self._bucket, Key=_state(state.id), Body=state.text().encode(), **condition
            )
        return str(answer["ETag"])


def _state(import_id: str) -> str:
    return f"work/{import_id}/state.json"


def _body(answer: dict[str, Any]) -> bytes:
    """The content of an answer; the stream may break after the answer's head came well."""
    try:
        return bytes(answer["Body"].read())
    except (BotoCoreError, OSError) as error:
        raise Unreachable(f"file: {type(error).__name__}") from error


def _of_size(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Bytes in pieces large enough for a multipart upload, the last one excepted."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= _PART:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _chained(first: Iterable[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from first
    yield from rest
