"""The door for news: checks a request, and reads the bodies of events from it. Nothing of AWS is here.

A request is judged from the outside in, and the first fault ends it: size, content type and encoding; then signature
and time; only then what it says. So whoever cannot sign learns nothing but how to.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import isfinite
from typing import Any, NamedTuple

from standardwebhooks import Webhook

from predue import problem
from predue.errors import BadNews
from predue.event import read_event
from predue.problem import NotTaken
from predue.source import MOST_KEYS, Source
from predue.tenant import PARTS

MOST_BYTES = 1024 * 1024
MOST_EVENTS = 500
MOST_EVENT_BYTES = 16 * 1024
"""An event that is kept aside is an item of the table, which holds 400 KB; none that means something comes near."""
_TOLERANCE = timedelta(minutes=5)
_DEEPEST = 32
_MOST_SIGNATURES = 8
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE | re.ASCII)
_MESSAGE_ID = re.compile(r"[!-~]{1,256}", re.ASCII)
_SECONDS = re.compile(r"(?:0|[1-9]\d{0,10})", re.ASCII)
_NOBODY = "whsec_" + "A" * 32
"""A key that nobody has: what is compared for a source that is unknown or has few keys, so that it takes as long."""

Form = Callable[[Any], list[Any]]


def _own(parsed: Any) -> list[Any]:
    """The bodies of events as predue itself names them: one, or an array."""
    return parsed if isinstance(parsed, list) else [parsed]


FORMS: Mapping[str, Form] = {"predue": _own}
"""By form what makes the bodies of events of a body's JSON; raises BadNews for what it cannot understand."""


class Request(NamedTuple):
    """One request; names of headers are in lower case, as API Gateway writes them."""

    source: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a checked request holds: for each event its body as it is to be applied, or why it is refused."""

    source: Source
    single: bool
    events: tuple[dict[str, Any] | BadNews, ...]
    event_ids: tuple[str | None, ...]


def readable(request: Request) -> str:
    """The body as text, once its size, type and encoding are right; raises NotTaken."""
    if len(request.body) > MOST_BYTES:
        raise NotTaken(problem.TOO_LARGE)
    plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    if not plain or not _JSON_TYPE.fullmatch(request.headers.get("content-type", "").strip()):
        raise NotTaken(problem.CONTENT_TYPE)
    try:
        return request.body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotTaken(problem.NOT_UTF8) from None


def authenticated(request: Request, text: str, sources: Mapping[str, Source], now: datetime) -> Source:
    """The source that signed a request just now; raises NotTaken.

    An unknown source, a missing or malformed header and a wrong signature are one and the same answer after the same
    work. That a time is too far away is told only to whoever signed it.
    """
    source = sources.get(request.source)
    told_id = request.headers.get("webhook-id", "")
    told_at = request.headers.get("webhook-timestamp", "")
    formed = bool(_MESSAGE_ID.fullmatch(told_id) and _SECONDS.fullmatch(told_at))
    signed_at = datetime.fromtimestamp(int(told_at) if formed else 0, UTC)
    keys = [*(source.keys if source else ()), *[_NOBODY] * MOST_KEYS][:MOST_KEYS]
    # The library's own verify() reads the wall clock and lets four kinds of exceptions out, so only its sign() serves.
    expected = [Webhook(key).sign(told_id if formed else "-", signed_at, text).encode() for key in keys]
    given = request.headers.get("webhook-signature", "").encode("utf-8", "replace").split(b" ")[:_MOST_SIGNATURES]
    right = [hmac.compare_digest(one, other) for one in expected for other in given]
    own = len(source.keys) * len(given) if source else 0
    if not formed or not any(right[:own]) or source is None:
        raise NotTaken(problem.UNSIGNED)
    if abs(now - signed_at) > _TOLERANCE:
        raise NotTaken(problem.LATE)
    return source


def delivery(text: str, source: Source, forms: Mapping[str, Form] = FORMS) -> Delivery:
    """The events of a body that its source has signed; raises NotTaken for a body that holds none or too many.

    An event that cannot be taken is no reason to lose the others of its array.
    """
    parsed = _parsed(text)
    try:
        bodies = forms[source.form](parsed)
    except BadNews as error:
        raise NotTaken(problem.of_news(error)) from None
    if not 1 <= len(bodies) <= MOST_EVENTS:
        raise NotTaken(problem.COUNT)
    events = tuple(_body_or_fault(body, source) for body in bodies)
    return Delivery(source, not isinstance(parsed, list), events, tuple(map(_event_id, bodies)))


# JSON


def _parsed(text: str) -> Any:
    """The JSON of a text, strictly; raises NotTaken, and nothing else, whatever the text is."""
    try:
        parsed = json.loads(
            text, object_pairs_hook=_without_twins, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
        shallow = all(depth <= _DEEPEST for depth in _depths(parsed))
    except (ValueError, RecursionError):
        raise NotTaken(problem.NOT_JSON) from None
    if not shallow:
        raise NotTaken(problem.NOT_JSON)
    return parsed


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names everything once: of two values nobody could say which was meant and signed for."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return made


def _no_number(_word: str) -> Any:
    raise ValueError("no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueError("a number beyond what a double holds")
    return value


def _whole(digits: str) -> int:
    if len(digits) > 40:  # noqa: PLR2004 - far longer than any that a field takes
        raise ValueError("a number beyond what any field holds")
    return int(digits)


def _depths(value: Any) -> Iterator[int]:
    """How deep each container lies; walks without recursion, since depth is what is in question."""
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, dict | list):
            yield depth
            waiting += [(inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one)]


# Events


def _body_or_fault(body: Any, source: Source) -> dict[str, Any] | BadNews:
    try:
        return _prepared(body, source)
    except BadNews as fault:
        return fault


def _prepared(body: Any, source: Source) -> dict[str, Any]:
    """A body as it is applied: of this source, and with the ids of this source's tenant; raises BadNews.

    Another tenant's loan is so an unknown loan of one's own, and nobody learns whether there is one.
    """
    if not isinstance(body, dict):
        raise BadNews("event: an event is an object")
    try:
        size = len(json.dumps(body, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise BadNews("event: a text holds half of a surrogate pair") from None
    if size > MOST_EVENT_BYTES:
        raise BadNews(f"event: an event has at most {MOST_EVENT_BYTES} bytes")
    filled: dict[str, Any] = {"source": source.name, **body}
    if filled["source"] != source.name:
        raise BadNews("source: not the source that this address and its keys are for")
    parted = [name for name in ("borrower_id", "loan_id") if PARTS in str(body.get(name, ""))]
    if parted:
        raise BadNews(*(f"{name}: an id holds no '{PARTS}'" for name in parted))
    read_event(filled)
    if source.tenant:
        prefix = f"{source.tenant}{PARTS}"
        filled |= {name: prefix + body[name] for name in ("borrower_id", "loan_id") if body.get(name) is not None}
    return filled


def _event_id(body: Any) -> str | None:
    """The id under which an event's result is told, if it could be one."""
    told = body.get("event_id") if isinstance(body, dict) else None
    usable = isinstance(told, str) and 0 < len(told) <= 128 and told.isprintable()  # noqa: PLR2004 - as event.Id
    return told if usable else None


def groups(events: Mapping[int, dict[str, Any]]) -> list[list[int]]:
    """The events that touch a common borrower or loan, each group in its order; groups may be applied side by side."""
    home: dict[tuple[str, str], list[int]] = {}
    for index, body in events.items():
        about = [(name, str(body[name])) for name in ("borrower_id", "loan_id") if body.get(name) is not None]
        joined = sorted({id(home[one]): home[one] for one in about if one in home}.values(), key=len, reverse=True)
        group = joined[0] if joined else []
        for other in islice(joined, 1, None):
            group += other
            home |= {one: group for one, known in home.items() if known is other}
        group.append(index)
        home |= dict.fromkeys(about, group)
    return [sorted(group) for group in {id(group): group for group in home.values()}.values()]
