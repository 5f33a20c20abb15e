"""Each fault at a port does to a call what it says."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from infrastructure.local.chaos.port_faults import PortChaos
from infrastructure.local.memory.store import MemoryStore
from infrastructure.local.virtual.chances import Killed, Rates, RunningFunction
from predue.borrowers.ports import Accepted, NoAnswer, Refused
from predue.domain.due import Change, Due
from predue.domain.ledger import Ledger
from predue.errors import Unreachable

NONE = dict.fromkeys(Rates.__slots__, 0.0)
NOW = datetime(2026, 12, 10, 15, tzinfo=UTC)
DUE = date(2026, 12, 10)


class Bench:
    """A store in memory under chaos of which only some faults strike, on a clock that the test moves."""

    def __init__(self, **rates: float) -> None:
        self.now = NOW
        self.store = MemoryStore()
        self.chaos = PortChaos(1, Rates(**(NONE | rates)))
        self.chaos.clock = lambda: self.now
        self.port = self.chaos.over(self.store, "dynamodb")

    def within(self, call: Any, *given: Any) -> Any:
        """What a function's call gives."""
        with self.chaos.around(RunningFunction()):
            found = call(*given)
            return list(found) if hasattr(found, "__next__") else found

    def due(self, number: int) -> Due:
        known = (Change(NOW - timedelta(days=9), open=True),)
        return Due(f"b-{number}", f"l-{number}", 1, DUE, 100, "USD", 0, known)

    def write(self, number: int) -> None:
        self.port.write_due(self.due(number), "UTC", "--:--", self.now, indexed=True)

    def entries(self) -> list[str]:
        return [one.borrower_id for one in self.within(self.port.entries, DUE, 0, "UTC", "--:--")]


@pytest.mark.parametrize(
    ("fault", "written"), [("throttled", 0), ("failed", 0), ("failed_after", 1), ("lost_answer", 1)]
)
def test_a_call_that_fails_took_effect_or_not_as_the_fault_says(fault: str, written: int) -> None:
    bench = Bench(**{fault: 1.0})
    with pytest.raises(Unreachable):
        bench.within(bench.port.write_ledger, Ledger("b-1"))
    assert len(bench.store.ledgers) == written
    assert bench.chaos.counted[fault] == 1


def test_a_function_is_killed_before_its_call_takes_effect() -> None:
    bench = Bench(killed=1.0)
    with pytest.raises(Killed):
        bench.within(bench.port.write_ledger, Ledger("b-1"))
    assert bench.store.ledgers == {}


def test_calls_outside_of_any_function_meet_no_fault() -> None:
    bench = Bench(killed=1.0, failed=1.0)
    bench.port.write_ledger(Ledger("b-1"))
    assert bench.store.ledgers["b-1"][0].version == 1


def test_a_stale_read_misses_writes_of_the_last_minute_and_leaves_them_where_they_are() -> None:
    bench = Bench()
    bench.write(1)
    bench.now += timedelta(seconds=61)
    bench.write(2)
    bench.chaos.rates = Rates(**(NONE | {"stale_read": 1.0}))
    seen = {tuple(bench.entries()) for _ in range(20)}
    assert seen == {("b-1",), ("b-1", "b-2")}
    assert len(bench.store.index) == 2
    bench.now += timedelta(seconds=61)
    assert {tuple(bench.entries()) for _ in range(20)} == {("b-1", "b-2")}


def test_a_strongly_consistent_read_is_never_stale() -> None:
    bench = Bench(stale_read=1.0)
    bench.port.write_ledger(Ledger("b-1"))
    assert {bench.within(bench.port.ledger, "b-1").version for _ in range(20)} == {1}


def test_a_torn_read_sees_what_was_written_between_its_pages_and_nothing_twice() -> None:
    bench = Bench(short_page=1.0)
    for number in range(1, 9):
        bench.write(number)
    with bench.chaos.around(RunningFunction()):
        reading = bench.port.entries(DUE, 0, "UTC", "--:--")
        first = next(reading).borrower_id
        bench.store.write_due(replace(bench.due(9)), "UTC", "--:--", NOW, indexed=True)
        rest = [one.borrower_id for one in reading]
    assert [first, *rest] == [f"b-{number}" for number in range(1, 10)]


def test_a_service_that_is_away_does_nothing_until_it_is_back() -> None:
    bench = Bench()
    bench.chaos._away["dynamodb"] = NOW + timedelta(minutes=5)
    with pytest.raises(Unreachable):
        bench.within(bench.port.write_ledger, Ledger("b-1"))
    bench.now += timedelta(minutes=5)
    bench.within(bench.port.write_ledger, Ledger("b-1"))
    assert len(bench.store.ledgers) == 1


class Provider:
    """Takes every message."""

    def __init__(self) -> None:
        self.calls = 0

    def send(self, _envelope: object) -> Accepted:
        self.calls += 1
        return Accepted("m")


@pytest.mark.parametrize(
    ("fault", "calls", "said"),
    [
        ("provider_unheard", 1, NoAnswer),
        ("provider_failed_after", 1, NoAnswer),
        ("provider_timeout", 0, NoAnswer),
        ("provider_failed", 0, NoAnswer),
        ("provider_busy", 0, Refused),
    ],
)
def test_a_provider_is_called_or_not_as_the_fault_says_and_never_raises(fault: str, calls: int, said: type) -> None:
    bench, provider = Bench(**{fault: 1.0}), Provider()
    assert isinstance(bench.within(bench.chaos.over(provider, "sms").send, "an envelope"), said)
    assert provider.calls == calls
