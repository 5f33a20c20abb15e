from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from infrastructure.local.sam.template import TemplateError
from infrastructure.local.virtual.schedule import fires

NOON = datetime(2026, 12, 10, 12, tzinfo=UTC)


def test_a_quarter_hour_schedule_fires_every_quarter_hour_from_now_on() -> None:
    found = list(islice(fires("cron(0/15 * * * ? *)", NOON), 5))
    assert found == [NOON + timedelta(minutes=minutes) for minutes in (0, 15, 30, 45, 60)]


def test_a_schedule_with_an_offset_keeps_it_over_the_hour() -> None:
    found = list(islice(fires("cron(5/15 * * * ? *)", NOON), 5))
    assert [moment.minute for moment in found] == [5, 20, 35, 50, 5]


def test_a_moment_just_past_is_not_fired_again() -> None:
    assert next(fires("cron(0/15 * * * ? *)", NOON + timedelta(seconds=1))) == NOON + timedelta(minutes=15)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(15 minutes)",
        "cron(0 10 * * ? *)",
        "cron(0/15 9-20 * * ? *)",
        "at(2026-12-10T00:00:00)",
        "cron(*/15 * * * ? *)",
        "",
    ],
)
def test_a_form_that_is_not_played_is_refused_by_name(expression: str) -> None:
    with pytest.raises(TemplateError, match="is not of the form"):
        next(fires(expression, NOON))
