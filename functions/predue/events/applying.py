"""Events from loan systems and borrowers, applied once each, in any order, any number of times.

Every event is applied in the same order: its id is taken, then the change itself, then the ledger's version (so that
every claim which read before it is lost), then the mark that it is applied, then the acknowledgement, which is the
return. Each step repeats harmlessly, so a sender who repeats an event after a crash completes it; only the mark cuts a
repeat short.
"""

from datetime import datetime

from predue.borrowers.retrying import until_it_stands
from predue.errors import InvalidEvent
from predue.events import borrower_events, installment_events
from predue.events import models as ev
from predue.events.event_services import Effect, EventServices
from predue.events.installment_events import Arrived, awaits
from predue.events.models import Event, InstallmentEvent, read_event


def apply(event: Event, at: datetime, services: EventServices, came: datetime | None = None) -> Effect:
    """Apply one event that arrived at `at`, or at `came` if that was before, and return once it is safe to acknowledge.

    Raises InvalidEvent for one that cannot be applied as it stands, and EventConflict for one that uses the id of
    another. The id is taken before anything is applied: of two events under one id that come side by side, just one
    counts.
    """
    digest = event.digest
    progress = services.dues.begin(event.identity, digest, at)
    if progress == "applied":
        return "duplicate"
    try:
        first = services.dues.first_came(event.identity) if progress == "begun" else at
        effect = _apply(event.came(came or first), at, services, kept=progress == "begun")
    except InvalidEvent:
        services.dues.release(event.identity, digest, at)
        raise
    services.dues.mark_applied(event.identity, digest, at)
    return effect


def _apply(event: Event, at: datetime, services: EventServices, *, kept: bool = False) -> Effect:
    """Apply an event whether or not it was applied before; `kept` if an earlier try may have parked it."""
    arrived = False

    def apply_once() -> Effect:
        nonlocal arrived
        try:
            return _apply_once(event, at, services)
        except Arrived:
            arrived = True
            raise

    effect = until_it_stands(apply_once, "apply an event", tries=20)
    kept = kept or arrived
    if kept and effect != "parked" and isinstance(event, InstallmentEvent):
        services.dues.drop_parked(awaits(event), event.identity)
    # What an earlier try has changed already is nothing new to this one.
    return "applied" if kept and effect == "no_change" else effect


def _apply_once(event: Event, at: datetime, services: EventServices) -> Effect:
    def waiting(about: str) -> None:
        _apply_kept(about, at, services)

    match event:
        case ev.Updated():
            return borrower_events.update(event, at, services, waiting)
        case ev.OptedOut() | ev.OptedIn() | ev.HoldStarted() | ev.HoldEnded():
            return borrower_events.mark(event, at, services)
        case ev.Scheduled():
            return installment_events.schedule(event, at, services, waiting)
        case _:
            return installment_events.change(event, at, services)


def _apply_kept(about: str, at: datetime, services: EventServices) -> None:
    """Apply what waited, in the order of its sequences; what turns out wrong is dropped as it would have been
    refused, and somebody hears of it, since its sender was told that it is kept.
    """
    for body in services.dues.parked(about):
        try:
            effect = _apply(read_event(body), at, services)
        except InvalidEvent as error:
            services.dropped(error)
            effect = "applied"
        if effect != "parked":
            services.dues.drop_parked(about, f"{body['source']}#{body['event_id']}")
