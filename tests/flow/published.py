"""A stack that loan systems tell events by webhook, each request signed with the time that the stack shows."""

import json
from datetime import timedelta
from typing import Any, NamedTuple

from predue import wiring
from predue.aws import clients
from tests.flow.small import Line, Standing
from tests.signing import FOREIGN, OURS, SOURCES, signed, written

KEYS = {"core": OURS, "acme": FOREIGN}


class EventIds(NamedTuple):
    """An answer of the webhook."""

    status: int
    headers: dict[str, str]
    body: Line


def open_door(stand: Standing, sources: Any = SOURCES) -> None:
    """Put the sources and their keys where an operator puts them."""
    text = sources if isinstance(sources, str) else json.dumps(sources)
    secret = stand.environment["SOURCES_SECRET"]
    clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=text)
    wiring.forget()


def post(
    stand: Standing, body: bytes, *secrets: str, source: str = "core", off: timedelta = timedelta(0), **headers: str
) -> EventIds:
    """Send a body, signed; `off` is how far the sender's clock is off."""
    given = signed(body, stand.stack.clock() + off, *(secrets or (KEYS[source],)))
    return raw(stand, body, given | {name.replace("_", "-"): value for name, value in headers.items()}, source)


def raw(stand: Standing, body: bytes, headers: dict[str, str], source: str = "core") -> EventIds:
    """Send a body with just these headers."""
    answer = stand.stack.request("POST", f"/webhooks/{source}", headers=tuple(headers.items()), body=body)
    return EventIds(answer["statusCode"], answer["headers"], json.loads(answer["body"]))


def tell(stand: Standing, *bodies: dict[str, Any], array: bool = False, source: str = "core") -> EventIds:
    """Tell one event, or an array of them."""
    return post(stand, written(*bodies, array=array), source=source)


def event(kind: str, event_id: str = "e-1", sequence: int = 7, **fields: Any) -> dict[str, Any]:
    """The body of an event about the usual loan or borrower."""
    about: dict[str, Any] = {"borrower_id": "b-1"}
    if kind.startswith("installment"):
        about = {"loan_id": "loan-1", "installment_no": 1}
    return {"type": kind, "event_id": event_id, "sequence": sequence, **about, **fields}


def counted(stand: Standing, metric: str) -> float:
    """The sum of a metric over all that was logged."""
    return sum(sum(line[metric]) for line in stand.log if metric in line and "_aws" in line)


def table(stand: Standing) -> list[str]:
    """Everything that the table holds."""
    request: dict[str, Any] = {"TableName": stand.environment["TABLE_NAME"]}
    found: list[str] = []
    while True:
        page = clients.client("dynamodb").scan(**request)
        found += [json.dumps(item, sort_keys=True, default=str) for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return sorted(found)
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
