"""Loan systems of every form: how each is set up, what it sends to open a loan and to say that it is paid, and how it
proves itself.

All tell of the loan of borrower 4711 whose first installment is due on 15 June 2026.
"""

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from predue.aws import clients
from tests.flow.published import EventIds, raw
from tests.flow.small import Book, Standing
from tests.signing import key, signed
from tests.unit.connectors.messages import but, message
from tests.unit.connectors.schemas import SCHEMAS, encoded

SECRET = "a-secret-that-is-shown-and-never-signs"
START = datetime(2026, 6, 12, 13, 0, tzinfo=UTC)
SLOT = datetime(2026, 6, 12, 14, 0, tzinfo=UTC)
"""Ten o'clock in New York on the day of T-3."""
BOOK = Book().borrower("4711")
MAPPING = (Path(__file__).parents[2] / "docs/mapping.example.toml").read_text(encoding="utf-8")
_EXAMPLE = json.loads((Path(__file__).parents[2] / "docs/mapping.example.json").read_text(encoding="utf-8"))
_FIRST = "data__repaymentSchedule__periods__1"
DISBURSAL = message("fineract/loan_disbursal")


def cloud(kind: str, event_id: str, **data: Any) -> dict[str, Any]:
    """A structured CloudEvent about the usual loan."""
    about = {"loan_id": "LOAN-77", "installment_no": 1, **data}
    event = {"specversion": "1.0", "id": event_id, "source": "/loans", "type": f"com.lender.{kind}"}
    return {**event, "datacontenttype": "application/json", "sequence": event_id, "data": about}


_SCHEDULED = {"borrower_id": "4711", "due_date": "2026-06-15", "amount": "100.00", "currency": "USD"}
_OPENED = but(
    _EXAMPLE, loan__schedule__0__dueAt="2026-06-15T00:00:00-04:00", loan__currency="USD", sentAt="2026-06-01T09:00:00Z"
)
_PAYMENT = {
    "messageId": "m-2",
    "kind": "PAYMENT",
    "sentAt": "2026-06-12T09:00:00Z",
    "loan": {"number": "L-77", "currency": "USD"},
    "payment": {"state": "BOOKED", "installment": 1, "amountInCents": 12550},
}


@dataclass(frozen=True)
class System:
    """One loan system; `opened` and `paid` are what it sends, as an object or in Fineract's own bytes."""

    setting: dict[str, Any]
    opened: Any
    paid: Any
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def signs(self) -> bool:
        return "keys" in self.setting


def _signing(form: str, **settings: Any) -> dict[str, Any]:
    return {"keys": [key(form)], "bus": "com.lender.loans", "form": form, "settings": settings}


def _showing(form: str, **settings: Any) -> dict[str, Any]:
    return {"secrets": [f"{SECRET}-{form}"], "bus": "com.lender.loans", "form": form, "settings": settings}


SYSTEMS = {
    "predue": System(
        _signing("predue"),
        {"type": "installment.scheduled", "event_id": "1", "sequence": 1, "loan_id": "LOAN-77", "installment_no": 1}
        | _SCHEDULED,
        {"type": "installment.paid", "event_id": "2", "sequence": 2, "loan_id": "LOAN-77", "installment_no": 1}
        | {"amount": "100.00"},
    ),
    "fineract, stated": System(_signing("fineract"), DISBURSAL, message("fineract/loan_balance_changed")),
    "fineract, allotted": System(
        _signing("fineract", payments="allotted"), DISBURSAL, message("fineract/loan_make_repayment")
    ),
    "mambu, stated": System(
        _showing("mambu"), message("mambu/disbursement_with_schedule"), message("mambu/repayment_with_schedule")
    ),
    "mambu, allotted": System(
        _showing("mambu", payments="allotted"), message("mambu/repayment_reminder"), message("mambu/repayment")
    ),
    "mapping": System(_showing("mapping", mapping=MAPPING), _OPENED, _PAYMENT),
    "cloudevents": System(
        _signing("cloudevents"),
        cloud("installment.scheduled", "1", **_SCHEDULED),
        cloud("installment.paid", "2", amount="100.00"),
        "application/cloudevents+json; charset=utf-8",
    ),
}
AVRO = System(
    _signing("fineract", schemas=list(SCHEMAS)),
    encoded(DISBURSAL),
    encoded(message("fineract/loan_balance_changed")),
    "avro/binary",
)


def send(stand: Standing, system: System, told: Any, **headers: str) -> EventIds:
    """Post a message as its system does."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    given = proof(stand, system, body) | {"content-type": system.kind} | system.headers
    return raw(stand, body, given | {name.replace("_", "-"): value for name, value in headers.items()})


def proof(stand: Standing, system: System, body: bytes) -> dict[str, str]:
    """The headers by which a system proves itself."""
    if system.signs:
        return signed(body, stand.stack.clock(), system.setting["keys"][0])
    return {"authorization": f"Bearer {system.setting['secrets'][0]}"}


def put(stand: Standing, told: dict[str, Any], *, source: str = "com.lender.loans", kind: str = "") -> None:
    """Put a message on the bus, as a loan system on AWS does."""
    detail = copy.deepcopy(told)
    entry = {
        "Source": source,
        "DetailType": kind or (detail["type"] if "event_id" in detail and "type" in detail else "LoanSystemMessage"),
        "Detail": json.dumps(detail),
        "EventBusName": stand.environment["BUS_NAME"],
    }
    with stand.stack.feeding():
        answer = clients.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
