"""What each kind of events means for a borrower or an installment, for the auditor.

Written a second time from the meaning of the file forms; it shares no code with what applies events in the functions.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

from infrastructure.local.audit.days import Whereabouts
from infrastructure.local.audit.values import (
    CHANNELS,
    LARGEST_SEQUENCE,
    LONGEST_GRACE,
    channel_names,
    currencies,
    identifier,
    local_date,
    minor_amount,
    wall_time,
    whole_number,
)

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
NEVER = -1  # older than every sequence
IN_FILE = 0  # the sequence of what the CSV files say

State = TypeVar("State")
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Owed:
    """An installment at an instant; `outstanding` in minor units, negative when more was paid than owed."""

    due_date: date
    grace_days: int
    outstanding: int
    cancelled: bool
    disputed: bool

    @property
    def open(self) -> bool:
        """Whether money is owed; a dispute silences an installment and does not close it."""
        return self.outstanding > 0 and not self.cancelled


@dataclass(frozen=True, slots=True)
class Person:
    """A borrower at an instant; `opted_out` holds channels or `all`, `holds` the reasons in force."""

    place: Whereabouts
    channels: tuple[str, ...]
    consent: tuple[str, ...]
    opted_out: frozenset[str]
    holds: frozenset[str]


class Timeline(Generic[State]):
    """The states of one thing, each from its instant until the next one; several at one instant count as the last."""

    def __init__(self) -> None:
        self._instants: list[datetime] = []
        self._states: list[State] = []

    def note(self, at: datetime, state: State) -> None:
        """Add what is true from an instant on; instants never go back."""
        if self._instants and self._instants[-1] == at:
            self._states[-1] = state
        elif not self._states or self._states[-1] != state:
            self._instants.append(at)
            self._states.append(state)

    def at(self, moment: datetime) -> State | None:
        """Tell what was true, events of that very instant included; None before anything was known."""
        index = bisect_right(self._instants, moment)
        return self._states[index - 1] if index else None

    def __iter__(self) -> Iterator[tuple[datetime, datetime, State]]:
        ends = [*self._instants[1:], END_OF_TIME]
        return zip(self._instants, ends, self._states, strict=True)


@dataclass(slots=True)
class Newest(Generic[Fact]):
    """A fact that only newer events replaces."""

    value: Fact
    sequence: int

    def offer(self, value: Fact, sequence: int) -> None:
        """Take the value if its events are newer than what is known."""
        if sequence > self.sequence:
            self.value, self.sequence = value, sequence


@dataclass(slots=True)
class Installment:
    """One installment while its events are replayed; amounts in minor units of a currency that never changes."""

    owner: str
    currency: str
    due_date: Newest[date]
    amount: Newest[int]
    grace_days: Newest[int]
    cancelled: Newest[bool]
    disputed: Newest[bool]
    paid: int = 0
    timeline: Timeline[Owed] = field(default_factory=Timeline)

    def note(self, at: datetime) -> None:
        """Put the present state on the timeline."""
        outstanding = self.amount.value - self.paid
        flags = self.cancelled.value, self.disputed.value
        self.timeline.note(at, Owed(self.due_date.value, self.grace_days.value, outstanding, *flags))


@dataclass(slots=True)
class Borrower:
    """One borrower while the events are replayed; opt-outs and holds may be known before the profile is."""

    known: bool = False
    fields: dict[str, Newest[Any]] = field(default_factory=dict)
    opted_out: dict[str, Newest[bool]] = field(default_factory=dict)
    holds: dict[str, Newest[bool]] = field(default_factory=dict)
    all_ended: int = NEVER
    timeline: Timeline[Person] = field(default_factory=Timeline)

    def note(self, at: datetime) -> None:
        """Put the present state on the timeline, once there is a profile."""
        if not self.known:
            return

        def value(name: str, default: Any) -> Any:
            return self.fields[name].value if name in self.fields else default

        place = Whereabouts(value("time_zone", ""), value("jurisdiction", ""), value("preferred_time", None))
        opted_out = frozenset(name for name, fact in self.opted_out.items() if fact.value)
        holds = frozenset(name for name, fact in self.holds.items() if fact.value)
        self.timeline.note(at, Person(place, value("channels", ()), value("consent", ()), opted_out, holds))

    def opt(self, channel: str, sequence: int, *, out: bool) -> None:
        """Take an opt-out or an opt-in of a channel or of `all`; each lifts only its like."""
        self.opted_out.setdefault(channel, Newest(value=False, sequence=NEVER)).offer(out, sequence)

    def hold(self, reason: str, sequence: int, *, on: bool) -> None:
        """Begin or end a hold."""
        self.holds.setdefault(reason, Newest(value=False, sequence=self.all_ended)).offer(on, sequence)

    def end_all(self, sequence: int) -> None:
        """End the holds that are no newer, also those whose beginning arrives later."""
        self.all_ended = max(self.all_ended, sequence)
        for fact in self.holds.values():
            if fact.sequence <= sequence:
                fact.value, fact.sequence = False, sequence


def scheduled(body: Mapping[str, Any]) -> Installment:
    """Begin an installment with the events that announces it; raises ValueError."""
    sequence, currency = whole_number(body.get("sequence"), 0, LARGEST_SEQUENCE), _text_of(body.get("currency"))
    if currency not in currencies():
        raise ValueError("currency is no ISO 4217 code")
    grace_days = _grace(body)
    return Installment(
        identifier(body.get("borrower_id")),
        currency,
        Newest(_date(body), sequence),
        Newest(_minor(body, currency), sequence),
        Newest(0, NEVER) if grace_days is None else Newest(grace_days, sequence),
        Newest(value=False, sequence=sequence),
        Newest(value=False, sequence=NEVER),
    )


def _replay_schedule(due: Installment, body: Mapping[str, Any], sequence: int) -> None:
    if _text_of(body.get("currency")) != due.currency or body.get("amount") is None:
        raise ValueError("currency is not the installment's, or there is no amount")
    _reschedule(due, body, sequence)
    due.cancelled.offer(value=False, sequence=sequence)


def _reschedule(due: Installment, body: Mapping[str, Any], sequence: int) -> None:
    due_date, grace_days = _date(body), _grace(body)
    amount = None if body.get("amount") is None else _minor(body, due.currency)
    due.due_date.offer(due_date, sequence)
    if amount is not None:
        due.amount.offer(amount, sequence)
    if grace_days is not None:
        due.grace_days.offer(grace_days, sequence)


def _pay(due: Installment, body: Mapping[str, Any], _: int) -> None:
    due.paid += _minor(body, due.currency)


def _reverse(due: Installment, body: Mapping[str, Any], _: int) -> None:
    due.paid -= _minor(body, due.currency)


def _cancel(due: Installment, _: Mapping[str, Any], sequence: int) -> None:
    due.cancelled.offer(value=True, sequence=sequence)


def _dispute(due: Installment, _: Mapping[str, Any], sequence: int) -> None:
    due.disputed.offer(value=True, sequence=sequence)


def _end_dispute(due: Installment, _: Mapping[str, Any], sequence: int) -> None:
    due.disputed.offer(value=False, sequence=sequence)


INSTALLMENT_EVENTS: Mapping[str, Callable[[Installment, Mapping[str, Any], int], None]] = {
    "scheduled": _replay_schedule,
    "rescheduled": _reschedule,
    "paid": _pay,
    "payment_reversed": _reverse,
    "cancelled": _cancel,
    "disputed": _dispute,
    "dispute_ended": _end_dispute,
}


def _update(person: Borrower, body: Mapping[str, Any], sequence: int) -> None:
    given = {name: read(body[name]) for name, read in _PROFILE_FIELDS.items() if name in body}
    person.known = True
    for name, value in given.items():
        person.fields.setdefault(name, Newest(None, NEVER)).offer(value, sequence)


def _opt_out(person: Borrower, body: Mapping[str, Any], sequence: int) -> None:
    """An opt-out that names no channel stops all."""
    person.opt(_channel_or_all({"channel": "all", **body}), sequence, out=True)


def _opt_in(person: Borrower, body: Mapping[str, Any], sequence: int) -> None:
    person.opt(_channel_or_all(body), sequence, out=False)


def _start_hold(person: Borrower, body: Mapping[str, Any], sequence: int) -> None:
    person.hold(identifier(body.get("reason")), sequence, on=True)


def _end_hold(person: Borrower, body: Mapping[str, Any], sequence: int) -> None:
    if body.get("reason") is None:
        person.end_all(sequence)
    else:
        person.hold(identifier(body.get("reason")), sequence, on=False)


BORROWER_EVENTS: Mapping[str, Callable[[Borrower, Mapping[str, Any], int], None]] = {
    "updated": _update,
    "opted_out": _opt_out,
    "opted_in": _opt_in,
    "hold_started": _start_hold,
    "hold_ended": _end_hold,
}


def _date(body: Mapping[str, Any]) -> date:
    return local_date(_text_of(body.get("due_date")))


def _grace(body: Mapping[str, Any]) -> int | None:
    if body.get("grace_days") is None:
        return None
    return whole_number(body["grace_days"], 0, LONGEST_GRACE + 1)


def _minor(body: Mapping[str, Any], currency: str) -> int:
    if body.get("currency") not in (None, currency):
        raise ValueError("currency is not the installment's")
    return minor_amount(body.get("amount"), currency)


def _channel_or_all(body: Mapping[str, Any]) -> str:
    channel = _text_of(body.get("channel"))
    if channel not in (*CHANNELS, "all"):
        raise ValueError("channel is unknown")
    return channel


def _text_of(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - all malformed events are a ValueError
    return value


def _text_like(pattern: str) -> Callable[[object], str]:
    form = re.compile(pattern, re.DOTALL)

    def read(value: object) -> str:
        text = _text_of(value)
        if not form.fullmatch(text):
            raise ValueError("a text that is too long, or holds what it must not")
        return text

    return read


def _known_channels(value: object) -> tuple[str, ...]:
    return channel_names("|".join(map(_text_of, value)) if isinstance(value, list) else _text_of(value))


_PROFILE_FIELDS: Mapping[str, Callable[[object], Any]] = {
    "name": _text_like(".{0,200}"),
    "phone": _text_like(".{0,40}"),
    "email": _text_like(".{0,320}"),
    "wechat_openid": _text_like(".{0,128}"),
    "locale": _text_like(".{0,40}"),
    "time_zone": _text_like("[^#*]{0,64}"),
    "jurisdiction": _text_like("[A-Za-z0-9-]{0,10}"),
    "channels": _known_channels,
    "consent": _known_channels,
    "preferred_time": lambda value: wall_time(_text_of(value)),
}
