"""One POST to an address that somebody else has named: no redirects, and nowhere but to the public internet.

The name is resolved once, every address that it has is looked at, and the connection goes to an address that was looked
at, so that a name which changes its mind in between reaches nothing inside.
"""

import ipaddress
import socket
import ssl
from contextlib import suppress
from functools import lru_cache
from threading import Timer
from urllib.parse import urlsplit

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.response import HTTPResponse

from predue.outbound.outbound_webhooks import SubscriberAnswer

_CONNECT_SECONDS, _READ_SECONDS = 3, 7
"""Ten seconds together, and less than what a function keeps for a message (`batches.check_time`)."""
_PORTS = {"https": 443, "http": 80}
_TRANSLATED = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 ranges whose addresses lead to an IPv4 address inside of them (RFC 6052, 8215, 3056, 4380)."""
_MOST_ADDRESSES = 2


class _InTime(HTTPConnection):
    """A connection whose answer's head must be whole in time: a socket's own limit begins anew with every byte."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 itself has it
        """See HTTPConnection."""
        deadline = Timer(_READ_SECONDS, self._cut)
        deadline.daemon = True
        deadline.start()
        try:
            return super().getresponse()
        finally:
            deadline.cancel()

    def _cut(self) -> None:
        """End whatever waits for the other side; closing alone would leave it waiting."""
        with suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)


class _InTimeAndSecret(_InTime, HTTPSConnection):
    """The same by TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _InTime


class _SecretPool(HTTPSConnectionPool):
    ConnectionCls = _InTimeAndSecret


class NotPublic(Exception):
    """A name leads to an address that is not of the public internet."""


def post(url: str, body: str, headers: dict[str, str], *, public: bool) -> SubscriberAnswer:
    """Send a body, once; never raises for anything that the call itself met."""
    parts = urlsplit(url)
    name, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    failure = "no_address"
    try:
        for address in addresses(name, port, public=public)[:_MOST_ADDRESSES]:
            try:
                return _sent(_pool(parts.scheme, address, name, port), target, body, {"host": parts.netloc, **headers})
            except NewConnectionError as error:
                failure = type(error).__name__
    except (HTTPError, OSError, NotPublic) as error:
        failure = type(error).__name__
    return SubscriberAnswer(0, failure)


def addresses(name: str, port: int, *, public: bool) -> list[str]:
    """The addresses of a name, IPv4 first (functions have no way out by IPv6); raises NotPublic if one is inside."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    if public and not all(is_public(str(one[4][0])) for one in found):
        raise NotPublic
    return list(dict.fromkeys(str(one[4][0]) for one in sorted(found, key=lambda one: one[0] != socket.AF_INET)))


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, and leads to nothing else."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


@lru_cache(maxsize=32)
def _pool(scheme: str, address: str, name: str, port: int) -> HTTPConnectionPool:
    """Connections to one address, whose certificate must be the name's; kept while the function is warm."""
    timeout = Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
    if scheme == "http":
        return _Pool(address, port, timeout=timeout, maxsize=10)
    return _SecretPool(
        address,
        port,
        timeout=timeout,
        maxsize=10,
        cert_reqs=ssl.CERT_REQUIRED,
        server_hostname=name,
        assert_hostname=name,
        ssl_minimum_version=ssl.TLSVersion.TLSv1_2,
    )


def _sent(pool: HTTPConnectionPool, target: str, body: str, headers: dict[str, str]) -> SubscriberAnswer:
    """What is answered; of the answer's body nothing is read, since it may be as long as its sender likes."""
    response = pool.urlopen(
        "POST",
        target,
        body=body.encode(),
        headers=headers,
        redirect=False,
        retries=False,
        assert_same_host=False,
        preload_content=False,
    )
    seconds = 0
    with suppress(ValueError):
        seconds = int(response.headers.get("retry-after", ""))
    response.close()
    return SubscriberAnswer(response.status, "", max(0, seconds))
