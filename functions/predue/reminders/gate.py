"""The gate: decides for one job what to send, what to defer, and what to settle without sending.

Pure: it takes the borrower's state, the job, the rules and `now`, and returns a value. A refusal is no exception.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from predue.borrowers.settle import settled_as
from predue.borrowers.view import OLDEST_STAGE, View
from predue.domain.channel import DELIVERED, Switches
from predue.domain.due import Due
from predue.domain.job import Job
from predue.domain.ledger import Contact, Settled
from predue.domain.policy import Cap
from predue.domain.record import Attempt, Outcome, most_urgent
from predue.domain.slot import QUARTER
from predue.domain.stage import Stage, StageKey
from predue.reminders.room import kept_for

_T = TypeVar("_T")
_NEVER = datetime.max.replace(tzinfo=UTC)

BUSY = "refused_busy"
"""The answer of a provider that may take the same call in a while."""

PAUSED_WAIT = timedelta(minutes=15)
"""How long a job waits while the kill switch holds it, before the gate looks again."""

GAVE_WAY = "gave_way"
"""The reason of a stage that left the room under the caps to more urgent ones."""

LAST_CALL = timedelta(seconds=10)
"""So long before the hours end nothing is started any more: a call begun then could reach the borrower after them."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send one reminder on `channel` that covers `keys`, before `until`; `shadow` does all of it but the call."""

    channel: str
    keys: tuple[StageKey, ...]
    until: datetime
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Defer:
    """Look again at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What to settle at once, what to do then, and the claims of earlier deliveries whose outcome must be looked up.

    `settled` are outcomes to record, `action` is at most one of Send and Defer, `calling` the contacts that hold keys
    of the job, `known` the settled stages that a repeat finds (their records are made sure of). `inputs` is what the
    gate saw.
    """

    settled: tuple[Settled, ...] = ()
    action: Send | Defer | None = None
    calling: tuple[Contact, ...] = ()
    known: tuple[Settled, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)


def decide(view: View, job: Job, now: datetime, switches: Switches) -> Decision:
    """The decision on a job; see Decision."""
    calling = _distinct(contact for key in job.keys if (contact := view.ledger.contact_for(key)) and contact.counts)
    known = _distinct(found for key in job.keys if (found := view.ledger.settled_for(key)))
    candidates = [
        key for key in job.keys if not view.ledger.answered(key) and _in_memory(key, now) and view.planned(key)
    ]
    removed = [key for key in job.keys if _removed(view, key, job.slot, now)]
    settled = [settled_as(view, (key,), now, "suppressed", "stage_removed") for key in removed]
    early: list[datetime] = []
    ready: list[StageKey] = []
    for key in candidates:
        slot = view.slot(key.day())
        if now < slot:
            early.append(slot)
        elif outcome := _without_channel(view, key, now):
            settled.append(settled_as(view, (key,), now, *outcome))
        else:
            ready.append(key)
    barred = {channel: unreachable_by(view, channel) for channel in view.profile.channels}
    action, more = _choose(view, tuple(ready), now, switches, barred) if ready else (None, ())
    if action is None and early and min(early) - now < timedelta(days=1):
        # The planner's clock may run a little before ours, or the borrower's wishes moved the slot: look again then.
        action = Defer(min(early))
    inputs = _inputs(view, now, barred)
    if kept := {key.text() for one in more if one.reason == GAVE_WAY for key in _kept(view, now, one.keys, barred)}:
        inputs[GAVE_WAY] = sorted(kept)
    return Decision((*_merged(settled), *more), action, calling, known, inputs)


def _distinct(found: Iterable[_T]) -> tuple[_T, ...]:
    """Each once, in order; the values hold mappings or lists nowhere, so equality is cheap."""
    seen: list[_T] = []
    for one in found:
        if one not in seen:
            seen.append(one)
    return tuple(seen)


def _in_memory(key: StageKey, now: datetime) -> bool:
    return key.day() > (now - OLDEST_STAGE).date()


def _removed(view: View, key: StageKey, slot: datetime, now: datetime) -> bool:
    """Whether a change of the policy took out a stage that was planned, after its job was queued."""
    due = view.due(key)
    if due is None or key.stage in view.rules.stages or view.ledger.answered(key) or not _in_memory(key, now):
        return False
    return slot <= now and due.has_stage(Stage.named(key.stage)) and due.open_at(slot)


def _without_channel(view: View, key: StageKey, now: datetime) -> tuple[Outcome, str] | None:
    """The outcome of a stage that no channel can change: closed, over, disputed, held, stopped, or nowhere to be
    reached.
    """
    due = view.due(key)
    assert due is not None, "a planned key has its due"
    if reason := due.closed_by:
        return "suppressed", reason
    window = view.window(key.day())
    if window is None:
        return "suppressed", "zone_unknown"
    if now >= window.end - LAST_CALL:
        return "expired", "hours_over"
    return _barred(view, due)


def _barred(view: View, due: Due) -> tuple[Outcome, str] | None:
    """Why the borrower must not be contacted about a due at all, whatever the channel."""
    if due.disputed:
        return "suppressed", "disputed"
    if view.ledger.held_by():
        return "suppressed", "hold"
    if view.ledger.stopped_all():
        return "suppressed", "opted_out"
    return None


def _merged(settled: Sequence[Settled]) -> tuple[Settled, ...]:
    """Stages that share outcome, reason and tries share one record."""
    merged: dict[tuple[Outcome, str, tuple[Attempt, ...]], list[StageKey]] = {}
    for one in settled:
        merged.setdefault((one.outcome, one.reason, one.tries), []).extend(one.keys)
    first = {(one.outcome, one.reason, one.tries): one for one in reversed(settled)}
    return tuple(replace(first[group], keys=tuple(keys)) for group, keys in merged.items())


# Channels


def unreachable_by(view: View, channel: str) -> str | None:
    """Why a channel cannot reach the borrower, caps and stages apart; None if it can."""
    profile = view.profile
    if channel not in profile.consent:
        return "no_consent"
    if view.ledger.opted_out(channel):
        return "opted_out"
    if channel not in DELIVERED:
        return "channel_unavailable"
    if channel not in profile.addresses:
        return "no_address"
    if profile.address_refs.get(channel) in view.ledger.suppressed.get(channel, ()):
        return "address_suppressed"
    return None


def _refused_before(view: View, keys: Sequence[StageKey]) -> set[str]:
    """The channels on which a provider refused these keys for good; one that was only busy may be asked again."""
    tries = (
        attempt
        for contact in view.ledger.contacts
        if not contact.counts and set(contact.keys) & set(keys)
        for attempt in contact.tries
    )
    return {attempt.channel for attempt in tries if attempt.answer.kind != BUSY}


def _choose(
    view: View, keys: tuple[StageKey, ...], now: datetime, switches: Switches, barred: Mapping[str, str | None]
) -> tuple[Send | Defer | None, tuple[Settled, ...]]:
    """The first channel of the borrower's order that may carry the most urgent key, and what cannot go along with
    it; `barred` says why a channel cannot reach the borrower.
    """
    urgent = view.rules.stages[most_urgent(keys).stage]
    refused = _refused_before(view, keys)
    reasons = {
        channel: bar or ("stage_channel" if not urgent.takes(channel) else "refused" if channel in refused else "")
        for channel, bar in barred.items()
    }
    able = [channel for channel, reason in reasons.items() if not reason]
    if not able:
        return None, (settled_as(view, keys, now, "suppressed", _foremost(view, reasons, urgent)),)
    window = view.window(keys[0].day())
    assert window is not None, "keys without a window are settled before"
    return _with_room(view, keys, barred, able, now, window.end, switches)


def _foremost(view: View, reasons: Mapping[str, str], urgent: Stage) -> str:
    """The reason to give when no channel is left: that of the first channel which the stage could have taken."""
    if not view.profile.channels:
        return "no_channel"
    if not view.profile.consent:
        return "no_consent"
    taken = [reason for channel, reason in reasons.items() if urgent.takes(channel)]
    return taken[0] if taken else "stage_channel"


def _with_room(
    view: View,
    keys: tuple[StageKey, ...],
    barred: Mapping[str, str | None],
    able: Sequence[str],
    now: datetime,
    end: datetime,
    switches: Switches,
) -> tuple[Send | Defer | None, tuple[Settled, ...]]:
    """Of the able channels the first with room under its caps; else the instant at which one frees today; else
    settled. What gives way is looked at once more in the day's last quarter hour: what it gave way to may be paid.
    """
    frees: list[tuple[datetime, str]] = []
    for channel in able:
        blocks = _full(view, channel, now, keys)
        if not blocks and kept_for(view, channel, now, keys, barred):
            blocks = [(end - QUARTER if now < end - QUARTER else _NEVER, GAVE_WAY)]
        if not blocks and switches.pauses(channel):
            blocks = [(now + PAUSED_WAIT, "paused")]
        if not blocks:
            return _send(view, channel, keys, now, end, switches)
        frees.append(max(blocks))
    until, reason = min(frees)
    if until < end - LAST_CALL:
        return Defer(until), ()
    outcome: Outcome = "expired" if reason == "paused" else "suppressed"
    return None, (settled_as(view, keys, now, outcome, reason),)


def _kept(view: View, now: datetime, keys: Sequence[StageKey], barred: Mapping[str, str | None]) -> Iterable[StageKey]:
    """The stages ahead to which `keys` gave way on any channel."""
    return (key for channel, bar in barred.items() if not bar for key in kept_for(view, channel, now, keys, barred))


def _full(view: View, channel: str, now: datetime, keys: Sequence[StageKey]) -> list[tuple[datetime, str]]:
    """The caps without room for a contact on a channel: when each frees, and its name."""
    day = keys[0].day()
    caps: Iterable[Cap] = (cap for cap in view.rules.caps if cap.channel in (None, channel))
    return [(until, cap.name) for cap in caps if (until := view.ledger.full_until(cap, now, day))]


def _send(
    view: View, channel: str, keys: tuple[StageKey, ...], now: datetime, end: datetime, switches: Switches
) -> tuple[Send | None, tuple[Settled, ...]]:
    """The reminder on its channel; stages that may not use the channel stay behind, and so does all outside the allow-
    list.
    """
    if not _listed(view, channel, switches):
        return None, (settled_as(view, keys, now, "suppressed", "allow_list"),)
    along = tuple(key for key in keys if view.rules.stages[key.stage].takes(channel))
    behind = tuple(key for key in keys if key not in along)
    left = (settled_as(view, behind, now, "suppressed", "stage_channel"),) if behind else ()
    return Send(channel, along, end, view.rules.policy.shadow), left


def _listed(view: View, channel: str, switches: Switches) -> bool:
    """Whether the allow-list lets the contact point through; no list lets all through, but in production only."""
    allowed = view.rules.policy.allow_list
    if allowed is None:
        return switches.production
    address = view.profile.addresses[channel]
    return address in allowed or f"*@{address.rpartition('@')[2]}" in allowed


def _inputs(view: View, now: datetime, barred: Mapping[str, str | None]) -> dict[str, Any]:
    """What the gate saw, for the record."""
    window = timedelta(days=7), timedelta(days=30)
    counted = [contact for contact in view.ledger.contacts if contact.counts]
    return {
        "consent": list(view.profile.consent),
        "basis": view.rules.policy.legal_basis,
        "zones": [str(zone) for zone in view.zones[:4]] + (["..."] if len(view.zones) > 4 else []),  # noqa: PLR2004 - enough to tell
        "hours": str(view.rules.hours),
        "channels": {channel: bar or "able" for channel, bar in barred.items()},
        "ledger_version": view.ledger.version,
        "contacts_7_days": sum(now - contact.at < window[0] for contact in counted),
        "contacts_30_days": sum(now - contact.at < window[1] for contact in counted),
    }
