"""Stages: named days relative to a due date, and the keys under which each is reminded at most once."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

_NAME = re.compile(r"T(?:([+-])([1-9]\d{0,2})|0)")


@dataclass(frozen=True, slots=True)
class Stage:
    """A named day relative to the due date, such as `T-3`; `channels` empty means any channel."""

    name: str
    offset: int
    channels: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: str, channels: tuple[str, ...] = ()) -> "Stage":
        """Read `T-7`, `T0`, `T+1`; raises ValueError for any other form."""
        return cls(name, _days_of(name), channels)

    def day(self, due_date: date) -> date:
        """The stage's local day for a due date."""
        return due_date + timedelta(days=self.offset)

    def takes(self, channel: str) -> bool:
        """Whether a reminder of this stage may go out on the channel."""
        return not self.channels or channel in self.channels


@lru_cache(maxsize=1024)
def _days_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"stage {name!r} is not of the form T-3, T0 or T+1")
    sign, days = match.groups()
    return 0 if days is None else int(f"{sign}{days}")


@lru_cache(maxsize=4096)
def _day(due_date: date, name: str) -> date:
    return due_date + timedelta(days=_days_of(name))


class StageKey(NamedTuple):
    """What is reminded at most once: one installment, at one due date, at one stage."""

    loan_id: str
    installment_no: int
    due_date: date
    stage: str

    def text(self) -> str:
        """The key as one word, the form that ledger and hashes use; ids hold no `#`."""
        return f"{self.loan_id}#{self.installment_no}#{self.due_date.isoformat()}#{self.stage}"

    @classmethod
    def read(cls, text: str) -> "StageKey":
        """The key that `text` wrote; raises ValueError for anything else."""
        loan_id, number, due_date, stage = text.split("#")
        return cls(loan_id, int(number), date.fromisoformat(due_date), stage)

    def offset(self) -> int:
        """Days from the due date to the stage's day."""
        return _days_of(self.stage)

    def day(self) -> date:
        """The local day of the stage."""
        return _day(self.due_date, self.stage)
