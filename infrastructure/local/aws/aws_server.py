"""One loopback endpoint that speaks the AWS APIs to functions in processes of their own: moto's server, and the carrier
simulator for the two operations that send a message.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from infrastructure.local.virtual.carrier import Odds
from infrastructure.local.virtual.provider_wire import ProviderWire

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]
_SEND_TEXT = "PinpointSMSVoiceV2.SendTextMessage"
_SEND_EMAIL = ("POST", "/v2/email/outbound-emails")


class _Quiet(MotoRequestHandler):
    """Writes no line for each request."""

    def log_request(self, *_: Any) -> None:
        """Write nothing."""


class AwsServer:
    """The endpoint while it runs; `wire` holds a line for each message that the carriers took, `hooked` the headers and
    body of each webhook that came.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(host, port, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self.endpoint = f"http://{host}:{self._server.port}"
        self.forget()

    def forget(self) -> None:
        """Begin anew with no message sent; no fate is left to chance, so that every message is taken."""
        self._wire = io.StringIO()
        sure = Odds(0, 0, 0, 0, 0)
        self._carrier = ProviderWire(1, lambda: datetime.now(UTC), self._wire, lambda *_: None, sure)
        self.hooked: list[tuple[dict[str, str], bytes]] = []

    @property
    def wire(self) -> list[dict[str, Any]]:
        """What reached the carriers, as they wrote it down."""
        return [json.loads(line) for line in self._wire.getvalue().splitlines()]

    def _answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/hooks/"):
            return self._hook(environ, start)
        play = self._play(environ)
        if play is None:
            return self._moto(environ, start)  # type: ignore[no-any-return]  # moto ships no types
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = play(AWSPreparedRequest(environ["REQUEST_METHOD"], self.endpoint, HTTPHeaders(), body, False))
        start(f"{answer.status_code} -", list(answer.headers.items()))
        return [answer.content]

    def _hook(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Take a webhook, as a lender's system does."""
        headers = {name[5:].replace("_", "-").lower(): environ[name] for name in environ if name.startswith("HTTP_")}
        self.hooked.append((headers, environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))))
        start("204 -", [])
        return []

    def _play(self, environ: Environ) -> Callable[[AWSPreparedRequest], AWSResponse] | None:
        """What answers in moto's place, if anything does."""
        if environ.get("HTTP_X_AMZ_TARGET") == _SEND_TEXT:
            return self._carrier.send_text_message
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == _SEND_EMAIL:
            return self._carrier.send_email
        return None

    def start(self) -> None:
        """Answer from now on; whatever another stack left in this process is gone."""
        self._thread.start()
        self.reset()

    def reset(self) -> None:
        """Drop every resource and message."""
        with urlopen(Request(f"{self.endpoint}/moto-api/reset", method="POST")):  # noqa: S310 - our own loopback
            self.forget()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def aws_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[AwsServer]:
    """The endpoint, on a free port unless one is asked for; it ends with the context."""
    server = AwsServer(host, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
