"""Mambu's webhooks and event streams, in the template that docs/connectors.md gives.

Mambu's webhooks have no schema of their own: the lender writes their body, with placeholders. So the outer fields are
ours. What Mambu publishes is taken as it is: the names of events (API v2, `WebhookTemplateConfiguration`), the envelope
of streamed events (Streaming API, `Event`), the header of idempotency, and a loan's schedule (API v2,
`GET /loans/{id}/schedule`), which a process between the two may add as `schedule`.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from predue.connectors.fields import Fields
from predue.connectors.form import MessageSource, Reading
from predue.connectors.loan import LoanEvents, Row, Schedule
from predue.domain import instant
from predue.errors import InvalidEvent
from predue.events import strict_json

_ENDS = frozenset(
    {
        "LOAN_ACCOUNT_CLOSURE",
        "LOAN_ACCOUNT_WRITE_OFF",
        "LOAN_ACCOUNT_REJECTION",
        "LOAN_ACCOUNT_REFINANCED",
        "LOAN_DISBURSEMENT_REVERSAL",
    }
)
_STATES = frozenset(
    {
        "LOAN_DISBURSEMENT",
        "LOAN_REPAYMENT",
        "LOAN_REPAYMENT_REVERSAL",
        "LOAN_ACCOUNT_RESCHEDULED",
        "LOAN_ACCOUNT_ACTIVITY",
        "REPAYMENT_REMINDER",
        "ACCOUNT_IN_ARREARS",
        "FEE_APPLIED",
        "FEE_ADJUSTED",
        "FEE_CHARGED",
        "FEES_DUE_REDUCED",
        "PENALTY_APPLIED",
        "PENALTY_ADJUSTMENT",
        "INTEREST_RATE_CHANGED",
    }
)
_FIELDS = frozenset(
    ["event", "loan_id", "borrower_id", "currency", "transaction_id", "amount", "installment_no", "due_date"]
)
_PLACEHOLDER = re.compile(r"\{[^{}\s]+\}")
_PARTS = ("principal", "interest", "fee", "penalty")


def read(body: Any, source: MessageSource, headers: Mapping[str, str]) -> Reading:
    """One webhook, or one event of a stream."""
    message = Fields.of(body)
    if message.has("cursor") or isinstance(message.raw.get("events"), list):
        raise InvalidEvent(
            "events: is a batch of a stream; send each of its events as a message of its own, or an array"
        )
    if message.has("metadata"):
        metadata = message.part("metadata")
        return _read_message(_inner(message), metadata.text("eid"), _at(metadata, "occurred_at"), source)
    key = headers.get("x-notifications-idempotency-key") or message.text("event_id")
    return _read_message(message, key, _at(message, "at"), source)


def _inner(message: Fields) -> Fields:
    """What the lender's template made of a streamed event."""
    try:
        return Fields.of(strict_json.read(message.text("body")), "body")
    except ValueError:
        raise InvalidEvent("body: is no JSON") from None


def _at(fields: Fields, key: str) -> datetime:
    try:
        return instant.from_text(fields.text(key))
    except (ValueError, OverflowError):
        raise InvalidEvent(f"{fields.name(key)}: is no ISO time with an offset") from None


def _check_filled(message: Fields, key: str) -> None:
    """Raise InvalidEvent for a placeholder of the template that Mambu did not know: it would be taken for an id."""
    told = {message.name(name): value for name, value in message.raw.items() if name in _FIELDS} | {"event_id": key}
    wrong = [name for name, value in told.items() if isinstance(value, str) and _PLACEHOLDER.search(value)]
    if wrong:
        raise InvalidEvent(
            *(f"{name}: holds a placeholder that Mambu did not fill; mend the template" for name in wrong)
        )


def _read_message(message: Fields, key: str, at: datetime, source: MessageSource) -> Reading:
    _check_filled(message, key)
    kind = message.text("event")
    if kind not in _ENDS | _STATES:
        return Reading(ignored=("type",))
    sequence = instant.to_ms(at)
    if sequence < 0:
        raise InvalidEvent("at: lies before 1970")
    loan_events = LoanEvents(source, key, sequence, message.text("loan_id"), at.date())
    if kind in _ENDS:
        return loan_events.nothing_owed()
    if source.settings.payments == "stated":
        return _schedule(message, loan_events)
    return _payment_events(kind, message, loan_events)


def _schedule(message: Fields, loan_events: LoanEvents) -> Reading:
    """The loan's whole schedule, as the Mambu API gives it."""
    told = Schedule.read(message.part("schedule").parts("installments"), "number", _row)
    return loan_events.stated(told, message.text("borrower_id"), message.text("currency"))


def _row(installment: Fields) -> Row:
    owed = Decimal()
    if not (installment.has("state") and installment.text("state") == "PAID"):
        for part in _PARTS:
            if installment.has(part):
                owed += _amount_due(installment.part(part))
    return Row(installment.whole("number"), installment.day("dueDate"), owed)


def _amount_due(part: Fields) -> Decimal:
    """What is still to be paid of a part; the expected amount is the sum of this and what is paid."""
    amount = part.part("amount")
    return amount.balance("due") if amount.has("due") else Decimal()


def _payment_events(kind: str, message: Fields, loan_events: LoanEvents) -> Reading:
    """What a template alone can tell: payments, and one installment at a time."""
    match kind:
        case "LOAN_REPAYMENT":
            return loan_events.paid(message.text("transaction_id"), message.amount("amount"), message.text("currency"))
        case "LOAN_REPAYMENT_REVERSAL":
            return loan_events.reversed(message.text("transaction_id"))
        case "REPAYMENT_REMINDER":
            return loan_events.one(
                Row(message.whole("installment_no"), message.day("due_date"), message.amount("amount")),
                message.text("borrower_id"),
                message.text("currency"),
            )
        case "LOAN_ACCOUNT_RESCHEDULED":
            return loan_events.nothing_owed()
        case _:
            return Reading(ignored=("type",))
