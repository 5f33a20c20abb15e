"""One POST, over real sockets on loopback, and where it never goes."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from predue.outbound import https
from predue.outbound.https import is_public, post

NAME = "hooks.lender.example"
Resolve = Callable[[str], list[str]]


class _Handler(BaseHTTPRequestHandler):
    received: list[dict[str, str]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.received.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        self.send_response(302)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("retry-after", "120")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def server(
    folder: Path, handler: type[_Handler] = _Handler, *, tls_for: str = ""
) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """A server on loopback, its port and what it heard; with a certificate for a name, if one is given."""
    received: list[dict[str, str]] = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"received": received}))
    if tls_for:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(folder, tls_for))
        made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made.server_port, received
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def certificate(folder: Path, name: str) -> Path:
    """A certificate that its own key signs, and the key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(autouse=True)
def no_pool_is_left() -> Iterator[None]:
    https._pool.cache_clear()
    yield
    https._pool.cache_clear()


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name leads to these addresses; what was asked for."""
    asked: list[str] = []

    def resolve(name: str, port: int, *_: Any, **__: Any) -> Any:
        asked.append(name)
        kinds = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in addresses]
        return [(kind, socket.SOCK_STREAM, 6, "", (one, port)) for kind, one in zip(kinds, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "52.94.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
def test_a_name_that_leads_inside_is_not_called(
    addresses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path) as (port, received):
        named(monkeypatch, *addresses)
        answer = post(f"http://{NAME}:{port}/", "{}", {}, public=True)
        assert (answer.status, answer.failure) == (0, "NotPublic")
        assert received == []


def test_a_name_is_asked_for_once_and_the_call_goes_to_the_address_that_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path) as (port, received):
        asked = named(monkeypatch, "127.0.0.1")
        post(f"http://{NAME}:{port}/hooks?x=1", "{}", {"webhook-id": "e"}, public=False)
        # Of an address there is nothing to look up: what asks for one is the connection itself.
        assert asked == [NAME, "127.0.0.1"]
        assert received[0]["host"] == f"{NAME}:{port}"
        assert (received[0]["path"], received[0]["webhook-id"]) == ("/hooks?x=1", "e")


def test_a_redirect_is_an_answer_like_any_other(tmp_path: Path) -> None:
    with server(tmp_path) as (port, received):
        answer = post(f"http://127.0.0.1:{port}/", "{}", {}, public=False)
        assert (answer.status, answer.retry_after) == (302, 120)
        assert len(received) == 1


def test_nobody_there_is_an_answer_and_no_exception() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/", "{}", {}, public=False).failure == "NewConnectionError"
    assert post("http://nowhere.invalid/", "{}", {}, public=False).failure == "gaierror"


def test_the_next_address_of_a_name_is_tried_where_nobody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path) as (port, received):
        original = socket.getaddrinfo

        def resolve(name: str, *given: Any, **more: Any) -> Any:
            if name != NAME:
                return original(name, *given, **more)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("127.0.0.2", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert post(f"http://{NAME}:{port}/", "{}", {}, public=False).status == 302
        assert len(received) == 1


class _Dripping(_Handler):
    """Goes on and on, and sends each byte in less time than a socket's own limit."""

    gone = Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        with suppress(OSError):
            for byte in chain(b"HTTP/1.1 204 No Content\r\nx: ", repeat(ord("x"))):
                self.wfile.write(bytes([byte]))
                sleep(0.1)
        self.gone.set()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_drips_is_waited_for_no_longer_than_one_that_does_not_come(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https, "_READ_SECONDS", 0.5)
    monkeypatch.setattr(_Dripping, "gone", gone := Event())
    with server(tmp_path, _Dripping, tls_for=NAME if scheme == "https" else "") as (port, _):
        named(monkeypatch, "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / f"{NAME}.pem"))
        assert post(f"{scheme}://{NAME}:{port}/", "{}", {}, public=False).status == 0
        assert gone.wait(600)


@pytest.mark.parametrize(
    ("certified", "trusted", "status"), [(NAME, True, 302), ("other.example", True, 0), (NAME, False, 0)]
)
def test_only_a_trusted_certificate_of_the_very_name_is_talked_to(
    certified: str,
    trusted: bool,  # noqa: FBT001 - a table
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server(tmp_path, tls_for=certified) as (port, received):
        original = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda name, *a, **k: original("127.0.0.1" if name == NAME else name, *a, **k)
        )
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / f"{certified}.pem"))
        answer = post(f"https://{NAME}:{port}/", "{}", {}, public=False)
        assert (answer.status, bool(received)) == (status, status == 302)
        assert answer.failure == ("" if status else "SSLError")
