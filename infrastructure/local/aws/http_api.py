"""The HTTP API as API Gateway plays it: routes, events in payload format 2.0, and answers made of what functions
return.

Sources: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs"; for what the guide leaves
open (which bodies are text, which paths are decoded), measurements on AWS: ministackorg/ministack#766 and
hotsock/voker#8.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.sam.template import ACCOUNT, REGION, TemplateError

LARGEST_BODY = 10_000_000
LONGEST_WAIT_SECONDS = 30
"""Quotas of HTTP APIs: payload size, and integration timeout."""

_TEXT = ("application/json", "application/xml", "application/javascript")
_JSON = "application/json"
# What carries the answer is the server's business, whatever a function says.
_HOP_BY_HOP = frozenset(("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"))
_SHORTEST_STATUS, _LONGEST_STATUS = 100, 599

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class HttpRequest:
    """One request as it came: `path` and `query` still percent-encoded, headers in their order."""

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""
    source_ip: str = "127.0.0.1"


class HttpAnswer(NamedTuple):
    """What goes back to the client."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Route:
    """One route of the HTTP API; raises TemplateError for a form that is not played."""

    method: str
    path: str
    function: Function

    def __post_init__(self) -> None:
        if "+}" in self.path or self.path == "$default":
            raise TemplateError(f"route {self.path!r} takes any path, which is not played here")

    @property
    def key(self) -> str:
        """How API Gateway names the route, and logs it: without what stands in its place in a request."""
        return f"{self.method} {self.path}"

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path parameters of a request that belongs here, by name; None for one that does not."""
        wanted, parts = self.path.split("/"), path.split("/")
        if self.method not in (method, "ANY") or len(wanted) != len(parts):
            return None
        pairs = list(zip(wanted, parts, strict=True))
        if any(want != part if not want.startswith("{") else not part for want, part in pairs):
            return None
        return {want[1:-1]: part for want, part in pairs if want.startswith("{")}


def route_of(routes: Sequence[Route], request: HttpRequest) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and its path parameters, the most specific first; None where there is none."""
    path = unquote(request.path)
    for route in sorted(routes, key=lambda route: (route.method == "ANY", route.path.count("{"))):
        values = route.match(request.method, path)
        if values is not None:
            return route, values
    return None


def event_of(route: Route, request: HttpRequest, values: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """The event of one request, in payload format 2.0; what a request lacks is absent."""
    headers = _joined_headers(request.headers)
    cookies = [one.strip() for one in headers.pop("cookie", "").split(";") if one.strip()]
    path, domain = unquote(request.path), headers.get("host", "")
    http = {
        "method": request.method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": request.source_ip,
        "userAgent": headers.get("user-agent", ""),
    }
    context = {
        "accountId": ACCOUNT,
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": http,
        "requestId": "local",
        "routeKey": route.key,
        "stage": "$default",
        "time": f"{now:%d/%b/%Y:%H:%M:%S +0000}",
        "timeEpoch": int(now.timestamp() * 1000),
    }
    body, encoded = _encoded_body(request.body, headers.get("content-type", ""))
    event = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": encoded,
    }
    given = {
        "cookies": cookies,
        "queryStringParameters": _joined_headers(parse_qsl(request.query, keep_blank_values=True), lower=False),
        "pathParameters": dict(values),
        "body": body,
    }
    return event | {name: value for name, value in given.items() if value}


def _joined_headers(pairs: Headers, *, lower: bool = True) -> dict[str, str]:
    """Names with their values; several of one name are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower() if lower else name
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined


def _encoded_body(raw: bytes, content_type: str) -> tuple[str, bool]:
    """The body as an event carries it, and whether it is encoded: text by its type, everything else in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if not raw:
        return "", False
    if kind.startswith("text/") or kind in _TEXT:
        return raw.decode("utf-8", "replace"), False
    return base64.b64encode(raw).decode(), True


NO_ROUTE = {"statusCode": 404, "headers": {"content-type": _JSON}, "body": '{"message":"Not Found"}'}
"""What stands in a function's place where no route is, of a wrong method, too."""


def message(status: int, text: str) -> HttpAnswer:
    """An answer of API Gateway's own."""
    return HttpAnswer(status, (("content-type", _JSON),), json.dumps({"message": text}, separators=(",", ":")).encode())


TOO_LARGE = message(413, "Request Entity Too Large")
FAILED = message(500, "Internal Server Error")
UNAVAILABLE = message(503, "Service Unavailable")


def answer_of(result: Any) -> HttpAnswer:
    """What API Gateway makes of a function's result (format 2.0): without a status code it is the body, as JSON."""
    if not isinstance(result, dict) or "statusCode" not in result:
        text = result if isinstance(result, str) else json.dumps(result)
        return HttpAnswer(200, (("content-type", _JSON),), text.encode())
    try:
        status, raw = int(result["statusCode"]), result.get("body") or ""
        if not _SHORTEST_STATUS <= status <= _LONGEST_STATUS:
            return FAILED
        body = base64.b64decode(raw, validate=True) if result.get("isBase64Encoded") else raw.encode()
        given = {str(name).lower(): str(value) for name, value in (result.get("headers") or {}).items()}
    except (ValueError, TypeError, AttributeError):
        return FAILED
    headers = {"content-type": "text/plain;charset=utf-8"} | given
    cookies = [("set-cookie", str(cookie)) for cookie in result.get("cookies") or ()]
    pairs = (*((name, value) for name, value in headers.items() if name not in _HOP_BY_HOP), *cookies)
    if any(mark in part for pair in pairs for part in pair for mark in "\r\n"):
        return FAILED
    return HttpAnswer(status, pairs, body)


def address_of(api: str) -> str:
    """The address that an HTTP API has on AWS by itself."""
    return f"https://{api}.execute-api.{REGION}.amazonaws.com"
