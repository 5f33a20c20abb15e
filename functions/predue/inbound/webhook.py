"""The door for events: checks a request, and reads the messages from it. Nothing of AWS is here.

A request is judged from the outside in, and the first fault ends it: size, content type and encoding; then who sent it,
and when; only then what it says. So whoever is not known learns nothing but how to become so.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from predue.events import strict_json
from predue.inbound import problem
from predue.inbound.deliveries import Delivery
from predue.inbound.problem import RequestRejected
from predue.inbound.sources import MOST_KEYS, Source

MOST_BYTES = 1024 * 1024
MOST_MESSAGES = 500
_TOLERANCE = timedelta(minutes=5)
_MOST_SIGNATURES = 8
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE | re.ASCII)
_AVRO_TYPE = re.compile(r"(?:avro/binary|application/avro)", re.IGNORECASE | re.ASCII)
_MESSAGE_ID = re.compile(r"[!-~]{1,256}", re.ASCII)
_SECONDS = re.compile(r"(?:0|[1-9]\d{0,10})", re.ASCII)
_AUTHORIZATION = re.compile(r"(bearer|basic) ([!-~]{1,1024})", re.IGNORECASE | re.ASCII)
_NOBODY = "whsec_" + "A" * 32
"""A key that nobody has: what is compared for a source that is unknown or has few keys, so that it takes as long."""
_IDEMPOTENCY = "x-notifications-idempotency-key"


class WebhookRequest(NamedTuple):
    """One request; names of headers are in lower case, as API Gateway writes them."""

    source: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """A header's value without white space around it, empty if there is none."""
        return self.headers.get(name, "").strip()


def readable(request: WebhookRequest) -> str | bytes:
    """The body once its size, type and encoding are right: a text, or the bytes of Avro; raises RequestRejected."""
    if len(request.body) > MOST_BYTES:
        raise RequestRejected(problem.TOO_LARGE)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestRejected(problem.CONTENT_TYPE)
    if _AVRO_TYPE.fullmatch(request.header("content-type")):
        return request.body
    kind = request.header("content-type")
    # The SDKs of CloudEvents leave it out in binary mode, where the data's own type is an attribute that need not be.
    if not _JSON_TYPE.fullmatch(kind) and (kind or "ce-specversion" not in request.headers):
        raise RequestRejected(problem.CONTENT_TYPE)
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestRejected(problem.NOT_UTF8) from None


# Who it is


def authenticated(request: WebhookRequest, sources: Mapping[str, Source], now: datetime) -> Source:
    """The source that sent a request; raises RequestRejected.

    An unknown source, a missing or malformed header, a wrong signature and a wrong secret are one and the same answer
    after the same work. That a time is too far away is told only to whoever signed it.
    """
    source = sources.get(request.source)
    signed_at = _signed_at(request, source.keys if source else ())
    shared = _shares_secret(request, source.secrets if source else ())
    if source is None or (signed_at is None and not shared):
        raise RequestRejected(problem.UNSIGNED)
    if signed_at is not None and abs(now - signed_at) > _TOLERANCE:
        raise RequestRejected(problem.LATE)
    return source


def _signed_at(request: WebhookRequest, keys: Sequence[str]) -> datetime | None:
    """When a request was signed with one of these keys; None if it was not."""
    given_id, given_at = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    formed = bool(_MESSAGE_ID.fullmatch(given_id) and _SECONDS.fullmatch(given_at))
    signed = f"{given_id if formed else '-'}.{given_at if formed else '0'}.".encode() + request.body
    expected = [_signature(key, signed) for key in [*keys, *[_NOBODY] * MOST_KEYS][:MOST_KEYS]]
    given = request.headers.get("webhook-signature", "").encode("utf-8", "replace").split(b" ")[:_MOST_SIGNATURES]
    right = [hmac.compare_digest(one, other) for one in expected for other in given]
    return datetime.fromtimestamp(int(given_at), UTC) if formed and any(right[: len(keys) * len(given)]) else None


def _signature(key: str, signed: bytes) -> bytes:
    """The signature of Standard Webhooks, scheme v1. Its library signs texts only, and Avro is none; and its verify()
    reads the wall clock and lets four kinds of exceptions out.
    """
    root = base64.b64decode(key.removeprefix("whsec_"))
    return b"v1," + base64.b64encode(hmac.digest(root, signed, "sha256"))


def _shares_secret(request: WebhookRequest, secrets: Sequence[str]) -> bool:
    """Whether a request carries one of these secrets, as a bearer's token or as the password of the source's name."""
    given = hashlib.sha256(_given_secret(request)).digest()
    expected = [*secrets, *[_NOBODY] * MOST_KEYS][:MOST_KEYS]
    right = [hmac.compare_digest(hashlib.sha256(one.encode()).digest(), given) for one in expected]
    return any(right[: len(secrets)])


def _given_secret(request: WebhookRequest) -> bytes:
    """What the Authorization header shows; empty, which is no secret, if it cannot be read."""
    found = _AUTHORIZATION.fullmatch(request.header("authorization"))
    if found is None:
        return b""
    if found[1].lower() == "bearer":
        return found[2].encode()
    try:
        name, _, password = base64.b64decode(found[2], validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b""
    return password if name == request.source.encode("utf-8", "replace") else b""


# What it holds


def delivery(content: str | bytes, source: Source, headers: Mapping[str, str]) -> Delivery:
    """The messages of a body whose source is known; raises RequestRejected for a body that holds none or too many."""
    if isinstance(content, bytes):
        if source.form != "fineract":
            raise RequestRejected(problem.CONTENT_TYPE)
        return Delivery(source, single=True, messages=(content,))
    try:
        parsed = strict_json.read(content)
    except ValueError:
        raise RequestRejected(problem.NOT_JSON) from None
    counting = _counting(headers, source)
    # In binary mode the body is the data of one event, whatever it is.
    single = not isinstance(parsed, list) or "ce-specversion" in counting
    messages = (parsed,) if single else tuple(parsed)
    # CloudEvents has an empty batch, which says nothing and is done with (JSON format, 4).
    if not (source.form != "cloudevents") <= len(messages) <= MOST_MESSAGES:
        raise RequestRejected(problem.COUNT)
    return Delivery(source, single, messages, counting if single else {})


def _counting(headers: Mapping[str, str], source: Source) -> dict[str, str]:
    """The headers that say something of a message. A signature covers the body only, so of a source that signs none
    does; and a structured CloudEvent says all in its body.
    """
    if source.keys:
        return {}
    structured = headers.get("content-type", "").strip().lower().startswith("application/cloudevents")
    return dict(_of_form(headers, source.form, structured=structured))


def _of_form(headers: Mapping[str, str], form: str, *, structured: bool) -> Iterable[tuple[str, str]]:
    if form == "cloudevents" and not structured:
        return ((name, value) for name, value in headers.items() if name.startswith("ce-"))
    return ((name, value) for name, value in headers.items() if form == "mambu" and name == _IDEMPOTENCY)
