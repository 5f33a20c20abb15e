"""Events about a borrower, applied: the profile, stops and holds."""

from datetime import datetime

from predue.domain import case
from predue.domain.ledger import Ledger, Mark
from predue.domain.profile import Profile
from predue.events import models as ev
from predue.events import profile_changes
from predue.events.endings import settle_over
from predue.events.event_services import Effect, EventServices, Waiting, open_case, rekey, store_profile


def update(event: ev.Updated, at: datetime, services: EventServices, waiting: Waiting) -> Effect:
    """Merge fields into a profile, re-key what its place and time move, and apply what waited for the borrower."""
    old = services.dues.profile(event.borrower_id)
    new = profile_changes.merged(
        old or Profile(event.borrower_id, services.keys().borrower_ref(event.borrower_id)), event, services.keys()
    )
    if "consent" in event.given():
        services.dues.write_consent(event.borrower_id, at, event.identity, event.body())
    store_profile(old, new, services)
    if event.given().keys() & {"time_zone", "jurisdiction", "preferred_time"}:
        rekey(new, at, services)
        settle_over(new, at, services)
    services.dues.bump(event.borrower_id)
    waiting(f"borrower#{event.borrower_id}")
    return "applied" if new != old else "no_change"


def mark(
    event: ev.OptedOut | ev.OptedIn | ev.HoldStarted | ev.HoldEnded, at: datetime, services: EventServices
) -> Effect:
    """Set or lift a stop or a hold in the ledger, whose write is itself the new version."""
    changed: Ledger | None
    ledger = services.dues.ledger(event.borrower_id)
    match event:
        case ev.OptedOut() | ev.OptedIn():
            services.dues.write_consent(event.borrower_id, at, event.identity, event.body())
            changed = ledger.with_opt_out(event.channel, Mark(event.sequence, isinstance(event, ev.OptedOut)))
        case ev.HoldStarted():
            changed = ledger.with_hold(event.reason, Mark(event.sequence, on=True))
        case ev.HoldEnded() if event.reason is None:
            changed = ledger.with_holds_ended(event.sequence)
        case ev.HoldEnded():
            changed = ledger.with_hold(str(event.reason), Mark(event.sequence, on=False))
    if changed is not None:
        services.dues.write_ledger(changed)
    if isinstance(event, ev.HoldStarted):
        # After the hold, which must not wait for it; also where the hold stands since a try that was cut short.
        hold = case.Hold(event.reason, event.sequence)
        if asked := case.asked_for_help(event.borrower_id, hold, changed or ledger, at):
            open_case(asked, services)
    return "applied"
