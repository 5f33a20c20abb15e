"""Messages of loan systems taken in, whichever way they came: read, applied, and what became of each."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from predue.connectors import Installments
from predue.domain.due import Due
from predue.errors import EventConflict, InvalidEvent
from predue.events import applying, standing
from predue.events.event_services import EventServices
from predue.events.models import Event
from predue.inbound import answers
from predue.inbound.answers import EventOutcome, Unused, status_of
from predue.inbound.deliveries import LOOKS_AT_LOANS, Delivery, batches, events_of
from predue.inbound.sources import Source
from predue.runtime import clock
from predue.runtime.telemetry import count, failures, logger
from predue.runtime.workers import each_of

ENOUGH_MS = 5_000
"""What one event may need: some twenty calls, and one of them tried again."""
_LOCK_TIME = timedelta(seconds=60)
"""Longer than any function lives that takes messages: whoever holds a turn beyond it is dead."""


class LoanLocks(Protocol):
    """What is known of a loan, and who alone may allot payments on it for a while."""

    def lock_loan(self, loan_id: str, token: str, now: datetime, until: datetime) -> None:
        """Lock a loan under a token of one's own; raises LoanBusy."""

    def release_loan(self, loan_id: str, token: str) -> None:
        """Release the lock if it is one's own."""

    def installments(self, loan_id: str) -> Mapping[int, tuple[date, Due | None]]:
        """As in Dues."""


@dataclass(frozen=True)
class ProcessorAdapters:
    """What taking messages in works with: what applying events needs, and the locks of loans; made when first used."""

    events: Callable[[], EventServices]
    loans: Callable[[], LoanLocks]


def outcomes(received: Delivery, time_left_ms: Callable[[], int], adapters: ProcessorAdapters) -> list[EventOutcome]:
    """What became of each message; what need not wait for another is applied side by side."""
    if received.source.form in LOOKS_AT_LOANS:
        services, loans = adapters.events(), adapters.loans()
        return [_looking(message, received, services, loans, time_left_ms) for message in received.messages]
    read = [
        _events_of_message(message, received.source, received.headers, _nothing_known) for message in received.messages
    ]
    found: list[EventOutcome] = [one if isinstance(one, InvalidEvent) else "ignored" for one in read]
    good = {index: events for index, events in enumerate(read) if not isinstance(events, InvalidEvent) and events}
    if not good:
        return found
    services = adapters.events()

    def one_after_the_other(group: list[int]) -> list[EventOutcome]:
        return [_outcome_of_all(good[index], services, time_left_ms) for index in group]

    for apart in batches(good):
        for group, came in zip(apart, each_of(one_after_the_other, apart), strict=True):
            for index, outcome in zip(group, came, strict=True):
                found[index] = outcome
    return found


def _nothing_known(_loan_id: str) -> dict[int, tuple[date, Due | None]]:
    return {}


def _events_of_message(
    message: Any, source: Source, headers: Mapping[str, str], installments: Installments
) -> list[Event] | InvalidEvent:
    try:
        return events_of(message, source, headers, installments)
    except InvalidEvent as fault:
        return fault


def _outcome_of_all(events: Sequence[Event], services: EventServices, time_left_ms: Callable[[], int]) -> EventOutcome:
    """What became of a message, by what became of its events."""
    return answers.whole([_tried(event, services) if time_left_ms() >= ENOUGH_MS else None for event in events])


def _tried(event: Event, services: EventServices) -> EventOutcome:
    try:
        return _applied(event, services)
    except Exception:  # noqa: BLE001 - logged already; one event must not lose the others of its request
        return None


def _applied(event: Event, services: EventServices) -> EventOutcome:
    """Apply one event; a refusal is a value, anything else that goes wrong may pass by itself or be mended here."""
    with failures("an event failed"):
        try:
            effect = applying.apply(event, clock.now(), services)
        except InvalidEvent as fault:
            return fault
        return Unused(effect, standing.against(event, services)) if effect in ("no_change", "not_owner") else effect


# Messages that are understood by what is known of their loan


def _looking(
    message: Any, received: Delivery, services: EventServices, loans: LoanLocks, time_left_ms: Callable[[], int]
) -> EventOutcome:
    """What became of one such message; nobody else allots a payment on its loan meanwhile."""
    if time_left_ms() < ENOUGH_MS:
        return None
    try:
        with failures("a message failed"), _loans(received.source, loans) as installments:
            read = _events_of_message(message, received.source, received.headers, installments)
            return read if isinstance(read, InvalidEvent) else _outcome_of_all(read, services, time_left_ms)
    except Exception:  # noqa: BLE001 - logged already; one message must not lose the others of its request
        return None


@contextmanager
def _loans(source: Source, loans: LoanLocks) -> Iterator[Installments]:
    """What is known of a loan; where payments are allotted it is so for whoever asks alone, until the end of this.

    Two payments that were allotted side by side would both go to the oldest installment, and the next one would be
    reminded of though it is paid.
    """
    token, held = uuid.uuid4().hex, set[str]()

    def installments(loan_id: str) -> Mapping[int, tuple[date, Due | None]]:
        if source.settings.payments == "allotted" and loan_id not in held:
            now = clock.now()
            loans.lock_loan(loan_id, token, now, now + _LOCK_TIME)
            held.add(loan_id)
        return loans.installments(loan_id)

    try:
        yield installments
    finally:
        for loan_id in held:
            _release(loans, loan_id, token)


def _release(loans: LoanLocks, loan_id: str, token: str) -> None:
    """Let the next one have the turn; if that fails, it passes by itself, and what was done stands."""
    try:
        with failures("a turn was not given back"):
            loans.release_loan(loan_id, token)
    except Exception:  # noqa: BLE001 - logged already
        return


# What is told of it


def log_outcomes(what: str, received: Delivery, came: Sequence[EventOutcome]) -> None:
    """Count what became of messages; of what they said nothing is told here."""
    tally = Counter(
        "try_again" if one is None else "rejected" if isinstance(one, InvalidEvent) else status_of(one) for one in came
    )
    for outcome, number in tally.items():
        count(f"Events{outcome.title().replace('_', '')}", number)
    if conflicts := sum(isinstance(one, EventConflict) for one in came):
        count("EventConflict", conflicts)
    logger.info(what, source=received.source.name, done=dict(tally), conflicts=conflicts)
