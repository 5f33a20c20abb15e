"""Events told side by side: whatever the order, the repeats, the crashes and the steps between two calls, what is known
in the end is what the true order would have made known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predue.errors import EventConflict, LedgerMoved
from tests.fakes import Store, state_of
from tests.flow.steps import BEGIN, Task, pause
from tests.unit.events.test_applying_order import _FIRST, _NEWS
from tests.unit.world import World, utc

Body = dict[str, Any]


def numbered(told: Sequence[Body]) -> list[Body]:
    return [
        {**body, "event_id": f"e-{number}", "source": "core", "sequence": number} for number, body in enumerate(told)
    ]


@dataclass
class SideBySide:
    """Several functions that tell events at a time, stepped from call to call."""

    world: World
    waiting: list[Body]
    tasks: list[tuple[Task, Body]] = field(default_factory=list)
    conflicts: int = 0

    def task(self, body: Body) -> Task:
        def work() -> str:
            return self.world.apply(body)

        return Task(work)

    def begin(self) -> None:
        body = self.waiting.pop(0)
        self.tasks.append((self.task(body), body))

    def step(self, index: int) -> None:
        task, body = self.tasks[index]
        task.step()
        if task.at is None:
            del self.tasks[index]
            self.ended(task, body)

    def ended(self, task: Task, body: Body) -> None:
        """What was not acknowledged is sent again."""
        if isinstance(task.error, LedgerMoved):
            self.waiting.append(body)
        elif isinstance(task.error, EventConflict):
            self.conflicts += 1
        elif task.error is not None:
            raise task.error

    def crash(self, index: int) -> None:
        task, body = self.tasks.pop(index)
        task.kill()
        self.waiting.append(body)


def play(bodies: Sequence[Body], pick: Callable[[int], int], crashes: int, at_a_time: int = 3) -> SideBySide:
    """Tell bodies side by side; `pick(n)` draws one of n turns."""
    world = World(now=utc("05-01 00:00"))
    world.store = Store(pause)
    side = SideBySide(world, list(bodies))
    while side.waiting or side.tasks:
        if side.waiting and (not side.tasks or (len(side.tasks) < at_a_time and pick(3) == 0)):
            side.begin()
            continue
        index = pick(len(side.tasks))
        if crashes and side.tasks[index][0].at != BEGIN and pick(12) == 0:
            crashes -= 1
            side.crash(index)
        else:
            side.step(index)
    return side


def in_true_order(bodies: Sequence[Body]) -> World:
    world = World(now=utc("05-01 00:00"))
    for body in bodies:
        world.apply(body)
    return world


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(_NEWS, max_size=6), st.data())
def test_any_interleaving_repetition_reordering_and_crash_ends_in_the_state_of_the_true_order(
    drawn: list[Body], data: st.DataObject
) -> None:
    true = numbered([*_FIRST, *drawn])
    again = data.draw(st.lists(st.sampled_from(true), max_size=3))
    order = data.draw(st.permutations([*true, *again]))
    chance = data.draw(st.randoms(use_true_random=False))
    side = play(order, chance.randrange, crashes=2)
    assert side.conflicts == 0
    assert state_of(side.world.store) == state_of(in_true_order(true).store)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from(["30.00", "70.00"]), st.booleans())
def test_of_two_bodies_under_one_id_that_come_side_by_side_just_one_counts(
    chance: Any,
    amount: str,
    other_loan: bool,  # noqa: FBT001 - drawn
) -> None:
    borrower, loan = _FIRST
    other = {**loan, "loan_id": "L-2"}
    world = in_true_order(numbered([borrower, loan, other]))
    paid = {"type": "installment.paid", "source": "core", "event_id": "p", "sequence": 9, "loan_id": "L-1"}
    one = paid | {"installment_no": 1, "amount": "10.00"}
    two = one | {"amount": amount} | ({"loan_id": "L-2"} if other_loan else {})
    world.store.before = pause
    side = SideBySide(world, [one, two])
    side.begin()
    side.begin()
    while side.tasks:
        side.step(chance.randrange(len(side.tasks)))
    assert side.conflicts == 1
    counted = [due.payments for due in world.store.all_dues("b-1") if due.payments]
    assert counted in ([{"core#p": 1000}], [{"core#p": 3000 if amount == "30.00" else 7000}])
