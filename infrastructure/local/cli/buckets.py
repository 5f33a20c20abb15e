"""The buckets that `predue import` puts files into, each with an import behind it: S3's own, and a served stack's."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote, urlsplit

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from urllib3 import HTTPConnectionPool, Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from predue.aws import clients
from predue.imports.import_state import CONFIRMED

_MISSING = ("NoSuchKey", "NotFound", "404")
_LOOK_AGAIN_SECONDS = 0.5
_HERE = ("127.0.0.1", "localhost")
_OK, _NOT_FOUND, _BUSY, _ERRORS = 200, 404, 503, 400
_PATIENCE = Timeout(connect=5, read=60)
"""Seconds. The server itself gives up on an answer after thirty."""


class CannotImport(Exception):
    """A file cannot be imported as it was asked for; the text says what to mend."""


class Bucket(Protocol):
    """Where files are put, and their reports stand; every method raises CannotImport or an error of the SDK."""

    def put(self, key: str, file: Path) -> str:
        """Put a file; returns its entity tag."""

    def confirm(self, import_id: str) -> None:
        """Say that a held import may go on."""

    def read(self, key: str) -> bytes | None:
        """A report, or None while there is none."""

    def tag(self, key: str) -> str:
        """The entity tag of what stands under a key, "" for nothing."""

    def wait(self) -> None:
        """Let the import work for a while."""


@dataclass(frozen=True)
class S3Bucket:
    """A bucket at S3, or at whatever plays it."""

    s3: Any
    name: str
    wait: Callable[[], None]

    def put(self, key: str, file: Path) -> str:
        """See Bucket."""
        self.s3.upload_file(str(file), self.name, key, Config=TransferConfig(use_threads=False))
        return self.tag(key)

    def confirm(self, import_id: str) -> None:
        """See Bucket."""
        self.s3.put_object(Bucket=self.name, Key=CONFIRMED + import_id, Body=b"")

    def read(self, key: str) -> bytes | None:
        """See Bucket."""
        try:
            return bytes(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())
        except ClientError as error:
            if clients.code_of(error) not in _MISSING:
                raise
            return None

    def tag(self, key: str) -> str:
        """See Bucket."""
        try:
            return str(self.s3.head_object(Bucket=self.name, Key=key)["ETag"]).strip('"')
        except ClientError as error:
            if clients.code_of(error) not in _MISSING:
                raise
            return ""


def served_at(text: str) -> str:
    """The address of a served stack as it was typed, checked; raises ValueError for one that is not on this machine."""
    try:
        parts = urlsplit(text)
        good = parts.scheme == "http" and parts.hostname in _HERE and parts.port != 0
        good = good and not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{text!r}: a served stack is on this machine, as in http://127.0.0.1:8000")
    return f"http://{parts.hostname}:{parts.port or 80}"


@dataclass
class ServedBucket(AbstractContextManager["ServedBucket"]):
    """The bucket of a running `predue serve`."""

    address: str
    _met: bool = False
    _pool: HTTPConnectionPool = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        # The machine is asked directly, whatever proxy leads from it to the internet.
        self._pool = HTTPConnectionPool(str(parts.hostname), parts.port, timeout=_PATIENCE, retries=False)

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def put(self, key: str, file: Path) -> str:
        """See Bucket; the file is sent as it is read."""
        with file.open("rb") as body:
            return _tag(self._asked("PUT", key, body, {"content-length": str(file.stat().st_size)}))

    def confirm(self, import_id: str) -> None:
        """See Bucket."""
        self._asked("PUT", CONFIRMED + import_id, None, {"content-length": "0"})

    def read(self, key: str) -> bytes | None:
        """See Bucket."""
        got = self._asked("GET", key)
        return got.data if got.status == _OK else None

    def tag(self, key: str) -> str:
        """See Bucket."""
        return _tag(self._asked("HEAD", key))

    def wait(self) -> None:
        """See Bucket."""
        time.sleep(_LOOK_AGAIN_SECONDS)

    def _asked(
        self, method: str, key: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> BaseHTTPResponse:
        """One answer; a server that is busy is asked again, but for a file, which whoever put it puts again."""
        while True:
            got = self._answer(method, f"/{quote(key)}", body, headers or {})
            if got.headers.get("server") != "predue":
                raise CannotImport(
                    f"what answers at {self.address} is no `predue serve`; give the address that it says"
                )
            if got.status != _BUSY or body is not None:
                break
            self.wait()
        if got.status >= _ERRORS and not (got.status == _NOT_FOUND and method != "PUT"):
            raise CannotImport(f"{self.address}: {_fault_said(got)}")
        return got

    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> BaseHTTPResponse:
        try:
            got = self._pool.urlopen(method, path, body=body, headers=headers)
        except (HTTPError, OSError) as error:
            if self._met:
                raise CannotImport(
                    f"{self.address} answers no more; what it held is gone with it, the files that it had taken, too. "
                    "Start it again (make serve), then import again"
                ) from error
            raise CannotImport(
                f"nothing answers at {self.address}; start it in another terminal (make serve, or .venv/bin/predue "
                "serve --port N), then import again"
            ) from error
        self._met = True
        return got


def _tag(got: BaseHTTPResponse) -> str:
    return got.headers.get("etag", "").strip('"')


def _fault_said(got: BaseHTTPResponse) -> str:
    """What the server says is wrong."""
    if got.status == _BUSY:
        return "busy with something that takes long; put the file again"
    try:
        return str(json.loads(got.data)["message"])
    except (ValueError, KeyError, TypeError):
        return f"answers {got.status}"
