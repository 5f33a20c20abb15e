"""A lender's system on loopback that takes webhooks: checks signatures by its own arithmetic, and fails on demand."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from predue import wiring
from predue.aws import clients
from tests.flow.small import Standing
from tests.signing import OURS, signature


class Call(NamedTuple):
    """One request: when it came on the stack's clock, its id, its body, and whether one of the keys signed it."""

    at: datetime
    event_id: str
    body: dict[str, Any]
    signed: bool


class Receiver:
    """`answers` gives the status of the next calls, and the headers with it; `calls` is everything that came."""

    def __init__(self) -> None:
        self.clock: Callable[[], datetime] = lambda: datetime.max.replace(tzinfo=UTC)
        self.keys = [OURS]
        self.status = 204
        self.headers: dict[str, str] = {}
        self.calls: list[Call] = []
        self.taken: list[Call] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?from=predue"

    def take(self, path: str, headers: dict[str, str], raw: bytes) -> int:
        seconds, event_id = headers["webhook-timestamp"], headers["webhook-id"]
        expected = {signature(key, event_id, seconds, raw) for key in self.keys}
        signed = bool(expected & set(headers["webhook-signature"].split()))
        signed &= int(seconds) == int(self.clock().timestamp())
        assert path == "/hooks?from=predue"
        call = Call(self.clock(), event_id, json.loads(raw), signed)
        self.calls.append(call)
        if 200 <= self.status < 300:
            self.taken.append(call)
        return self.status


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver while it listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            given = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.take(self.path, given, raw))
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def subscribe(stand: Standing, **subscribers: dict[str, Any]) -> None:
    """Put whom to call where an operator puts it."""
    secret = stand.environment["WEBHOOKS_SECRET"]
    clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(subscribers))
    wiring.forget()


def subscriber(receiver: Receiver, *events: str, **more: Any) -> dict[str, Any]:
    """How a receiver stands in the secret."""
    given = {"url": receiver.url, "keys": receiver.keys, **more}
    return given | {"events": list(events)} if events else given
