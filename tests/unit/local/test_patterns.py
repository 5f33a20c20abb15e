from typing import Any

import pytest

from infrastructure.local.patterns import matches
from infrastructure.local.template import TemplateError

PATTERN = {"source": ["predue"], "detail": {"outcome": ["sent", "failed"], "id": [{"prefix": "R#"}]}}


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"source": "predue", "detail": {"outcome": "sent", "id": "R#1"}, "more": 1}, True),
        ({"source": "predue", "detail": {"outcome": "failed", "id": "R#"}}, True),
        ({"source": "other", "detail": {"outcome": "sent", "id": "R#1"}}, False),
        ({"source": "predue", "detail": {"outcome": "expired", "id": "R#1"}}, False),
        ({"source": "predue", "detail": {"outcome": "sent", "id": "S#1"}}, False),
        ({"source": "predue", "detail": {"outcome": "sent"}}, False),
        ({"source": "predue"}, False),
        ({"source": "predue", "detail": "sent"}, False),
        ({}, False),
    ],
)
def test_an_event_fits_if_it_has_every_field_with_one_of_its_values(event: Any, fits: bool) -> None:  # noqa: FBT001 - a table
    assert matches(PATTERN, event) is fits


@pytest.mark.parametrize("pattern", [{"a": [{"suffix": "x"}]}, {"a": "x"}, {"a": [{"exists": True}]}])
def test_what_is_not_played_stops_the_stack(pattern: Any) -> None:
    with pytest.raises(TemplateError):
        matches(pattern, {"a": "x"})
