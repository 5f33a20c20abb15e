"""Events that were taken and changed nothing: kept, if another source owns what they speak of, and what stood against
them.
"""

from collections.abc import Iterator
from datetime import datetime

from predue.domain.due import Due
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.events import models as ev
from predue.events import profile_changes
from predue.events.due_changes import group_of, owns
from predue.events.event_services import EventServices
from predue.events.models import Event, InstallmentEvent
from predue.events.owners import Owners


def keep_unused(event: Event | InstallmentEvent, at: datetime, services: EventServices) -> None:
    """Keep what a source said of what another owns."""
    about = f"loan#{event.loan_id}" if isinstance(event, InstallmentEvent) else f"borrower#{event.borrower_id}"
    services.dues.park(f"not_owner#{about}", event.identity, event.body(), at, awaited=False)


def against(event: Event, services: EventServices) -> tuple[str, ...]:
    """Each as `aspect: what stood against it`, without a value of anybody's; read after the event was taken."""
    if isinstance(event, InstallmentEvent):
        where = services.dues.pointer(event.loan_id, event.installment_no)
        due = services.dues.due(*where, event.loan_id, event.installment_no) if where else None
        return tuple(_of_installment(event, due, services.owners))
    if isinstance(event, ev.Updated):
        return tuple(_of_profile(event, services.dues.profile(event.borrower_id), services.owners))
    return tuple(_of_marks(event, services.dues.ledger(event.borrower_id)))


def _of_installment(event: InstallmentEvent, due: Due | None, owners: Owners) -> Iterator[str]:
    if due is None:
        yield "installment: it is over, or another source owns the loan"
    elif isinstance(event, ev.Disputed | ev.DisputeEnded):
        yield f"dispute: sequence {due.disputes[event.source].sequence} of {event.source}"
    elif not owns(due, event, owners):
        yield f"{group_of(event)}: {owners.owner(group_of(event), due.loan_id, due.source) or 'nobody'} owns it"
    elif isinstance(event, ev.Paid | ev.PaymentReversed):
        yield "payments: this one is counted already"
    else:
        aspects = ("cancelled",) if isinstance(event, ev.Cancelled) else ("due_date", "amount", "grace_days")
        for aspect in aspects:
            if aspect in due.sequences and getattr(event, aspect, "") is not None:
                yield f"{aspect}: sequence {due.sequences[aspect]} of {due.source}"


def _of_profile(event: ev.Updated, profile: Profile | None, owners: Owners) -> Iterator[str]:
    for name in event.given() if profile is not None else ():
        assert profile is not None
        if profile_changes.owns(profile, event, name, owners):
            yield f"{name}: sequence {profile.sequences.get(name, 0)} of {event.source}"
        else:
            owner = owners.owner(profile_changes.group_of(name), event.borrower_id, profile.source)
            yield f"{name}: {owner} owns it"


def _of_marks(event: Event, ledger: Ledger) -> Iterator[str]:
    match event:
        case ev.OptedOut():
            about = event.channel, event.source
            sequence = max(words[about].sequence for words in (ledger.opt_outs, ledger.opt_ins) if about in words)
            yield f"stop of {event.channel}: sequence {sequence} of {event.source}"
        case ev.OptedIn():
            stops = ledger.stops(event.channel)
            yield from (f"stop of {event.channel}: that of {source} stands" for source in stops)
            if not stops:
                yield f"stop of {event.channel}: none stands"
        case ev.HoldStarted() | ev.HoldEnded():
            own = [mark.sequence for (_, source), mark in ledger.holds.items() if source == event.source]
            ended = ledger.holds_ended.get(event.source)
            newest = max([*own, *([ended.sequence] if ended else [])], default=None)
            yield f"hold: sequence {newest} of {event.source}" if newest is not None else "hold: none of this source"
