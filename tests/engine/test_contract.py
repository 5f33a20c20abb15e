"""The ports in memory and the adapters over the second engine answer a drawn script alike."""

import io
from datetime import UTC, datetime

import pytest

from infrastructure.local.aws import engine
from infrastructure.local.aws.stack import Stack
from infrastructure.local.memory.store import MemoryStore
from predue.aws.plans import TablePlans
from predue.aws.table import Table
from tests.contract import Script

pytestmark = pytest.mark.engine
START = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_memory_and_the_engines_table_answer_alike(seed: int, endpoint: str) -> None:
    expected = Script(memory := MemoryStore(), memory, seed).play(400)
    with engine.over(endpoint):
        stack = Stack(START, log=io.StringIO(), wire=io.StringIO(), endpoint=endpoint, application=engine.own_name())
        try:
            with stack.feeding():
                name = stack.functions_environment()["TABLE_NAME"]
                found = Script(Table(name, lambda: 1), TablePlans(name, "due_index"), seed).play(400)
        finally:
            stack.remove()
    for place, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert one == other, f"call {place}"
