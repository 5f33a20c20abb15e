"""`predue serve`: the stack on one machine in real time, with its API and a console on localhost.

One thread runs the stack, as in a run; the server's threads hand it what clients ask. Between two requests it lets
happen what is due. A function that works for long, as an import does, lets clients have a turn ahead of each of its
calls.
"""

import base64
import binascii
import json
import os
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from infrastructure.local.aws import http_api
from infrastructure.local.aws.http_api import HttpAnswer
from infrastructure.local.aws.stack import Stack
from infrastructure.local.runs import outputs
from infrastructure.local.runs.demo_now import HISTORY, write_current
from infrastructure.local.runs.portfolio import Portfolio, Rejected, read_portfolio, write_rejected
from infrastructure.local.runs.run import Progress, load, moto
from infrastructure.local.serve.book_routes import BookRoutes
from infrastructure.local.serve.console import Console, Seen
from infrastructure.local.serve.server import App, CannotServe, Server, Work
from infrastructure.local.virtual.feed import Feed
from infrastructure.local.virtual.virtual_clock import LiveClock, machine_time
from predue import wiring
from predue.aws import clients
from predue.domain.policy import Policy
from predue.domain.record import Record

SECRET = "PREDUE_DEMO_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_SOURCE = "demo"
_PREFIX = "whsec_"
_LONGEST_WAIT = 1.0
"""Seconds after which the clock is looked at again, since it may jump."""
_REFRESH_SECONDS = 2.0
_KEPT_SAMPLES = 12
_KEPT_REQUESTS = 10


@dataclass(frozen=True)
class ServeOptions:
    """What is served; `files` None means the bundled portfolio."""

    out: Path
    port: int = 8000
    seed: int = 1
    policy: Policy = field(default_factory=Policy)
    files: tuple[Path, Path, Path | None] | None = None


class _Stopped(BaseException):
    """Somebody asked to stop before the stack stood, or while a function was at work."""


Bar = Callable[[], AbstractContextManager[Progress]]


def serve(options: ServeOptions, bar: Bar) -> None:
    """Serve until SIGINT or SIGTERM, which the process ignores afterwards; raises CannotServe, and leaves them as they
    were.
    """
    secret, given = _demo_secret(os.environ)
    work = Work()
    before = {number: signal.signal(number, work.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Server(options.port) as server, suppress(_Stopped):
            _serve(options, server, work, (secret, given), bar)
    except BaseException:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
    # What was stopped in order ends so, even if the signal comes once more while Python cleans up.
    for number in before:
        signal.signal(number, signal.SIG_IGN)


def _demo_secret(environment: Mapping[str, str]) -> tuple[str, bool]:
    """The signing secret of the source `demo`, and whether it was given; raises CannotServe for one that is none."""
    stated = environment.get(SECRET, "")
    if not stated:
        return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode(), False
    try:
        base64.b64decode(stated.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise CannotServe(f"{SECRET} is no signing secret; it is {_PREFIX} and then base64") from None
    return _PREFIX + stated.removeprefix(_PREFIX), True


def _serve(options: ServeOptions, server: Server, work: Work, secret: tuple[str, bool], bar: Bar) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        (options.out / "wire.jsonl").open("w", encoding="utf-8", buffering=1) as wire,
        (options.out / "logs.jsonl").open("w", encoding="utf-8", buffering=1) as log,
        moto(),
    ):
        with bar() as progress:
            stack, rejected = _stack(options, server.address, (log, wire), _unless_stopped(progress, work))
        _name_source(stack, secret[0])
        books = BookRoutes(stack)
        console = Console(stack, server.address, books, bundled=not options.files)
        live = Live(stack, work, options.out, log, console, rejected)
        live.begin()
        server.start(App(work, live.answer, console.page, books))
        print(_banner(server.address, options, secret, console), flush=True)
        try:
            live.run()
        finally:
            work.refuse_all()
            live.write()
    print("predue: stopped", flush=True)


def _unless_stopped(progress: Progress, work: Work) -> Progress:
    def show(share: float, what: str) -> None:
        progress(share, what)
        if work.stopping:
            raise _Stopped

    return show


def _stack(
    options: ServeOptions, address: str, files: tuple[TextIO, TextIO], progress: Progress
) -> tuple[Stack, list[Rejected]]:
    """The stack with its portfolio in it, brought up to the present, and the rows that could not be used; events that
    cannot be used is added when its time comes.
    """
    now = machine_time()
    portfolio = _portfolio(options, now)
    # A portfolio of one's own begins now: what its borrowers got before, only their lender knows.
    start = now if options.files else now - HISTORY
    stack = Stack(
        start,
        log=files[0],
        wire=files[1],
        seed=options.seed,
        parameters={"InitialPolicy": options.policy.model_dump_json()},
        make_clock=LiveClock,
        public_url=address,
    )
    with stack.feeding():
        load(portfolio, start, lambda share, what: progress(share * 2, what))
    rejected = list(portfolio.rejected)
    # What happened before the start comes at once, in its order.
    Feed(portfolio.events, datetime.max.replace(tzinfo=UTC), stack, rejected)
    stack.run_until(machine_time(), lambda at: progress(0.2 + 0.8 * (at - start) / HISTORY, "the last hours"))
    return stack, rejected


def _name_source(stack: Stack, key: str) -> None:
    """Let the source `demo` send events."""
    sources = {_SOURCE: {"keys": [key], "tenant": "", "form": "predue"}}
    name = stack.physical("Sources")
    clients.client("secretsmanager").put_secret_value(SecretId=name, SecretString=json.dumps(sources))
    wiring.forget()  # else those of before serve for a minute


def _portfolio(options: ServeOptions, now: datetime) -> Portfolio:
    if options.files:
        return read_portfolio(*options.files)
    folder = options.out / "portfolio"
    write_current(folder, now=now, seed=options.seed)
    return read_portfolio(folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl")


class Live:
    """The stack in real time, and what clients ask of it."""

    def __init__(
        self, stack: Stack, work: Work, out: Path, log: TextIO, console: Console, rejected: list[Rejected]
    ) -> None:
        self._stack = stack
        self._work = work
        self._out = out
        self._log = log
        self.console = console
        self._rejected = rejected
        self._written: list[Record] | None = None
        self._at = 0.0
        self._seen: deque[Seen] = deque(maxlen=_KEPT_REQUESTS)
        self._stepping = False

    def begin(self) -> None:
        """Follow the machine's clock from now on."""
        assert isinstance(self._stack.clock, LiveClock), "a live stack is made with a clock that can be live"
        self._stack.clock.go_live()
        self.console.requests = self._seen
        self._stack.give_way(self._give_way)
        self.write()

    def run(self) -> None:
        """Go on until somebody says stop; all state is in memory, so what a function has begun then ends with it."""
        with suppress(_Stopped):
            while not self._work.stopping:
                self.turn()

    def turn(self, longest_wait: float = _LONGEST_WAIT) -> None:
        """Let happen what is due, keep the files fresh, and do one thing that is asked, or wait for it."""
        wait = (self._step() - self._stack.clock()).total_seconds()
        if wait > 0 and time.monotonic() - self._at >= _REFRESH_SECONDS:
            self.write()
        self._work.do_one(min(wait, longest_wait))

    def _step(self) -> datetime:
        self._stepping = True
        try:
            return self._stack.step()
        except Exception as error:  # noqa: BLE001 - one thing that fails must not stop those after it
            self._note({"message": "a happening failed", "error": type(error).__name__})
            return self._stack.clock()
        finally:
            self._stepping = False

    def _give_way(self) -> None:
        """Do one thing that is asked in the middle of what happens; not in the middle of another that is asked."""
        if not self._stepping:
            return
        if self._work.stopping:
            raise _Stopped
        self._stepping = False
        try:
            self._work.do_one(0)
        finally:
            self._stepping = True

    def answer(self, request: http_api.HttpRequest) -> HttpAnswer:
        """Answer one request as API Gateway does, whatever the function does."""
        began = time.monotonic()
        found = http_api.route_of(self._stack.routes, request)
        route = found[0].key if found else "none"
        try:
            answer = http_api.answer_of(
                self._stack.request(
                    request.method, request.path, query=request.query, headers=request.headers, body=request.body
                )
            )
            error = ""
        except Exception as failure:  # noqa: BLE001 - API Gateway makes a 500 of whatever a function raises
            answer, error = http_api.FAILED, type(failure).__name__
        took = round((time.monotonic() - began) * 1000)
        # As the access log on AWS: the route and not the path, whose token would let a reader act.
        line = {"message": "request", "route": route, "status": answer.status, "latency_ms": took}
        self._note(line | ({"error": error} if error else {}))
        self._seen.appendleft(Seen(self._stack.clock(), route, answer.status, took))
        return answer

    def _note(self, line: dict[str, Any]) -> None:
        self._log.write(json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds")} | line) + "\n")

    def write(self) -> None:
        """Write contacts, records and hand-overs anew if a function ran since the last time."""
        self._at = time.monotonic()
        del self._stack.carrier.samples[:-_KEPT_SAMPLES]
        write_rejected(self._out / "rejected.csv", self._rejected)
        found = self.console.records()
        if found is self._written:
            return
        self._written = found
        contacts = [outputs.contact_line(record) for record in found]
        records = [line | {"inputs": dict(one.inputs)} for line, one in zip(contacts, found, strict=True)]
        kinds: dict[str, list[dict[str, Any]]] = {"contacts": contacts, "records": records}
        kinds |= {"cases": self.console.cases(), "overdue": self._stack.handed_over}
        for name, lines in kinds.items():
            # A reader sees the old file or the new one, and never a half.
            fresh = self._out / f".{name}.jsonl"
            outputs.write_lines(fresh, lines)
            fresh.replace(self._out / f"{name}.jsonl")


def _banner(address: str, options: ServeOptions, secret: tuple[str, bool], console: Console) -> str:
    stated = f"the one in {SECRET}" if secret[1] else secret[0]
    own = (
        "your files"
        if options.files
        else f"bundled, around today; its last hours were played first ({options.out}/portfolio)"
    )
    return "\n".join(
        (
            f"predue serves at {address} (Ctrl-C stops it)",
            "",
            f"  console    {address}/",
            f"  webhook    {address}/webhooks/{_SOURCE}",
            f"  files      .venv/bin/predue import FILE.csv --to {address}",
            f"  secret     {stated}",
            f"  borrowers  {own}",
            f"  next       {console.next_slots()}",
            f"  outputs    {options.out}: contacts.jsonl, wire.jsonl, logs.jsonl, records.jsonl",
            f"  why        .venv/bin/predue explain BORROWER --out {options.out}",
            "",
        )
    )
