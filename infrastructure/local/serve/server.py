"""HTTP on 127.0.0.1: what clients ask is handed to the stack's one thread, and its answers go back.

Werkzeug's threaded server comes with moto, and parses, limits and chunks as HTTP asks. It is made for development,
which this is. Each client has a thread of its own that may hang without harm; the stack stays in the thread that
started it, since a process can run only one function at a time: environment and standard output belong to all of it.
"""

import socket
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from infrastructure.local.aws import http_api
from infrastructure.local.aws.http_api import HttpAnswer
from infrastructure.local.serve.book_routes import BookRoutes

HOST = "127.0.0.1"
_IDLE_SECONDS = 30
_WAITING_CLIENTS = 128
_PATIENCE_SECONDS = 2.0

_T = TypeVar("_T")


class CannotServe(Exception):
    """The server cannot start as it was called; the text says what to mend."""


class Work:
    """What clients ask of the thread that runs the stack, in the order in which they ask."""

    def __init__(self) -> None:
        # Unlike Queue, it may be put to from a signal handler (library reference, "SimpleQueue Objects").
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self.stopping = False
        self._stopping_since = 0.0

    def ask(self, what: Callable[[], _T]) -> _T:
        """Have something done by that thread; raises TimeoutError when it takes longer than API Gateway waits."""
        answer: Future[_T] = Future()
        self._asked.put((answer, what))
        try:
            return answer.result(http_api.LONGEST_WAIT_SECONDS)
        finally:
            answer.cancel()

    def do_one(self, wait_seconds: float) -> None:
        """Do the next thing that is asked, if one comes within some time."""
        try:
            asked = self._asked.get(timeout=wait_seconds) if wait_seconds > 0 else self._asked.get_nowait()
        except Empty:
            return
        if asked is None or not asked[0].set_running_or_notify_cancel():
            return
        answer, what = asked
        try:
            answer.set_result(what())
        except Exception as error:  # noqa: BLE001 - it belongs to who asked
            answer.set_exception(error)

    def stop(self, *_: object) -> None:
        """Ask the thread to stop; serves as a signal handler.

        Who asks again after a while does not want to wait. Right after, it is the same signal: make passes on what its
        process group got already.
        """
        now = time.monotonic()
        if self.stopping and now - self._stopping_since > _PATIENCE_SECONDS:
            raise KeyboardInterrupt
        if not self.stopping:
            self._stopping_since = now
        self.stopping = True
        self._asked.put(None)

    def refuse_all(self) -> None:
        """Leave nobody waiting for a thread that has stopped."""
        while True:
            try:
                asked = self._asked.get_nowait()
            except Empty:
                return
            if asked is not None:
                asked[0].cancel()


class _Request(Request):
    # One byte more than is allowed: of a chunked body werkzeug reads no further than this, and says nothing.
    max_content_length = http_api.LARGEST_BODY + 1


class App:
    """The WSGI application: `page` at `/` for browsers and `books` for programs on this machine, `api` for everything
    else.
    """

    def __init__(
        self,
        work: Work,
        api: Callable[[http_api.HttpRequest], HttpAnswer],
        page: Callable[[], HttpAnswer],
        books: BookRoutes,
    ) -> None:
        self._work = work
        self._api = api
        self._page = page
        self._books = books

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer one request."""
        try:
            answer = self._answer(environ)
        except RequestEntityTooLarge:
            answer = http_api.TOO_LARGE
        except HTTPException as error:
            answer = http_api.message(error.code or 400, error.name)
        return Response(answer.body, answer.status, list(answer.headers))(environ, start_response)

    def _answer(self, environ: dict[str, Any]) -> HttpAnswer:
        request = _Request(environ)
        path, query = _target(request)
        page = path == "/" and request.method in ("GET", "HEAD")
        books = self._books.takes(path)
        # A foreign name that leads here (DNS rebinding) must not let a web page of others see or change what is here.
        if (page or books) and request.host.partition(":")[0] not in (HOST, "localhost"):
            return http_api.message(403, "Forbidden")
        try:
            if page or books:
                return self._work.ask(self._page) if page else self._books.answer(environ, path, self._work.ask)
            asked = _asked(request, path, query)
            if len(asked.body) > http_api.LARGEST_BODY:
                return http_api.TOO_LARGE
            return self._work.ask(lambda: self._api(asked))
        except HTTPException:
            raise
        except (TimeoutError, CancelledError):
            return http_api.UNAVAILABLE
        except Exception:  # noqa: BLE001 - logged where it happened; the client gets what API Gateway would say
            return http_api.FAILED


def _target(request: Request) -> tuple[str, str]:
    """Path and query as they came, still percent-encoded."""
    target = request.environ["RAW_URI"]
    if not target.startswith("/"):
        parts = urlsplit(target)
        target = f"{parts.path or '/'}?{parts.query}"
    path, _, query = target.partition("?")
    return path, query


def _asked(request: Request, path: str, query: str) -> http_api.HttpRequest:
    headers = [(name, value) for name, value in request.headers.items() if value]
    return http_api.HttpRequest(request.method, path, query, headers, request.get_data(), request.remote_addr or HOST)


class _Handler(WSGIRequestHandler):
    """Without a log of its own: paths hold the borrowers' tokens."""

    timeout = _IDLE_SECONDS
    protocol_version = "HTTP/1.1"
    error_content_type = "application/json"
    error_message_format = '{"message":"Bad Request"}'

    def version_string(self) -> str:
        """Name no versions."""
        return "predue"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing."""


class _Server(ThreadedWSGIServer):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks its connection concerns nobody else."""


class Server:
    """A port taken at once, and served once there is something to serve. Use as a context."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            raise CannotServe(
                f"port {port} cannot be used ({error.strerror}); choose another, as in PORT=8123"
            ) from error
        self.port = int(self._socket.getsockname()[1])
        self._served: _Server | None = None

    @property
    def address(self) -> str:
        """Where browsers find it."""
        return f"http://{HOST}:{self.port}"

    def start(self, app: App) -> None:
        """Take clients from now on, each in a thread of its own."""
        self._socket.listen(_WAITING_CLIENTS)
        self._served = _Server(HOST, self.port, app, _Handler, fd=self._socket.fileno())
        Thread(target=self._served.serve_forever, args=(0.1,), name="http", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            if self._served:
                self._served.shutdown()
        self._socket.close()
