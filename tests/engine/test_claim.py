"""The claim under real concurrency: processes of the operating system, sharing nothing but the engine's table."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws import engine
from infrastructure.local.aws.stack import Stack
from infrastructure.local.runs import outputs
from infrastructure.local.runs.portfolio import apply_rows
from predue import wiring
from predue.domain.ledger import Ledger
from predue.domain.policy import Policy
from predue.domain.record import Record
from predue.domain.stage import StageKey
from tests.engine import claiming

pytestmark = pytest.mark.engine
PROCESSES, ATTEMPTS = 8, 10
FIRST, DAYS = date(2026, 12, 8), 13
LOANS = 36
STAGES = tuple(setting.name for setting in Policy().stages)
STATED = datetime(2026, 11, 20, tzinfo=UTC)
Call = dict[str, Any]


@dataclass(frozen=True)
class Storm:
    """What a thousand attempts left behind: the answers of deliver, the provider's calls, ledger and records."""

    answers: Counter[str]
    lost_writes: int
    calls: list[Call]
    ledger: Ledger
    records: list[Record]

    @property
    def accepted(self) -> list[Call]:
        return [call for call in self.calls if not call["refused"]]


def dues() -> list[tuple[str, date]]:
    """The loans of one borrower, each with one installment: three for each due date, so that the stages of many meet on
    each day.
    """
    return [(f"loan-{number}", FIRST + timedelta(days=number // 3)) for number in range(LOANS)]


def keys_of(day: date) -> tuple[StageKey, ...]:
    keys = (StageKey(loan, 1, due_date, stage) for loan, due_date in dues() for stage in STAGES)
    return tuple(sorted(key for key in keys if key.day() == day))


def know_the_borrower() -> None:
    fields = {"borrower_id": claiming.WHO, "name": "Ana López", "phone": "+12125550100", "email": "ana@example.com",
              "locale": "en-US", "time_zone": "America/New_York", "jurisdiction": "US-NY", "channels": "sms|email",
              "consent": "sms|email"}  # fmt: skip
    rows = [
        {"loan_id": loan, "installment_no": "1", "borrower_id": claiming.WHO, "due_date": due_date.isoformat(),
         "amount": "120.00", "currency": "USD", "grace_days": "3", "status": "open"}
        for loan, due_date in dues()
    ]  # fmt: skip
    apply_rows(fields, rows, STATED, wiring.event_services())


@pytest.fixture(scope="module")
def storm(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """Day by day all processes at once deliver to the same borrower, each on both channels."""
    calls = tmp_path_factory.mktemp("calls") / "calls.jsonl"
    calls.touch()
    with engine.over(endpoint):
        stack = Stack(STATED, log=io.StringIO(), wire=io.StringIO(), endpoint=endpoint, application=engine.own_name())
        try:
            with stack.feeding():
                know_the_borrower()
            answers, lost = let_loose(stack.functions_environment(), calls)
            with stack.feeding():
                state = wiring.table().load(claiming.WHO, FIRST + timedelta(days=LOANS))
            records = outputs.records(stack.functions_environment()["TABLE_NAME"])
        finally:
            stack.remove()
        lines = calls.read_text(encoding="utf-8").splitlines()
        yield Storm(answers, lost, [json.loads(line) for line in lines], state.ledger, records)


def let_loose(environment: dict[str, str], calls: Path) -> tuple[Counter[str], int]:
    """Run the processes; returns what their attempts answered, and how many writes lost to another process."""
    answers: Counter[str] = Counter()
    lost = 0
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), claiming.start, (environment,)) as pool:
        for number in range(DAYS):
            day = FIRST - timedelta(days=1) + timedelta(days=number)
            work = [claiming.Day(day, keys_of(day), ATTEMPTS, process) for process in range(PROCESSES)]
            results = list(pool.map(claiming.attempt_all, work, [calls] * PROCESSES))
            answers.update(answer for done, _ in results for answer in done)
            lost = max(lost, *(so_far for _, so_far in results))
    return answers, lost


def most_inside(calls: list[Call], window: timedelta) -> int:
    """The most calls in any half-open window of that length."""
    at = sorted(datetime.fromisoformat(call["at"]) for call in calls)
    return max(sum(start <= one < start + window for one in at) for start in at)


def test_about_a_thousand_attempts_really_compete(storm: Storm) -> None:
    assert storm.answers.total() == PROCESSES * ATTEMPTS * DAYS > 1000
    assert storm.lost_writes > 10
    assert {"sent", "settled", "forwarded", "nothing"} <= set(storm.answers)
    assert len(storm.accepted) >= 6
    assert {call["channel"] for call in storm.accepted} == set(claiming.CHANNELS)
    assert any(call["refused"] for call in storm.calls)


def test_no_cap_is_ever_passed(storm: Storm) -> None:
    by_day = Counter(datetime.fromisoformat(call["at"]).date() for call in storm.accepted)
    assert max(by_day.values()) == 1
    assert most_inside(storm.accepted, timedelta(days=7)) <= 4
    assert most_inside(storm.accepted, timedelta(days=30)) <= 10
    assert most_inside([call for call in storm.accepted if call["channel"] == "sms"], timedelta(days=7)) <= 3


def test_no_reminder_is_called_twice_but_after_a_refusal_on_another_channel(storm: Storm) -> None:
    assert max(Counter(call["reminder_id"] for call in storm.accepted).values()) == 1
    assert max(Counter((call["reminder_id"], call["channel"]) for call in storm.calls).values()) == 1


def test_no_stage_is_covered_by_two_calls_that_were_accepted(storm: Storm) -> None:
    covered = Counter(key for record in storm.records if record.outcome == "sent" for key in record.keys)
    assert max(covered.values()) == 1
    everything = Counter(key for record in storm.records for key in record.keys)
    assert max(everything.values()) == 1


def test_ledger_records_and_calls_agree(storm: Storm) -> None:
    def told(ids: Callable[[], Iterator[str]]) -> Counter[str]:
        return Counter(ids())

    accepted = told(lambda: (call["reminder_id"] for call in storm.accepted))
    assert told(lambda: (one.reminder_id for one in storm.ledger.contacts if one.counts)) == accepted
    assert told(lambda: (one.reminder_id for one in storm.records if one.outcome == "sent")) == accepted
    asked = {call["reminder_id"]: set(call["job"]) for call in storm.accepted}
    assert all(
        {key.text() for key in one.keys} <= asked[one.reminder_id] for one in storm.records if one.outcome == "sent"
    )
    refused = Counter(call["channel"] for call in storm.calls if call["refused"])
    attempts = [attempt for record in storm.records for attempt in record.attempts]
    noted = Counter(attempt.channel for attempt in attempts if attempt.answer.kind.startswith("refused"))
    waiting = Counter(one.channel for one in storm.ledger.contacts if not one.counts)
    assert noted + waiting >= refused
