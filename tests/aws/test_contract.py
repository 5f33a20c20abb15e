"""The ports in memory and the adapters of AWS answer a drawn script alike."""

from collections import Counter

import pytest

from infrastructure.local.memory.store import MemoryStore
from predue.aws.plans import TablePlans
from predue.aws.table import Table
from tests.aws.line import Storage
from tests.contract import STEPS, Script


@pytest.mark.parametrize("seed", range(1, 7))
def test_memory_and_table_answer_alike(seed: int, storage: Storage) -> None:
    memory, table = MemoryStore(), Table(storage.table, lambda: 1)
    expected = Script(memory, memory, seed).play(400)
    found = Script(table, TablePlans(storage.table, "due_index"), seed).play(400)
    for place, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert one == other, f"call {place}"
    assert Counter(name for name, _ in expected).keys() == {step.__name__ for step in STEPS}
    assert "LedgerMoved" in {answer for _, answer in expected if isinstance(answer, str)}
