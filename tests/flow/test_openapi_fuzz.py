"""schemathesis over the served stack: what the API's document says, the API does, for whoever signs and whoever cannot.

What JSON Schema cannot say of an event stands in `UNSAYABLE`; only for these words may an event be refused that fits.
"""

import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, Config, GenerationMode, Response
from schemathesis.checks import CheckContext
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth

from infrastructure.local.serve.serve import _name_source
from infrastructure.openapi.document import SHIPPED
from predue.domain.keys import Keys
from tests.flow.live import Served, served
from tests.flow.small import Book, utc
from tests.signing import FOREIGN, OURS, signature

START = utc(10, 15, 10)
MOST = int(os.environ.get("OPENAPI_MOST", "1"))
"""Cases of a kind in `covering`; with 1000 all of them."""
AnyCase = Case[Any]
_Test = TypeVar("_Test", bound=Callable[..., None])
UNSAYABLE = {
    "source": "not the source",
    "event_id": "128 bytes|another body",
    "loan_id": "128 bytes",
    "borrower_id": "128 bytes|does not match the installment|has no profile",
    "reason": "128 bytes",
    "amount": "decimal digits of",
    "currency": "the installment is in",
    "occurred_at": "five minutes after the arrival|written as ISO 8601|lies between",
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("fuzz"), Book().borrower().installment(), START) as made:
        _name_source(made.stack, OURS)
        yield made


def _config(fine: Sequence[str]) -> Config:
    return Config.from_dict(
        {
            "seed": 1,
            "checks": {
                # An array whose events are refused is answered with 207, which tells of each.
                "negative_data_rejection": {
                    "expected-statuses": ["207", "400", "401", "404", "409", "413", "415", "422"]
                },
                # Looked at more closely by `refused_only_for_what_a_schema_cannot_say`.
                "positive_data_acceptance": {"expected-statuses": fine},
                # API Gateway's own answer where there is no such route is 404.
                "unsupported_method": {"enabled": False},
            },
            # Some four thousand cases; `covering` takes of each kind some.
            "phases": {"coverage": {"enabled": False}},
            "generation": {"deterministic": True},
        }
    )


def _schema(path: str, known: str, *fine: str, **schemas: Any) -> Any:
    """The operations of a path whose parameter has a value that is known, and how a request that fits is answered;
    `schemas` take the place of the document's own.
    """
    document = json.loads(SHIPPED.read_text(encoding="utf-8"))
    for operation in document["paths"][path].values():
        operation["parameters"][0] |= {"schema": {"type": "string", "enum": [known]}, "example": known}
    for name, schema in schemas.items():
        document["components"]["schemas"][name] |= schema
    return schemathesis.openapi.from_dict(document, config=_config(fine)).include(path=path)


KEYS = Keys([b"one-machine-".ljust(64, b"0")])
"""As they are in every stack on one machine."""
TOKEN = KEYS.stop_token(KEYS.borrower_ref("b-1"), "email")
for_senders = _schema("/webhooks/{source}", "demo", "2xx", "404", "409", "422")
for_strangers = _schema("/webhooks/{source}", "demo", "401", "404", "413", "415")
# Each kind is covered by itself, so of arrays those of payments do. Their limit has its own test.
_PAYMENTS = {"type": "array", "items": {"$ref": "#/components/schemas/Paid"}, "minItems": 1}
for_cover = _schema(
    "/webhooks/{source}",
    "demo",
    *("2xx", "404", "409", "422"),
    News={"anyOf": [{"$ref": "#/components/schemas/Event"}, _PAYMENTS]},
)
for_borrowers = _schema("/unsubscribe/{token}", TOKEN, "200")
bounded = settings(max_examples=20, suppress_health_check=list(HealthCheck))


def over(schema: Any) -> Callable[[_Test], _Test]:
    """Gives a test each operation's cases."""
    made: Callable[[_Test], _Test] = schema.parametrize()
    return made


class Signer(requests.auth.AuthBase):
    """Signs what goes out, as it goes out; leaves headers alone that are spoiled on purpose."""

    def __init__(self, door: Served, case: AnyCase, key: str = OURS) -> None:
        self._now, self._key = door.now, key
        self._spoiled = case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body: Any = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        if self._spoiled:
            seconds = request.headers.get("webhook-timestamp", "")
        else:
            seconds = request.headers["webhook-timestamp"] = str(int(self._now.timestamp()))
            request.headers.setdefault("webhook-id", "msg_1")
        name, seconds = _text(request.headers.get("webhook-id", "")), _text(seconds)
        request.headers["webhook-signature"] = signature(self._key, name, seconds, raw)
        return request


def _text(header: str | bytes) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header


def _fits(case: AnyCase) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


_numbers = itertools.count()


def _anew(body: Any) -> Any:
    """The same under ids of its own, since another body under one id is refused before anything else is looked at."""
    if isinstance(body, list):
        return [_anew(one) for one in body]
    return body | {"event_id": f"e-{next(_numbers)}"} if isinstance(body, dict) else body


def refused_only_for_what_a_schema_cannot_say(_context: CheckContext, response: Response, case: AnyCase) -> None:
    if not _fits(case) or response.status_code not in (207, 409, 422):
        return
    told = response.json()
    problems = [told] if "type" in told else [one["problem"] for one in told["results"] if "problem" in one]
    for wrong in [one for problem in problems for one in problem.get("errors", [])]:
        assert re.search(UNSAYABLE.get(wrong["field"], "$^"), wrong["detail"]), wrong


def asked(door: Served, case: AnyCase, *, sign: bool) -> int:
    """Send a case, hold the answer against every check and return its status."""
    if sign and _fits(case):
        case.body = _anew(case.body)
    auth: Any = {"auth": Signer(door, case)} if sign else {}
    future = door.client(
        lambda: case.call_and_validate(
            base_url=door.server.address,
            additional_checks=[refused_only_for_what_a_schema_cannot_say] if sign else [],
            # It knows no time that must be now, so what it sends is refused for that; see the test of two keys.
            excluded_checks=[ignored_auth],
            **auth,
        )
    )
    door.until(future)
    return future.result().status_code


def covering(schema: Any, most: int) -> Iterator[AnyCase]:
    """The cases by which schemathesis covers a schema, at most so many of each kind."""
    seen: Counter[Any] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        generation = schema.config.generation_for(operation=operation)
        for case in schema.iter_coverage_cases(
            operation, generation_modes=list(GenerationMode), generation_config=generation
        ):
            kind = (
                operation.label,
                case.meta.generation.mode,
                case.meta.phase.data.scenario,
                case.meta.phase.data.location,
            )
            seen[kind] += 1
            if seen[kind] <= most * (30 if _fits(case) else 1):
                yield case


def test_whatever_covers_the_document_of_events_is_answered_as_it_says(door: Served) -> None:
    statuses = Counter(asked(door, case, sign=True) for case in covering(for_cover, MOST))
    assert set(statuses) >= {200, 207, 401, 415, 422}
    assert statuses[200] > 20


def test_whatever_covers_the_document_of_links_is_answered_as_it_says(door: Served) -> None:
    assert {asked(door, case, sign=False) for case in covering(for_borrowers, MOST)} == {200, 404}


@over(for_senders)
@bounded
def test_signed_events_is_answered_as_the_document_says(case: AnyCase, door: Served) -> None:
    asked(door, case, sign=True)


@over(for_senders)
@settings(bounded, max_examples=10)
def test_whatever_is_signed_with_another_key_is_refused_whoever_would_have_taken_it(
    case: AnyCase, door: Served
) -> None:
    future = door.client(lambda: case.call(base_url=door.server.address, auth=Signer(door, case, FOREIGN)))
    door.until(future)
    assert future.result().status_code in (401, 404, 413, 415)


@over(for_strangers)
@bounded
def test_whoever_cannot_sign_is_answered_as_the_document_says(case: AnyCase, door: Served) -> None:
    asked(door, case, sign=False)


@over(for_borrowers)
@bounded
def test_a_borrowers_link_is_answered_as_the_document_says(case: AnyCase, door: Served) -> None:
    asked(door, case, sign=False)
