"""Lifecycles as tables: the states of one thing, and the steps between them that the code may take.

Each lifecycle stands at the head of its module and is executed there; docs/architecture.md shows the same tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State", bound=str)


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[State]):
    """The steps from each state, by state, with what makes each happen; a state without steps is final."""

    of: str
    steps: Mapping[State, Mapping[State, str]]

    def allows(self, before: State, after: State) -> bool:
        """Whether there is a step from one state to the other."""
        return after in self.steps[before]

    def step(self, before: State, after: State) -> State:
        """The state after a step; raises ValueError for one that the table does not have, which is a fault of ours."""
        if not self.allows(before, after):
            raise ValueError(f"{self.of}: there is no step from {before} to {after}")
        return after

    def into(self, after: State) -> tuple[State, ...]:
        """The states from which a step leads into this one."""
        return tuple(before for before in self.steps if self.allows(before, after))

    def final(self, state: State) -> bool:
        """Whether no step leads out of a state."""
        return not self.steps[state]
