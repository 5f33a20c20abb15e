import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from predue.domain.job import Job, parts, text
from predue.errors import BadJob
from tests.unit.world import SLOT, key

JOB = Job("b-1", date(2026, 6, 12), SLOT, (key(), key(loan_id="L-2")), deferred=2)


def changed(**fields: Any) -> str:
    return json.dumps({**JOB.body(), **fields})


def test_a_job_reads_back_from_its_message() -> None:
    other = replace(JOB, deferred=0)
    assert [Job.read(part) for part in parts(text(JOB.body()))] == [JOB]
    assert [Job.read(part) for part in parts(text([JOB.body(), other.body()]))] == [JOB, other]
    assert other != JOB


def test_a_message_holds_ids_and_no_more() -> None:
    assert set(JOB.body()) == {"v", "borrower", "day", "slot", "keys", "deferred"}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        "{}",
        changed(v=2),
        changed(day="2026-13-01"),
        changed(slot="2026-06-12T14:00:00"),
        changed(keys=[]),
        changed(keys=["L-1"]),
        changed(keys=["L-1#1#2026-06-15#T-1"]),
        changed(keys=[key().text(), "L-1#1#2026-06-15#T-1"]),
        changed(keys=["L-1#1#2026-06-15#T?"]),
        changed(deferred=None),
    ],
)
def test_anything_else_is_no_job(message: str) -> None:
    with pytest.raises(BadJob) as caught:
        Job.read(parts(message)[0])
    assert not caught.value.retry
