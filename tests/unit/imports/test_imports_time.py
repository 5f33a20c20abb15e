"""An import that no call has time for: each gets on, none is cut off, and the end is that of one with endless time."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.domain.policy import ImportsSetting
from predue.errors import ImportMoved, InvalidEvent
from predue.imports import chunk_applying
from predue.imports.import_state import Import
from predue.imports.name_index import NameIndex, name_of, named
from predue.inbound.deliveries import event_of
from tests.depot import SOURCE, Depot, installments

TIMEOUT = 120
"""Seconds of a call (template.yaml, ImportBook)."""
SOON = "2026-06-15"
LOANS = [f"L-{number}" for number in range(60)]
NEW = [f"N-{number}" for number in range(10)]
BAD = "nonsense\n"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files take as many steps as large ones."""
    sizes = {"file_reading.CHUNK_ROWS": 2, "statement_sweep.CHUNK_ROWS": 2, "file_reading._INDEX_CHUNKS": 1}
    sizes |= {"statement_sweep._IN_A_PASS": 15, "statement_sweep._IN_A_BATCH": 1, "statement_sweep.SIDE_BY_SIDE": 2}
    sizes |= {"file_check.SIDE_BY_SIDE": 2, "import_report._TOGETHER": 3}
    for name, size in sizes.items():
        monkeypatch.setattr(f"predue.imports.{name}", size)


@pytest.fixture
def new(tmp_path: Path) -> Callable[[], Depot]:
    """Makes depots that know sixty loans which fall due soon, each with a folder of its own."""
    numbers = itertools.count()

    def make() -> Depot:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        depot = Depot(folder)
        depot.imported("i.csv", installments(*LOANS, due_date=SOON))
        for loan in (*LOANS, *NEW):
            depot.world.borrower(loan.replace("L-", "b-"))
        depot.open_dues.page = 1
        depot.limits = ImportsSetting(most_due_soon=5, most_closed_percent=50)
        return depot

    return make


class Slow:
    """A clock by which each call of bucket and index takes its seconds, and a function that is ended at its timeout."""

    def __init__(self, depot: Depot, seconds: Mapping[str, float]) -> None:
        self._depot = depot
        self._seconds = seconds
        self._spent = 0.0
        self.phases = Counter[str]()
        depot.files.before = depot.world.store.before = self._step
        depot.time_left = lambda: TIMEOUT - self._spent

    def _step(self, call: str) -> None:
        self._spent += self._seconds.get(call, 0)
        assert self._spent <= TIMEOUT, f"cut off in {call}"

    def run(self, name: str) -> Import:
        """As many calls as it takes, each of which gets on; `phases` tells in which part of the import they began."""
        known = self._depot.files.load(name)
        assert known is not None
        state = known[0]
        while not state.over:
            self._spent = 0.0
            self.phases[state.phase] += 1
            before, state = state, self._depot.call(name)
            assert replace(state, updated_at="") != replace(before, updated_at="")
        return state


def told(depot: Depot, name: str) -> Any:
    """What is known in the end, and what the files beside the file say."""
    dues = sorted((due.loan_id, due.closed_by) for owed in depot.world.store.dues.values() for due in owed.values())
    beside = f"books/core/{name}"
    return (
        dues,
        depot.report(name),
        depot.files.get(f"{beside}.rejected.csv") if depot.report(name)["rejected"] else b"",
    )


def put(depot: Depot, name: str, content: str) -> str:
    """Put a file a minute after all before, and a minute before it is imported."""
    depot.world.now += timedelta(minutes=1)
    put = depot.put(name, content)
    depot.world.now += timedelta(minutes=1)
    return put


SECONDS = {"get": 1.0, "put": 1.0, "join": 1.0, "load": 1.0, "save": 1.0, "all_open": 2.0, "dues_of": 2.0}
SECONDS |= {"due_dates_of": 10.0}


@pytest.mark.parametrize(
    ("name", "content", "part", "phase"),
    [
        ("s.complete.csv", installments(*LOANS[:40], due_date=SOON), "checking", "done"),
        ("i.csv", installments(*LOANS, due_date=SOON, grace_days="4"), "checking", "done"),
        ("i.csv", installments(*LOANS[:50], *NEW, due_date=SOON), "checking", "held"),
        ("i.csv", installments(*LOANS[:5]) + BAD * 240, "finishing", "done"),
    ],
    ids=["swept", "counted", "counted and held", "joined"],
)
def test_a_part_that_takes_several_calls_comes_to_the_same_end_and_no_call_is_cut_off(
    name: str, content: str, part: str, phase: str, new: Callable[[], Depot]
) -> None:
    whole, parts = new(), new()
    wanted = whole.run(put(whole, name, content))
    begun = put(parts, name, content)
    slow = Slow(parts, SECONDS)
    state = slow.run(begun)
    assert slow.phases[part] >= 3
    assert (state.phase, state) == (phase, wanted)
    assert told(parts, name) == told(whole, name)


@pytest.mark.parametrize("page", [1, 7, 60, 100])
def test_a_statement_whose_sweep_takes_many_calls_closes_what_it_lacks_and_nothing_else(
    page: int, new: Callable[[], Depot]
) -> None:
    depot = new()
    depot.open_dues.page = page
    name = put(depot, "s.complete.csv", installments(*LOANS[:40], due_date=SOON))
    state = Slow(depot, SECONDS).run(name)
    assert (state.phase, state.passes, state.open_held, state.closable) == ("done", 3, 40, 20)
    closed = {due.loan_id for owed in depot.world.store.dues.values() for due in owed.values() if due.closed_by}
    assert closed == set(LOANS[40:])


@pytest.mark.parametrize(("most", "phase"), [(9, "held"), (10, "done")])
def test_what_falls_due_soon_and_did_not_is_counted_to_the_last_installment(
    most: int, phase: str, new: Callable[[], Depot]
) -> None:
    depot = new()
    depot.limits = ImportsSetting(most_due_soon=most)
    name = put(depot, "i.csv", installments(*LOANS[:33], *NEW, due_date=SOON))
    state = Slow(depot, SECONDS).run(name)
    assert (state.phase, state.newly_due, state.counted) == (phase, 10, state.leaves)


@pytest.mark.parametrize("parts", range(8))
def test_each_rejected_row_is_in_the_report_once_and_in_its_order(parts: int, new: Callable[[], Depot]) -> None:
    depot = new()
    depot.run(put(depot, "j.csv", installments() + BAD * 2 * parts))
    assert [line.split(",")[1] for line in depot.rejected("j.csv")] == [str(2 + row) for row in range(2 * parts)]


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(1, 10**9), st.booleans()), max_size=9))
def test_whatever_id_an_event_may_have_its_name_comes_back(rows: list[tuple[str, int, bool]]) -> None:
    taken = [row for row in rows if _is_taken(row[0])]
    with TemporaryDirectory() as folder:
        services = Depot(Path(folder)).services()
        names_index = NameIndex()
        for loan_id, number, is_soon in taken:
            (names_index.soon if is_soon else names_index.later).append(name_of(loan_id, number))
        state = names_index.put(Import("books/core/i.csv", "e", 1, "2026-06-12T14:00:00Z", "core"), services)
        assert state.leaves == bool(taken)
        found = NameIndex.get(state, services, 0) if taken else NameIndex()
    for names, is_soon in ((found.soon, True), (found.later, False)):
        assert {named(name) for name in names} == {(loan, number) for loan, number, soon in taken if soon == is_soon}


def _is_taken(loan_id: str) -> bool:
    try:
        event_of(
            {"type": "installment.cancelled", "event_id": "e", "sequence": 0, "loan_id": loan_id}
            | {"installment_no": 1},
            SOURCE,
        )
    except InvalidEvent:
        return False
    return True


def test_a_call_that_was_overtaken_and_has_less_time_leaves_all_as_the_other_wrote_it(
    new: Callable[[], Depot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predue.imports.file_reading._INDEX_CHUNKS", 3)
    depot = new()
    name = put(depot, "s.complete.csv", installments(*LOANS[:40], due_date=SOON))
    known = depot.files.load(name)
    assert known is not None
    depot.run(name)
    written = depot.files.get(f"work/{name}/names-000000")
    depot.time_left = lambda: 0.0
    with pytest.raises(ImportMoved):
        chunk_applying.go_on(*known, depot.services())
    assert depot.files.get(f"work/{name}/names-000000") == written
