"""Checking a file that has been read: whether what it would do is plausible.

A file that makes everybody due at once, or that holds a tenth of what it held yesterday, is a fault of an export far
more often than the truth. Both stop here, before anything is applied, until somebody says that it is right.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import partial

from predue.imports.file_reading import falls_due_soon
from predue.imports.import_state import CLOSES_NOTHING, SIDE_BY_SIDE, Import, ImportServices
from predue.imports.name_index import NameIndex, named
from predue.imports.statement_sweep import sweeping


def checking(state: Import, services: ImportServices) -> Iterator[Import]:
    """What is known after each step of checking; the last is the verdict."""
    for part in (sweeping, _counting):
        for known in part(state, services):
            yield known
            state = known
    yield _judged(state, services)


def _judged(state: Import, services: ImportServices) -> Import:
    reasons = tuple(filter(None, (_too_many_due(state, services), _too_small(state, services))))
    if state.unfit and state.complete:
        state = replace(state, reasons=(CLOSES_NOTHING,))
    if reasons and not state.confirmed:
        return state.to("held", reasons=(*state.reasons, *reasons))
    return state.to("applying")


# The volume breaker


def _too_many_due(state: Import, services: ImportServices) -> str:
    """Why a file must be held that makes implausibly many installments due soon, or ""."""
    most = services.limits.most_due_soon
    if state.due_soon <= most or state.newly_due <= most:
        return ""
    return f"due_soon: more than {most} installments would fall due within {services.limits.due_soon_days} days"


def _counting(state: Import, services: ImportServices) -> Iterator[Import]:
    """Count what a file makes due soon that was not, up to what is more than the limit."""
    most = services.limits.most_due_soon
    while state.due_soon > most >= state.newly_due and state.counted < state.leaves:
        numbers = range(state.counted, min(state.counted + SIDE_BY_SIDE, state.leaves))
        found = services.each(partial(_newly_due, state, services), numbers)
        state = replace(state, counted=numbers.stop, newly_due=state.newly_due + sum(found))
        yield state


def _newly_due(state: Import, services: ImportServices, number: int) -> int:
    """How many installments of a leaf become due soon that were not."""
    soon = [named(name) for name in NameIndex.get(state, services, number).soon]
    known = services.open_dues.due_dates_of(soon)
    return sum(not _already(known.get(name), state, services) for name in soon)


def _already(due_date: date | None, state: Import, services: ImportServices) -> bool:
    return due_date is not None and falls_due_soon(due_date, state, services)


def _too_small(state: Import, services: ImportServices) -> str:
    """Why a complete statement must be held that lacks implausibly much of what is open, or ""."""
    share = services.limits.most_closed_percent
    if not state.complete or state.unfit or 100 * state.closable <= share * (state.open_held + state.closable):
        return ""
    return (
        f"too_small: it would close {state.closable} of {state.open_held + state.closable} open installments, more "
        f"than {share} percent"
    )
