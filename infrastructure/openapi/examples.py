"""Examples of requests, in an order in which all of them apply, and of answers, as the code itself writes them."""

import json
from typing import Any

from predue.errors import EventConflict, InvalidEvent
from predue.inbound import answers, problem
from predue.inbound.problem import Problem

Examples = dict[str, dict[str, Any]]
_LOAN = {"loan_id": "loan-77", "installment_no": 3}


def _example_event(kind: str, sequence: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": f"evt-{sequence}", "sequence": sequence, **fields}


_EVENTS = (
    _example_event(
        "borrower.updated",
        1,
        borrower_id="cust-9",
        name="Ana Example",
        phone="+12015550123",
        email="ana@example.com",
        locale="en-US",
        time_zone="America/New_York",
        jurisdiction="US-NY",
        channels=["sms", "email"],
        consent=["sms", "email"],
        preferred_time="18:00",
    ),
    _example_event(
        "installment.scheduled",
        2,
        **_LOAN,
        borrower_id="cust-9",
        due_date="2027-03-01",
        amount="120.00",
        currency="USD",
        grace_days=5,
    ),
    _example_event("installment.rescheduled", 3, **_LOAN, due_date="2027-03-08", amount="100.00"),
    _example_event("installment.paid", 4, **_LOAN, amount="40.00", currency="USD"),
    _example_event("installment.payment_reversed", 5, **_LOAN, amount="40.00"),
    _example_event("installment.disputed", 6, **_LOAN),
    _example_event("installment.dispute_ended", 7, **_LOAN),
    _example_event("installment.cancelled", 8, **_LOAN),
    _example_event("borrower.opted_out", 9, borrower_id="cust-9", channel="sms", occurred_at="2026-11-30T18:05:00Z"),
    _example_event("borrower.opted_in", 10, borrower_id="cust-9", channel="sms", occurred_at="2026-12-02T09:15:00Z"),
    _example_event("borrower.hold_started", 11, borrower_id="cust-9", reason="hardship"),
    _example_event("borrower.hold_ended", 12, borrower_id="cust-9", reason="hardship"),
)
_ARRAY = [
    _example_event("installment.paid", 13, loan_id="loan-78", installment_no=1, amount="15.50"),
    _example_event("borrower.opted_out", 14, borrower_id="cust-9", channel="all"),
]


def requests() -> Examples:
    """Bodies of requests by name; sent one after the other to a source that knows nothing yet, each is taken."""
    single = {one["type"]: {"value": one} for one in _EVENTS}
    return single | {"array": {"summary": "Several at once; a payment may come before its loan.", "value": _ARRAY}}


def taken() -> Examples:
    """Answers with 200."""
    return {
        "applied": _answered(["applied"], single=True),
        "duplicate": _answered(["duplicate"], single=True),
        "parked": _answered(["parked"], single=True),
        "array": _answered(["parked", "applied"], single=False),
    }


def partly() -> Examples:
    """Answers with 207."""
    return {"array": _answered(["applied", InvalidEvent("amount: an amount is positive")], single=False)}


def waiting() -> Examples:
    """Answers with 503 that a function gives."""
    return {
        "single": _answered([None], single=True),
        "array": _answered(["applied", None], single=False),
    }


def _answered(outcomes: list[answers.EventOutcome], *, single: bool) -> dict[str, Any]:
    ids = [f"evt-{number}" for number in range(len(outcomes))]
    return {"value": json.loads(answers.answer(outcomes, ids, single=single).body)}


def problems() -> tuple[Problem, ...]:
    """Every problem document there is, but 503's."""
    constant = [one for one in vars(problem).values() if isinstance(one, Problem) and one != problem.TRY_AGAIN]
    wrong = InvalidEvent("due_date: a date is written YYYY-MM-DD")
    return (
        *constant,
        problem.of_invalid(wrong),
        problem.of_invalid(EventConflict("event_id: another body came before")),
    )
