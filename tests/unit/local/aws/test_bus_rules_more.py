"""The rule of the bus that takes events in, as the template has it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from infrastructure.local.aws.bus_rules import BusRule, bus_event
from infrastructure.local.runtime.scene import template

(LOAN_EVENTS,) = [
    BusRule(resource)
    for resource in template(lambda one, _attribute: one.name).resources()
    if resource.type == "AWS::Events::Rule" and resource.name == "EventsRule"
]


def event(source: str, kind: str) -> dict[str, Any]:
    entry = {"Source": source, "DetailType": kind, "Detail": '{"a": 1}'}
    return bus_event(entry, "id-1", datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("source", "kind", "taken"),
    [
        ("com.lender", "installment.paid", True),
        ("com.lender", "borrower.opted_out", True),
        ("com.lender", "LoanSystemMessage", True),
        ("com.lender", "LoanSystemMessages", False),
        ("com.lender", "InstallmentOverdue", False),
        ("com.lender", "collections.opened", False),
        ("predue", "installment.paid", False),
        ("predue.x", "LoanSystemMessage", False),
        ("predue-production", "borrower.updated", False),
    ],
)
def test_the_rule_takes_events_and_nothing_of_predues_own(source: str, kind: str, *, taken: bool) -> None:
    assert LOAN_EVENTS.bus == "Bus"
    assert bool(list(LOAN_EVENTS.stated(event(source, kind)))) is taken
