"""Messages of loan systems and the events that they become, whichever way they came. Nothing of AWS is here.

A message is what a source sends as one piece: in predue's own form an event, in another form what its connector turns
into events. Each is read for itself, so that a bad one loses none of those beside it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, islice
from typing import Any

from predue import connectors
from predue.domain.due import Due
from predue.errors import InvalidEvent
from predue.events.models import BorrowerEvent, Event, InstallmentEvent, read_event
from predue.events.tenant import TENANT_MARK
from predue.inbound.sources import Source

LOOKS_AT_LOANS = frozenset({"fineract", "mambu"})
"""The forms whose messages are understood by what is known of their loan: each is read once those before it are
applied."""
_OWN = "predue"
_NAMED_BY = {_OWN: "event_id", "cloudevents": "id", "fineract": "idempotencyKey", "mambu": "event_id"}
"""The field by which a form's message is told apart from others, as its sender knows it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source has sent: one message, or an array of them; `headers` are those of the request that count."""

    source: Source
    single: bool
    messages: tuple[Any, ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Under which id the result of each message is told, where it has one that may be told."""
        name = _NAMED_BY.get(self.source.form, "")
        return tuple(_usable(one.get(name)) if isinstance(one, dict) else None for one in self.messages)


def _usable(given: object) -> str | None:
    usable = isinstance(given, str) and 0 < len(given) <= 128 and given.isprintable()  # noqa: PLR2004 - as event.Id
    return str(given) if usable else None


def events_of(
    message: Any, source: Source, headers: Mapping[str, str], installments: connectors.Installments
) -> list[Event]:
    """The events that a message becomes, each as it is to be applied; raises InvalidEvent, and then none of them
    counts.

    `installments` tells what is known of a loan by its stored id.
    """
    if source.form == _OWN:
        return [event_of(message, source)]

    def known(loan_id: str) -> Mapping[int, tuple[date, Due | None]]:
        if TENANT_MARK in loan_id:
            raise InvalidEvent(f"loan_id: an id holds no '{TENANT_MARK}'")
        return installments(_stored(loan_id, source))

    if not isinstance(message, dict | bytes):
        raise InvalidEvent("message: a message is an object")
    given = connectors.MessageSource(source.name, known, source.settings)
    return [of_tenant(event, source) for event in connectors.read(source.form, message, given, headers).events]


def _stored(one: str, source: Source) -> str:
    """An id as it is stored: another tenant's loan is an unknown loan of one's own, and nobody learns whether there is
    one.
    """
    return f"{source.tenant}{TENANT_MARK}{one}" if source.tenant else one


def event_of(body: Any, source: Source) -> Event:
    """The event of a body in predue's own form, as it is to be applied; raises InvalidEvent."""
    return of_tenant(read_event({"source": source.name, **body} if isinstance(body, dict) else body), source)


def of_tenant(event: Event, source: Source) -> Event:
    """An event of this source, with the ids of this source's tenant; raises InvalidEvent."""
    if event.source != source.name:
        raise InvalidEvent("source: not the source that this address and its keys are for")
    if source.may is not None and event.type not in source.may:
        raise InvalidEvent("type: this source may not send events of this type")
    named = ("borrower_id", "loan_id") if isinstance(event, InstallmentEvent) else ("borrower_id",)
    ids = {name: value for name in named if (value := getattr(event, name)) is not None}
    if split_tenant := [name for name, value in ids.items() if TENANT_MARK in value]:
        raise InvalidEvent(*(f"{name}: an id holds no '{TENANT_MARK}'" for name in split_tenant))
    return event.named(**{name: _stored(value, source) for name, value in ids.items()}) if source.tenant else event


def batches(messages: Mapping[int, Sequence[Event]]) -> list[list[list[int]]]:
    """The order in which messages are applied: round after round, in each the groups side by side, in a group one
    message after the other.

    Messages that touch a common borrower or loan keep their order, but for a stretch of events about installments only:
    there each installment is a group of its own. A borrower with a loan's whole schedule, told in one request, would
    else not be through in the time of one call.
    """
    found: list[list[list[int]]] = []
    for related in _related(messages):
        for number, groups in enumerate(_runs_of_work(related, messages)):
            if number == len(found):
                found.append([])
            found[number] += groups
    return found


def _related(messages: Mapping[int, Sequence[Event]]) -> list[list[int]]:
    """The messages that touch a common borrower or loan, each group in its order."""
    home: dict[tuple[str, str], list[int]] = {}
    for index, events in messages.items():
        about = [one for event in events for one in _subjects(event)]
        joined = sorted({id(home[one]): home[one] for one in about if one in home}.values(), key=len, reverse=True)
        group = joined[0] if joined else []
        for other in islice(joined, 1, None):
            group += other
            home |= {one: group for one, known in home.items() if known is other}
        group.append(index)
        home |= dict.fromkeys(about, group)
    return [sorted(group) for group in {id(group): group for group in home.values()}.values()]


def _subjects(event: Event) -> Iterator[tuple[str, str]]:
    if isinstance(event, InstallmentEvent):
        yield "loan_id", event.loan_id
    if event.borrower_id is not None:
        yield "borrower_id", event.borrower_id


def _runs_of_work(related: Sequence[int], messages: Mapping[int, Sequence[Event]]) -> Iterator[list[list[int]]]:
    """Related messages, parted where events of a single installment and other events meet."""
    for single, run in groupby(related, key=lambda index: _one_installment(messages[index]) is not None):
        parts: dict[tuple[str, int] | None, list[int]] = {}
        for index in run:
            parts.setdefault(_one_installment(messages[index]) if single else None, []).append(index)
        yield list(parts.values())


def _one_installment(events: Sequence[Event]) -> tuple[str, int] | None:
    """The one installment that all these are events of, or None."""
    about = {(event.loan_id, event.installment_no) for event in events if isinstance(event, InstallmentEvent)}
    alike = len(about) == 1 and not any(isinstance(event, BorrowerEvent) for event in events)
    return about.pop() if alike else None
