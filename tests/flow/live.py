"""A stack that is served in this process, on a machine's clock that the test sets."""

import http.client
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from infrastructure.local.aws.stack import Stack
from infrastructure.local.runs import run
from infrastructure.local.serve.book_routes import BookRoutes
from infrastructure.local.serve.console import Console
from infrastructure.local.serve.serve import Live
from infrastructure.local.serve.server import App, Server, Work
from infrastructure.local.virtual.virtual_clock import LiveClock
from predue.domain.policy import Policy
from tests.flow.small import Book, Line, read_lines

_T = TypeVar("_T")
_PATIENCE_SECONDS = 600


class Got(NamedTuple):
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: str


class Served:
    """What a test does with it: ask as clients do, and let time pass."""

    def __init__(self, live: Live, stack: Stack, server: Server, out: Path, log: io.StringIO, now: datetime) -> None:
        self.live = live
        self.stack = stack
        self.server = server
        self.out = out
        self.log = log
        self.now = now
        self._clients = ThreadPoolExecutor(60)

    def client(self, work: Callable[[], _T]) -> Future[_T]:
        """Do a client's work in a thread of its own."""
        return self._clients.submit(work)

    def until(self, *futures: Future[Any]) -> None:
        """Run the stack in this thread, which is its own, until clients have what they came for."""
        while not all(future.done() for future in futures):
            self.live.turn(0.01)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        future = self.client(lambda: self.request(method, path, body, **headers))
        self.until(future)
        return future.result()

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=_PATIENCE_SECONDS)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        got = Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode())
        connection.close()
        return got

    def pass_to(self, moment: datetime) -> None:
        """Let the machine's clock jump, and happen what is due then."""
        self.now = moment
        while self.stack.step() <= self.now:
            pass
        self.live.write()

    @property
    def contacts(self) -> list[Line]:
        return read_lines(self.out / "contacts.jsonl")

    @property
    def logged(self) -> list[Line]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def served(out: Path, book: Book, start: datetime) -> Iterator[Served]:
    """A book's stack, served on a free port from `start` on."""
    portfolio = book.read(out)
    assert portfolio.rejected == []
    log, work = io.StringIO(), Work()
    with run.moto(), Server(0) as server:
        stack = Stack(
            start,
            log=log,
            wire=io.StringIO(),
            parameters={"InitialPolicy": Policy().model_dump_json()},
            make_clock=lambda moment: LiveClock(moment, lambda: stand.now),
            public_url=server.address,
        )
        with stack.feeding():
            run.load(portfolio, start, lambda _share, _what: None)
        books = BookRoutes(stack)
        live = Live(stack, work, out, log, Console(stack, server.address, books, bundled=False), [])
        stand = Served(live, stack, server, out, log, start)
        live.begin()
        server.start(App(work, live.answer, live.console.page, books))
        yield stand
        work.refuse_all()
