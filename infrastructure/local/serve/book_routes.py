"""Files into the bucket of a served stack, by HTTP: what `predue import --to` asks.

On AWS whoever may put files does so with S3 itself; on this machine moto's S3 lives in the server's own process. So the
server takes `PUT /books/<source>/<name>`, tells how far the import is beside it, and takes an operator's confirmation.
Nobody signs: whoever may start programs on this machine is believed, and web pages of others are kept out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple, TypeVar
from urllib.parse import unquote

from botocore.exceptions import ClientError
from werkzeug import Request

from infrastructure.local.aws import http_api
from infrastructure.local.aws.http_api import HttpAnswer, message
from infrastructure.local.aws.stack import Stack
from predue import wiring
from predue.aws import clients
from predue.imports.file_reading import begun
from predue.imports.import_state import BOOKS, CONFIRMED, PARKED, REJECTED, REPORT, Import
from predue.imports.unpacked import BadFile

LARGEST_FILE = 100_000_000
"""Bytes; a million installments are 60 MB. All of a served stack is in memory."""
_IN_MEMORY = 1024 * 1024
_BLOCK = 64 * 1024
_LONGEST_KEY = 1024
"""Bytes of UTF-8 (S3 user guide, "Naming Amazon S3 objects")."""
_SHOWN = 6

_T = TypeVar("_T")
Ask = Callable[[Callable[[], _T]], _T]


class UploadRefused(Exception):
    """A request cannot be done as it was asked; `answer` says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = message(status, text)


class Shown(NamedTuple):
    """An import as the console shows it."""

    name: str
    status: str
    percent: int
    rows: int
    applied: int
    rejected: int


@dataclass(frozen=True)
class BookRoutes:
    """The routes of one stack; what is said to touch the bucket runs in the stack's own thread."""

    stack: Stack

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a request is for these routes."""
        return path.startswith((f"/{BOOKS}", f"/{CONFIRMED}"))

    def answer(self, environ: dict[str, Any], path: str, ask: "Ask[HttpAnswer]") -> HttpAnswer:
        """Answer one request in the client's own thread; `ask` has something done by the stack's."""
        request = _FileRequest(environ)
        key = unquote(path).removeprefix("/")
        # Browsers say where a page came from; programs on this machine do not (Fetch standard, "Origin header").
        if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
            return message(403, "Forbidden")
        try:
            match request.method:
                case "PUT" if key.startswith(BOOKS):
                    return self._taken(request, key, ask)
                case "PUT":
                    return ask(lambda: self.confirm(key))
                case "GET" | "HEAD" if key.startswith(BOOKS):
                    return ask(lambda: self.read(key))
            return message(405, "Method Not Allowed")
        except UploadRefused as refused:
            return refused.answer

    def _taken(self, request: Request, key: str, ask: "Ask[HttpAnswer]") -> HttpAnswer:
        """Take the whole file before the stack is asked: a client may be slow, and the stack has one thread."""
        check_name(key)
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            while block := request.stream.read(_BLOCK):
                file.write(block)
            if file.tell() > LARGEST_FILE:
                return http_api.TOO_LARGE
            file.seek(0)
            return ask(lambda: self.put(key, file))

    # In the stack's own thread

    def put(self, key: str, file: IO[bytes]) -> HttpAnswer:
        """Put a file, of which the bucket tells the import; raises Refused for a source that nobody named."""
        with self.stack.feeding():
            source = begun(_named(key)).source
            if source not in (known := wiring.sources()):
                raise UploadRefused(
                    404, f"no source {source!r} here; say --source with one of: {', '.join(sorted(known))}"
                )
            etag = clients.client("s3").put_object(Bucket=self._bucket, Key=key, Body=file)["ETag"]
        return HttpAnswer(202, (("etag", etag),), b"")

    def confirm(self, key: str) -> HttpAnswer:
        """Put an operator's word that a held import may go on."""
        if not key.removeprefix(CONFIRMED).isalnum():
            raise UploadRefused(404, "no import has such a name")
        with self.stack.feeding():
            clients.client("s3").put_object(Bucket=self._bucket, Key=key, Body=b"")
        return HttpAnswer(202, (), b"")

    def read(self, key: str) -> HttpAnswer:
        """A report, or that there is none yet; of a file itself nothing but its entity tag."""
        with self.stack.feeding():
            try:
                got = clients.client("s3").get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                raise UploadRefused(404, "Not Found") from error
        tag = ("etag", got["ETag"])
        if not key.endswith(PARKED):
            return HttpAnswer(200, (tag,), b"")
        kind = "application/json" if key.endswith(REPORT) else "text/csv; charset=utf-8"
        return HttpAnswer(200, (("content-type", kind), tag), got["Body"].read())

    def shown(self) -> list[Shown]:
        """The last imports, the newest first."""
        with self.stack.feeding():
            s3 = clients.client("s3")
            listed = s3.list_objects_v2(Bucket=self._bucket, Prefix=BOOKS).get("Contents", [])
            found = sorted((one for one in listed if one["Key"].endswith(REPORT)), key=lambda one: one["LastModified"])
            keys = [one["Key"] for one in found[: -_SHOWN - 1 : -1]]
            return [_shown(key, s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()) for key in keys]

    @property
    def _bucket(self) -> str:
        return self.stack.physical("Books")


class _FileRequest(Request):
    # One byte more than is allowed: of a chunked body werkzeug reads no further than this, and says nothing.
    max_content_length = LARGEST_FILE + 1


def check_name(key: str) -> None:
    """Raise Refused for a key that the import would refuse, or take for a report of its own."""
    try:
        begun(_named(key))
    except BadFile as fault:
        raise UploadRefused(422, str(fault)) from fault
    if key.endswith(PARKED):
        raise UploadRefused(422, f"a file's name does not end in {' or '.join(PARKED)}: so end its reports")
    if len(key.encode()) > _LONGEST_KEY - len(REJECTED) or not key.isprintable():
        raise UploadRefused(422, "a file's name is printable, and of at most a thousand bytes with its source")


def _named(key: str) -> Import:
    return Import(key, "", 0, "", "")


def _shown(key: str, content: bytes) -> Shown:
    told = json.loads(content)
    name = key.removeprefix(BOOKS).removesuffix(REPORT).partition("/")[2]
    applied = told["applied"] + told["known_already"] + told["parked"] + told["closed"]
    return Shown(name, told["status"], int(100 * told["share_done"]), told["rows"], applied, told["rejected"])
