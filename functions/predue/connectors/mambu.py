"""Mambu's webhooks and event streams, in the template that docs/connectors.md gives.

Mambu's webhooks have no schema of their own: the lender writes their body, with placeholders. So the outer fields are
ours. What Mambu publishes is taken as it is: the names of events (API v2, `WebhookTemplateConfiguration`), the envelope
of streamed events (Streaming API, `Event`), the header of idempotency, and a loan's schedule (API v2,
`GET /loans/{id}/schedule`), which a process between the two may add as `schedule`.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from predue.connectors.fields import Fields
from predue.connectors.form import Reading, Source
from predue.connectors.loan import LoanNews, Row
from predue.domain import instant
from predue.errors import BadNews
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
_PARTS = ("principal", "interest", "fee", "penalty")


def read(body: Any, source: Source, headers: Mapping[str, str]) -> Reading:
    """One webhook, or one event of a stream."""
    message = Fields.of(body)
    if message.has("metadata"):
        metadata = message.part("metadata")
        return _read(_inner(message), metadata.text("eid"), _at(metadata, "occurred_at"), source)
    key = headers.get("x-notifications-idempotency-key") or message.text("event_id")
    return _read(message, key, _at(message, "at"), source)


def _inner(message: Fields) -> Fields:
    """What the lender's template made of a streamed event."""
    try:
        return Fields.of(strict_json.read(message.text("body")), "body")
    except ValueError:
        raise BadNews("body: is no JSON") from None


def _at(fields: Fields, key: str) -> datetime:
    try:
        return instant.from_text(fields.text(key))
    except (ValueError, OverflowError):
        raise BadNews(f"{fields.name(key)}: is no ISO time with an offset") from None


def _read(message: Fields, key: str, at: datetime, source: Source) -> Reading:
    kind = message.text("event")
    if kind not in _ENDS | _STATES:
        return Reading(passed_over=("type",))
    sequence = instant.to_ms(at)
    if sequence < 0:
        raise BadNews("at: lies before 1970")
    news = LoanNews(source, key, sequence, message.text("loan_id"), at.date())
    if kind in _ENDS:
        return news.nothing_owed()
    if source.settings.payments == "stated":
        return _schedule(message, news)
    return _told(kind, message, news)


def _schedule(message: Fields, news: LoanNews) -> Reading:
    """The loan's whole schedule, as the Mambu API gives it."""
    rows = [_row(one) for one in message.part("schedule").parts("installments")]
    return news.stated(rows, message.text("borrower_id"), message.text("currency"))


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
    return amount.amount("due") if amount.has("due") else Decimal()


def _told(kind: str, message: Fields, news: LoanNews) -> Reading:
    """What a template alone can tell: payments, and one installment at a time."""
    match kind:
        case "LOAN_REPAYMENT":
            return news.paid(message.text("transaction_id"), message.amount("amount"), message.text("currency"))
        case "LOAN_REPAYMENT_REVERSAL":
            return news.reversed(message.text("transaction_id"))
        case "REPAYMENT_REMINDER":
            return news.one(
                Row(message.whole("installment_no"), message.day("due_date"), message.amount("amount")),
                message.text("borrower_id"),
                message.text("currency"),
            )
        case "LOAN_ACCOUNT_RESCHEDULED":
            return news.nothing_owed()
        case _:
            return Reading(passed_over=("type",))
