"""The one way to change a state that others change meanwhile: read, decide, write on condition; if it moved, again."""

from collections.abc import Callable
from typing import TypeVar

from predue.errors import LedgerMoved

_T = TypeVar("_T")

TRIES = 10


def until_it_stands(attempt: Callable[[], _T], what: str, tries: int = TRIES) -> _T:
    """What `attempt` returns, which reads anew each time; raises LedgerMoved, naming `what`, after too many tries."""
    for _ in range(tries):
        try:
            return attempt()
        except LedgerMoved:
            continue
    raise LedgerMoved(f"a borrower's state moved under {tries} tries to {what}")
