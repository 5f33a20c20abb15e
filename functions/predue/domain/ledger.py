"""The borrower's contact ledger: recent contacts, settled stages, opt-outs, holds, and the version that orders them
all.

A ledger is a value. Whoever changes it writes the changed one back on condition that the stored version is still the
one that was read; the write that loses reads again. So all that decides about a borrower happens in one order.

Ledgers and contacts are tuples: a delivery makes a dozen, and those are made fastest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from predue.domain.channel import ALL
from predue.domain.policy import Cap
from predue.domain.record import Attempt, Outcome
from predue.domain.stage import StageKey
from predue.errors import InvalidEvent
from predue.lifecycle import Lifecycle

ADDRESS_MARK = 8
"""How many characters of a contact point's keyed hash a claim keeps."""
MOST_HOLDS = 50
"""Reasons of one borrower's holds, ended ones among them: each stands in the ledger, which is written whole."""
_CLOCKS_APART = 5 * 60 * 1000
"""In ms: so much later than a stop an opt-in must be that another clock stamped."""
_NOTHING: Mapping[Any, Any] = {}
BySource = tuple[str, str]
"""A channel, or a hold's reason, and the source that spoke of it."""
_NEVER = datetime.max.replace(tzinfo=UTC)


ContactState = Literal["calling", "refused", "unknown"]
CONTACT: Lifecycle[ContactState] = Lifecycle(
    "contact",
    {
        "calling": {"refused": "the provider definitely refused", "unknown": "somebody else recorded it as unknown"},
        "refused": {},
        "unknown": {},
    },
)
"""A contact begins `calling`, by its claim. `refused` gives the slot of the caps back; `unknown` never does."""


class Mark(NamedTuple):
    """The last word of one source on a hold, a dispute or a cancellation: on or off, its sequence, and `at`, its first
    arrival in ms. `until` is the last local day of a hold that ends by itself.
    """

    sequence: int
    on: bool
    at: int = 0
    until: date | None = None

    def newer(self, other: "Mark | None") -> bool:
        """Whether this replaces `other`: of equal sequences the later arrival counts, and at one instant what
        protects.
        """
        return other is None or (self.sequence, self.at, self.on) > (other.sequence, other.at, other.on)


class Stated(NamedTuple):
    """The last stop, or the last opt-in, that one source told of one channel; both instants in ms.

    `at` is its first arrival, `occurred_at` when the borrower said so, if the source told.
    """

    sequence: int
    at: int = 0
    occurred_at: int | None = None

    @property
    def time(self) -> int:
        """When it was said, as far as anybody knows."""
        return self.at if self.occurred_at is None else self.occurred_at

    def newer(self, other: "Stated | None") -> bool:
        """Whether this replaces `other`: of equal sequences the first arrival stands, since a replay says nothing
        new.
        """
        return other is None or (self.sequence, -self.at) > (other.sequence, -other.at)

    def lifts(self, stop: "Stated", *, own: bool) -> bool:
        """Whether this opt-in lifts a stop: one of its `own` source, or one that another clock stamped.

        Of one source it must come later by sequence, and by time; but a stop without a time that came in after it was
        said before it.
        """
        if not own:
            # However far ahead its clock runs, it was said before it came.
            return min(self.time, self.at) >= stop.time + _CLOCKS_APART
        if (self.sequence, self.at) <= (stop.sequence, stop.at):
            return False
        return self.time > stop.time or (stop.occurred_at is None and self.at <= stop.at)


class Contact(NamedTuple):
    """One reserved right to contact.

    `text` names the very words that the call carries. `address` begins the keyed hash of the contact point that it goes
    to: enough to tell whether the profile still names the same. `calling` from the claim on; what came of it stands in
    the reminder record. `refused` once the provider definitely refused, which gives the cap slot back; `tries` lists
    the refusals. `unknown` once somebody else records it so: then no refusal gives it back.
    """

    at: datetime
    day: date
    channel: str
    keys: tuple[StageKey, ...]
    token: str
    reminder_id: str
    text: str = ""
    address: str = ""
    state: ContactState = "calling"
    tries: tuple[Attempt, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it takes a cap slot."""
        return self.state != "refused"


@dataclass(frozen=True, slots=True)
class Settled:
    """Planned stages that got their final outcome without a provider's acceptance."""

    at: datetime
    keys: tuple[StageKey, ...]
    outcome: Outcome
    reason: str
    tries: tuple[Attempt, ...] = ()


class Ledger(NamedTuple):
    """See the module; `version` 0 is a ledger that was never written.

    What protects is kept apart by source, so that none lifts what another said, and stays after it is lifted, so that
    a replay says nothing new. `opt_outs` and `opt_ins` are by channel (or `all`) and source, `holds` by reason and
    source; `holds_ended` is by source the word that ended all of its holds at once. `suppressed` lists, by channel, the
    keyed hashes of contact points that must not be used.
    """

    borrower_id: str
    version: int = 0
    contacts: tuple[Contact, ...] = ()
    settled: tuple[Settled, ...] = ()
    opt_outs: Mapping[BySource, Stated] = _NOTHING
    opt_ins: Mapping[BySource, Stated] = _NOTHING
    holds: Mapping[BySource, Mark] = _NOTHING
    holds_ended: Mapping[str, Mark] = _NOTHING
    suppressed: Mapping[str, tuple[str, ...]] = _NOTHING

    def opted_out(self, channel: str) -> bool:
        """Whether the borrower stopped this channel, or all of them."""
        return bool(self.stops(channel) or self.stops(ALL))

    def stopped_all(self) -> bool:
        """Whether the borrower stopped every channel at once."""
        return bool(self.stops(ALL))

    def stops(self, channel: str) -> list[str]:
        """The sources whose very stop of a channel, or of `all`, stands."""
        return sorted(
            source
            for (name, source), stop in self.opt_outs.items()
            if name == channel
            and not any(
                opt_in.lifts(stop, own=source == other) for (of, other), opt_in in self.opt_ins.items() if of == name
            )
        )

    def held_by(self, day: date) -> str | None:
        """The reason of a hold in force on a local day, or None."""
        standing = (reason for reason, source in sorted(self.holds) if self.hold(reason, source, day) is not None)
        return next(standing, None)

    def hold(self, reason: str, source: str, day: date | None = None) -> int | None:
        """The sequence of the event by which a source began a hold, or None while there is none in force; without a
        `day` one that ends by itself stands.
        """
        mark, ended = self.holds.get((reason, source)), self.holds_ended.get(source)
        if mark is None or not mark.on or (ended is not None and ended.newer(mark)):
            return None
        return None if day is not None and mark.until is not None and day > mark.until else mark.sequence

    def contact_for(self, key: StageKey) -> Contact | None:
        """The newest contact that covers a key, whatever its state."""
        return next((contact for contact in reversed(self.contacts) if key in contact.keys), None)

    def settled_for(self, key: StageKey) -> Settled | None:
        """What settled a key, or None."""
        return next((settled for settled in self.settled if key in settled.keys), None)

    def answered(self, key: StageKey) -> bool:
        """Whether a key needs no further decision: it is settled, or a contact holds it."""
        contact = self.contact_for(key)
        return self.settled_for(key) is not None or (contact is not None and contact.counts)

    def full_until(self, cap: Cap, now: datetime, day: date) -> datetime | None:
        """None while the cap has room; else the instant at which it frees by itself (`datetime.max` for not on this
        local day).

        Windows are half-open: a contact exactly as old as the window no longer counts.
        """
        channel = cap.channel
        counted = [one for one in self.contacts if one.counts and (channel is None or one.channel == channel)]
        if cap.rolling is None:
            used = sum(contact.day == day for contact in counted)
            return None if used < cap.count else _NEVER
        inside = sorted(contact.at for contact in counted if now - contact.at < cap.rolling)
        if len(inside) < cap.count:
            return None
        return inside[len(inside) - cap.count] + cap.rolling if cap.count else _NEVER

    def pruned(self, now: datetime, memory: timedelta) -> "Ledger":
        """Without what is older than `memory`: no cap looks back that far, and no stage that old is decided any
        more.
        """
        oldest = now - memory
        contacts = tuple(contact for contact in self.contacts if contact.at > oldest)
        settled = tuple(one for one in self.settled if one.at > oldest)
        if (len(contacts), len(settled)) == (len(self.contacts), len(self.settled)):
            return self
        return self._replace(contacts=contacts, settled=settled)

    def with_contact(self, contact: Contact) -> "Ledger":
        """With a new claim; earlier refusals of the same keys are taken up into it, so none stands twice."""
        kept = tuple(old for old in self.contacts if old.counts or not set(old.keys) & set(contact.keys))
        return self._replace(contacts=(*kept, contact))

    def with_settled(self, settled: Iterable[Settled]) -> "Ledger":
        """With more settled stages; refusals that they end are dropped from the contacts."""
        new = tuple(settled)
        if not new:
            return self
        ended = {key for one in new for key in one.keys}
        kept = tuple(old for old in self.contacts if old.counts or not set(old.keys) <= ended)
        return self._replace(contacts=kept, settled=(*self.settled, *new))

    def refused(self, token: str, attempt: Attempt) -> "Ledger | None":
        """With the claim of that token given back after a definite refusal; None if it is not calling any more."""
        for contact in self.contacts:
            if contact.token == token and CONTACT.allows(contact.state, "refused"):
                return self._with(contact, contact._replace(state="refused", tries=(*contact.tries, attempt)))
        return None

    def given_up(self, token: str) -> "Ledger | None":
        """With the claim of that token unknown, this very ledger if it is so already; None if it was given back."""
        for contact in self.contacts:
            if contact.token == token and contact.counts:
                if not CONTACT.allows(contact.state, "unknown"):
                    return self
                return self._with(contact, contact._replace(state="unknown"))
        return None

    def _with(self, old: Contact, new: Contact) -> "Ledger":
        return self._replace(contacts=tuple(new if contact is old else contact for contact in self.contacts))

    def with_opt_out(self, channel: str, source: str, said: Stated) -> "Ledger | None":
        """With a stop noted; None if its source said it, or a later one, before."""
        new = said.newer(self.opt_outs.get((channel, source)))
        return self._replace(opt_outs={**self.opt_outs, (channel, source): said}) if new else None

    def with_opt_in(self, channel: str, source: str, said: Stated) -> "Ledger | None":
        """With an opt-in noted, which lifts what it can; None if its source said it, or a later one, before."""
        new = said.newer(self.opt_ins.get((channel, source)))
        return self._replace(opt_ins={**self.opt_ins, (channel, source): said}) if new else None

    def with_hold(self, reason: str, source: str, mark: Mark) -> "Ledger | None":
        """With a hold started or ended by its source; None if it is nothing new. Raises InvalidEvent beyond MOST_HOLDS
        reasons.
        """
        if (reason, source) not in self.holds and len(self.holds) >= MOST_HOLDS:
            raise InvalidEvent(
                f"reason: the borrower has had holds of {MOST_HOLDS} other reasons already; use one of them"
            )
        new = mark.newer(self.holds.get((reason, source)))
        return self._replace(holds={**self.holds, (reason, source): mark}) if new else None

    def with_holds_ended(self, source: str, mark: Mark) -> "Ledger | None":
        """With every hold of a source ended that it began before; None if it is nothing new."""
        new = mark.newer(self.holds_ended.get(source))
        return self._replace(holds_ended={**self.holds_ended, source: mark}) if new else None

    def with_suppressed(self, channel: str, address_ref: str) -> "Ledger | None":
        """With a contact point that must not be used any more; None if it is known already."""
        known = self.suppressed.get(channel, ())
        return (
            None
            if address_ref in known
            else self._replace(suppressed={**self.suppressed, channel: (*known, address_ref)})
        )
