"""What each kind of events means for a borrower or an installment, for the auditor.

Written a second time from the meaning of the file forms; it shares no code with what applies events in the functions.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Generic, TypeVar

from infrastructure.local.audit.days import Whereabouts
from infrastructure.local.audit.values import (
    CHANNELS,
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
START_OF_TIME = datetime.min.replace(tzinfo=UTC)
NEVER = (-1, START_OF_TIME)  # older than every word
IN_FILE = (0, START_OF_TIME)  # older than every word that is told, newer than none
CLOCKS_APART = timedelta(minutes=5)

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
    """A borrower at an instant; `opted_out` holds channels or `all`, `holds` the reasons in force until somebody ends
    them; `held_until` is the last local day of those that end by themselves.
    """

    place: Whereabouts
    channels: tuple[str, ...]
    consent: tuple[str, ...]
    opted_out: frozenset[str]
    holds: frozenset[str]
    held_until: date | None = None


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


@dataclass(frozen=True, slots=True)
class Word:
    """Who spoke, with which sequence, when that came, and when it was said: `said` is None if nobody tells."""

    source: str
    sequence: int
    came: datetime = START_OF_TIME
    said: datetime | None = None

    @property
    def time(self) -> datetime:
        """When it was said, as far as it is known."""
        return self.said or self.came

    @property
    def rank(self) -> tuple[int, datetime]:
        """What orders the words of one source: of equal sequences the later counts."""
        return self.sequence, self.came


@dataclass(slots=True)
class Newest(Generic[Fact]):
    """A fact that only a newer word replaces."""

    value: Fact
    rank: tuple[int, datetime]

    def offer(self, value: Fact, word: Word) -> None:
        """Take the value if its word is newer than what is known; of a file's rows, the first stands."""
        if word.rank > self.rank and (word.sequence or self.rank == NEVER):
            self.value, self.rank = value, word.rank


@dataclass(slots=True)
class Installment:
    """One installment while its events are replayed; amounts in minor units of a currency that never changes.

    `source` is the one that created it. `cancels`, those of other sources, and `disputes` are by source, and a word of
    the owner that said something new at `renewed` lifts the cancellations before it.
    """

    owner: str
    currency: str
    due_date: Newest[date]
    amount: Newest[int]
    grace_days: Newest[int]
    cancelled: Newest[bool]
    source: str
    paid: int = 0
    cancels: dict[str, Newest[bool]] = field(default_factory=dict)
    disputes: dict[str, Newest[bool]] = field(default_factory=dict)
    renewed: datetime = START_OF_TIME
    timeline: Timeline[Owed] = field(default_factory=Timeline)

    def note(self, at: datetime) -> None:
        """Put the present state on the timeline."""
        outstanding = self.amount.value - self.paid
        others = any(fact.value and fact.rank[1] >= self.renewed for fact in self.cancels.values())
        flags = self.cancelled.value or others, any(fact.value for fact in self.disputes.values())
        self.timeline.note(at, Owed(self.due_date.value, self.grace_days.value, outstanding, *flags))


@dataclass(slots=True)
class Borrower:
    """One borrower while the events are replayed; opt-outs and holds may be known before the profile is."""

    known: bool = False
    source: str = ""
    fields: dict[str, Newest[Any]] = field(default_factory=dict)
    consented: datetime = START_OF_TIME
    refusals: dict[str, Newest[tuple[datetime, tuple[str, ...]]]] = field(default_factory=dict)
    stops: dict[tuple[str, str], Word] = field(default_factory=dict)
    opt_ins: dict[tuple[str, str], Word] = field(default_factory=dict)
    holds: dict[tuple[str, str], Newest[date | None]] = field(default_factory=dict)
    all_ended: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    timeline: Timeline[Person] = field(default_factory=Timeline)

    def note(self, at: datetime) -> None:
        """Put the present state on the timeline, once there is a profile."""
        if not self.known:
            return

        def value(name: str, default: Any) -> Any:
            return self.fields[name].value if name in self.fields else default

        place = Whereabouts(value("time_zone", ""), value("jurisdiction", ""), value("preferred_time", None))
        opted_out = frozenset(channel for channel, source in self.stops if self._stands(channel, source))
        ends = {
            reason: fact.value
            for (reason, source), fact in self.holds.items()
            if fact.value is not None and fact.rank > self.all_ended.get(source, NEVER)
        }
        endless = frozenset(reason for reason, end in ends.items() if end == date.max)
        until = max((end for end in ends.values() if end and end != date.max), default=None)
        refused = [
            allowed for since, allowed in (one.value for one in self.refusals.values()) if since >= self.consented
        ]
        consent = tuple(name for name in value("consent", ()) if all(name in allowed for allowed in refused))
        self.timeline.note(at, Person(place, value("channels", ()), consent, opted_out, endless, until))

    def _stands(self, channel: str, source: str) -> bool:
        """Whether no opt-in lifts the stop of a channel that a source told."""
        stop = self.stops[channel, source]
        return not any(_lifts(word, stop) for (about, _), word in self.opt_ins.items() if about == channel)

    def hold(self, reason: str, word: Word, end: date | None) -> None:
        """Begin a hold, `end` being its last day, or end it (None)."""
        self.holds.setdefault((reason, word.source), Newest(None, NEVER)).offer(end, word)

    def end_all(self, word: Word) -> None:
        """End the holds of one source that are no newer, also those whose beginning arrives later."""
        self.all_ended[word.source] = max(self.all_ended.get(word.source, NEVER), word.rank)


def _lifts(opt_in: Word, stop: Word) -> bool:
    """Whether an opt-in was said after a stop: by its source's own order and clock, or surely so by another's."""
    if opt_in.source != stop.source:
        return min(opt_in.time, opt_in.came) - stop.time >= CLOCKS_APART
    overtaken = stop.said is None and opt_in.came <= stop.came
    return opt_in.rank > stop.rank and (opt_in.time > stop.time or overtaken)


def scheduled(body: Mapping[str, Any], word: Word) -> Installment:
    """Begin an installment with the events that announces it; raises ValueError."""
    rank, currency = word.rank, _text_of(body.get("currency"))
    if currency not in currencies():
        raise ValueError("currency is no ISO 4217 code")
    grace_days = _grace(body)
    return Installment(
        identifier(body.get("borrower_id")),
        currency,
        Newest(_date(body), rank),
        Newest(_minor(body, currency), rank),
        Newest(0, NEVER) if grace_days is None else Newest(grace_days, rank),
        Newest(value=False, rank=rank),
        word.source,
    )


def _replay_schedule(due: Installment, body: Mapping[str, Any], word: Word) -> None:
    if _text_of(body.get("currency")) != due.currency or body.get("amount") is None:
        raise ValueError("currency is not the installment's, or there is no amount")
    if word.source != due.source:
        if word.source in due.cancels:
            due.cancels[word.source].offer(value=False, word=word)
        return
    _reschedule(due, body, word)
    due.cancelled.offer(value=False, word=word)


def _reschedule(due: Installment, body: Mapping[str, Any], word: Word) -> None:
    due_date, grace_days = _date(body), _grace(body)
    amount = None if body.get("amount") is None else _minor(body, due.currency)
    if word.source != due.source:
        return
    before = due.due_date.value, due.amount.value, due.grace_days.value
    due.due_date.offer(due_date, word)
    if amount is not None:
        due.amount.offer(amount, word)
    if grace_days is not None:
        due.grace_days.offer(grace_days, word)
    if before != (due.due_date.value, due.amount.value, due.grace_days.value):
        due.renewed = max(due.renewed, word.time)


def _pay(due: Installment, body: Mapping[str, Any], _: Word) -> None:
    """A payment counts whoever tells it."""
    due.paid += _minor(body, due.currency)


def _reverse(due: Installment, body: Mapping[str, Any], word: Word) -> None:
    amount = _minor(body, due.currency)
    due.paid -= amount if word.source == due.source else 0


def _cancel(due: Installment, _: Mapping[str, Any], word: Word) -> None:
    if word.source == due.source:
        due.cancelled.offer(value=True, word=word)
    else:
        due.cancels.setdefault(word.source, Newest(False, NEVER)).offer(value=True, word=word)


def _dispute(due: Installment, _: Mapping[str, Any], word: Word) -> None:
    due.disputes.setdefault(word.source, Newest(False, NEVER)).offer(value=True, word=word)


def _end_dispute(due: Installment, _: Mapping[str, Any], word: Word) -> None:
    due.disputes.setdefault(word.source, Newest(False, NEVER)).offer(value=False, word=word)


INSTALLMENT_EVENTS: Mapping[str, Callable[[Installment, Mapping[str, Any], Word], None]] = {
    "scheduled": _replay_schedule,
    "rescheduled": _reschedule,
    "paid": _pay,
    "payment_reversed": _reverse,
    "cancelled": _cancel,
    "disputed": _dispute,
    "dispute_ended": _end_dispute,
}


def _update(person: Borrower, body: Mapping[str, Any], word: Word) -> None:
    """A profile belongs to the source that made it; what another says of consent takes some away."""
    given = {name: read(body[name]) for name, read in _PROFILE_FIELDS.items() if name in body}
    person.known, person.source = True, person.source or (word.source if given else "")
    if word.source != person.source:
        if "consent" in given:
            _refuse(person, given["consent"], word)
        return
    before = person.fields["consent"].value if "consent" in person.fields else ()
    for name, value in given.items():
        person.fields.setdefault(name, Newest(None, NEVER)).offer(value, word)
    if "consent" in given and set(person.fields["consent"].value) != set(before):
        person.consented = max(person.consented, word.time)


def _refuse(person: Borrower, allowed: tuple[str, ...], word: Word) -> None:
    """Take another source's word that consent is for no channel but these; said again, it is as old as at first."""
    known = person.refusals.setdefault(word.source, Newest((word.came, allowed), NEVER))
    since = known.value[0] if set(known.value[1]) == set(allowed) else word.came
    known.offer((since, allowed), word)


def _opt_out(person: Borrower, body: Mapping[str, Any], word: Word) -> None:
    """An opt-out that names no channel stops all."""
    _opt(person.stops, _channel_or_all({"channel": "all", **body}), word)


def _opt_in(person: Borrower, body: Mapping[str, Any], word: Word) -> None:
    """An opt-in that does not say when the borrower said so is none."""
    if word.said is None:
        raise ValueError("no time")
    _opt(person.opt_ins, _channel_or_all(body), word)


def _opt(words: dict[tuple[str, str], Word], channel: str, word: Word) -> None:
    """Keep the newest word of a source; of equal sequences the first came in earnest, and the others repeat it."""
    known = words.get((channel, word.source))
    if known is None or word.sequence > known.sequence:
        words[channel, word.source] = word


def _start_hold(person: Borrower, body: Mapping[str, Any], word: Word) -> None:
    until = None if body.get("until") is None else local_date(_text_of(body["until"]))
    person.hold(identifier(body.get("reason")), word, until or date.max)


def _end_hold(person: Borrower, body: Mapping[str, Any], word: Word) -> None:
    if body.get("reason") is None:
        person.end_all(word)
    else:
        person.hold(identifier(body.get("reason")), word, None)


BORROWER_EVENTS: Mapping[str, Callable[[Borrower, Mapping[str, Any], Word], None]] = {
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
