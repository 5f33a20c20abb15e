from datetime import UTC, datetime
from typing import Any

import pytest

from infrastructure.local.rules import BusRule, bus_event, fits
from infrastructure.local.template import TemplateError

NEWS = {
    "source": [{"anything-but": {"prefix": "predue"}}],
    "detail-type": [{"prefix": "installment."}, "LoanSystemMessage"],
}


def event(source: str, kind: str) -> dict[str, Any]:
    entry = {"Source": source, "DetailType": kind, "Detail": '{"a": 1}'}
    return bus_event(entry, "id-1", datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("source", "kind", "through"),
    [
        ("com.lender", "installment.paid", True),
        ("com.lender", "LoanSystemMessage", True),
        ("com.lender", "LoanSystemMessages", False),
        ("com.lender", "collections.opened", False),
        ("predue", "installment.paid", False),
        ("predue.x", "LoanSystemMessage", False),
    ],
)
def test_an_event_goes_through_if_each_field_of_the_pattern_has_one_of_its_values(
    source: str, kind: str, *, through: bool
) -> None:
    assert fits(NEWS, event(source, kind)) is through


def test_a_pattern_looks_into_the_detail() -> None:
    assert fits({"detail": {"a": [1, 2]}}, event("x", "y"))
    assert not fits({"detail": {"a": [{"anything-but": [1, 2]}]}}, event("x", "y"))
    assert not fits({"detail": {"b": [{"anything-but": "z"}]}}, event("x", "y"))


def test_a_rule_hears_its_own_bus_only() -> None:
    rule = BusRule("predue", NEWS, ())
    told = event("com.lender", "installment.paid")
    assert rule.fits("predue", told)
    assert rule.fits("arn:aws:events:us-east-1:123456789012:event-bus/predue", told)
    assert not rule.fits("default", told)


def test_a_form_of_pattern_that_is_not_played_is_said_so() -> None:
    with pytest.raises(TemplateError, match="not played"):
        fits({"source": [{"wildcard": "a*"}]}, event("x", "y"))
