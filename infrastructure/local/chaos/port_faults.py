"""Faults on purpose at the ports, for rules over memory: the faults of `faults.py` as far as they have a meaning there.

Functions are killed between any two calls of a port, run out of time, and wait while the world goes on. Calls fail
before or after they took effect; reads that may be stale miss writes of the last minute, and long ones are torn: page
by page, with others in between. Providers are busy, fail, and are not heard.
"""

from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from infrastructure.local.memory.index import DueKey
from infrastructure.local.memory.store import MemoryStore
from infrastructure.local.virtual.chances import LONGEST_STALE, Chances, Killed, Rates
from predue.borrowers.ports import IndexEntry, NoAnswer, Refused
from predue.errors import Unreachable

_CHANNELS = frozenset({"sms", "email"})
_DECISIVE = frozenset({"dynamodb.write_ledger", "dynamodb.write_record", *(f"{one}.send" for one in _CHANNELS)})
_WALKS = frozenset({"entries", "overdue"})
_EVENTUAL = frozenset({*_WALKS, "profiles_of", "ledgers_of", "recorded"})
_LOST = "the answer was lost on purpose"
Act = Callable[[], Any]


class _Written(NamedTuple):
    """One value that was written, and what stood there before: None if nothing did."""

    at: datetime
    where: MutableMapping[Any, Any]
    key: Any
    before: Any


class _Faulty:
    """A port whose calls go through chaos."""

    def __init__(self, port: Any, service: str, chaos: "PortChaos") -> None:
        self._port, self._service, self._chaos = port, service, chaos

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def called(*given: Any, **named: Any) -> Any:
            act = partial(call, *given, **named)
            if name in _WALKS:
                return self._chaos.walk(self._service, name, act)
            return self._chaos.call(self._service, name, act, given)

        setattr(self, name, called)
        return called


class PortChaos(Chances):
    """The faults of one simulation."""

    services = ("dynamodb", "sqs", "scheduler", "events")
    providers = frozenset(f"{one}.send" for one in _CHANNELS)

    def __init__(self, seed: int, rates: Rates | None = None, *, moving_events: bool = False, deepest: int = 3) -> None:
        super().__init__(seed, rates, moving_events=moving_events, deepest=deepest)
        self.claims: list[dict[str, Any]] = []
        """Each new claim in a ledger, and the instant of its write."""
        self._store = MemoryStore()
        self._tokens: set[str] = set()
        self._writes: deque[_Written] = deque()

    def over(self, port: Any, service: str) -> Any:
        """The port as functions see it."""
        if isinstance(port, MemoryStore):
            self._store = port
        return _Faulty(port, service, self)

    def call(self, service: str, name: str, act: Act, given: tuple[Any, ...] = ()) -> Any:
        """One call of a port: killed, failed, stale, or as it should be; raises Killed and Unreachable."""
        running = self.running
        if running is None:
            return self._noting(name, act, given)
        full = f"{service}.{name}"
        decisive = running.about and full in _DECISIVE
        self.between(running, full, _names_called(running.about, given) if decisive else frozenset())
        self.in_time(running)
        if self.strikes("killed"):
            raise Killed
        if service in _CHANNELS:
            return self._provider(act)
        if not running.happenings and self.away(service):
            raise Unreachable(f"{service}: away on purpose")
        if self.strikes("throttled") or self.strikes("failed"):
            raise Unreachable(f"{service}: failed on purpose")
        if self.strikes("failed_after") or self.strikes("lost_answer"):
            self._noting(name, act, given)
            raise Unreachable(_LOST)
        if name in _EVENTUAL and self.strikes("stale_read"):
            return self._stale(act)
        return self._noting(name, act, given)

    def walk(self, service: str, name: str, read: Act) -> Iterator[IndexEntry]:
        """What a long read of the index finds, a page at a time; between two pages others go on."""
        last = ""
        while True:
            found = [one for one in self.call(service, name, lambda: list(read())) if _order(one) > last]
            short = self.running is not None and self.strikes("short_page")
            size = 1 + self.pick(3) if short else len(found)
            yield from found[:size]
            if len(found) <= size:
                return
            last = _order(found[size - 1])

    def _provider(self, act: Act) -> Any:
        """A provider that is busy or broken, that never hears of the call, or that acts and is not heard."""
        if self.strikes("provider_busy"):
            return Refused("refused_busy", "ThrottlingException")
        if self.strikes("provider_failed") or self.strikes("provider_timeout"):
            return NoAnswer("ReadTimeoutError")
        if self.strikes("provider_failed_after") or self.strikes("provider_unheard"):
            act()
            return NoAnswer("ReadTimeoutError")
        return act()

    # What was written within the last minute

    def _noting(self, name: str, act: Act, given: tuple[Any, ...]) -> Any:
        """Do what is asked for; a write is noted with what stood there, and a new claim with its instant."""
        place = self._place(name, given)
        before = place and place[0].get(place[1])
        done = act()
        if place:
            self._writes.append(_Written(self.clock(), *place, before))
        if name == "write_ledger":
            for contact in given[0].contacts:
                if contact.token not in self._tokens:
                    self._tokens.add(contact.token)
                    self.claims.append({"at": self.clock(), "reminder_id": contact.reminder_id})
        return done

    def _place(self, name: str, given: tuple[Any, ...]) -> tuple[MutableMapping[Any, Any], Any] | None:
        """Where a call writes what eventually consistent reads see."""
        store = self._store
        match name:
            case "write_ledger":
                return store.ledgers, given[0].borrower_id
            case "bump":
                return store.ledgers, given[0]
            case "write_profile":
                return store.profiles, given[0].borrower_id
            case "write_due":
                due = given[0]
                return store.index, (due.borrower_id, DueKey(due.due_date, due.loan_id, due.installment_no))
            case "write_record" | "settle_record":
                return store.records, given[0].reminder_id
            case "raise_receipt":
                return store.records, given[0]
        return None

    def _stale(self, act: Act) -> Any:
        """What a read finds while some of the last minute's writes are not to be seen."""
        while self._writes and self.clock() - self._writes[0].at > LONGEST_STALE:
            self._writes.popleft()
        hidden: dict[tuple[int, Any], _Written] = {}
        for write in self._writes:
            if self.rng.random() < 0.5:  # noqa: PLR2004 - one of two
                hidden.setdefault((id(write.where), write.key), write)
        present = [(one.where, one.key, one.where.get(one.key)) for one in hidden.values()]
        for one in hidden.values():
            _put_value(one.where, one.key, one.before)
        try:
            return act()
        finally:
            for place in present:
                _put_value(*place)


def _put_value(where: MutableMapping[Any, Any], key: Any, value: Any) -> None:
    """Put a value, or none, into its place, past all conditions."""
    if value is None:
        where.pop(key, None)
    else:
        where[key] = value


def _order(entry: IndexEntry) -> str:
    """Where an entry stands among those of one read."""
    return f"{entry.send_time}#{entry.borrower_id}#{entry.loan_id}#{entry.installment_no}#{entry.due_date}"


def _names_called(about: frozenset[str], given: tuple[Any, ...]) -> frozenset[str]:
    """Those of the borrowers and loans at hand that a call names; all, if it names none."""
    text = repr(given[:1])
    return frozenset(name for name in about if name in text) or about
