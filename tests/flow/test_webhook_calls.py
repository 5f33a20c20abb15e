"""What an event of a webhook costs in AWS calls, as docs/development.md says it."""

from pathlib import Path

import pytest

from tests.bench.webhook import calls
from tests.flow.published import open_door
from tests.flow.small import Book, standing, utc

EACH = {
    "installment.scheduled": 11,
    "installment.rescheduled": 12,
    "installment.paid": 7,
    "installment.disputed": 7,
    "installment.cancelled": 8,
}


@pytest.mark.parametrize("kind", EACH)
def test_an_event_makes_the_calls_that_are_documented_and_a_repeat_makes_one(kind: str, tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower(), utc(6), Workers=1) as stand:
        open_door(stand)
        calls(stand, "installment.scheduled", 4)
        assert sum(calls(stand, kind, 4, first=100)[0].values()) == 4 * EACH[kind]
        assert sum(calls(stand, kind, 4, first=100, was="duplicate")[0].values()) == 4
