"""Events about a borrower, applied: the profile, stops and holds."""

from datetime import datetime

from predue.domain import case
from predue.domain.ledger import Ledger, Mark, Stated
from predue.domain.profile import Profile
from predue.events import models as ev
from predue.events import profile_changes
from predue.events.endings import settle_over
from predue.events.event_services import Effect, EventServices, Waiting, open_case, rekey, store_profile
from predue.events.standing import keep_unused


def update(event: ev.Updated, at: datetime, services: EventServices, waiting: Waiting) -> Effect:
    """Merge fields into a profile, re-key what its place and time move, and apply what waited for the borrower."""
    old = services.dues.profile(event.borrower_id)
    known = old or Profile(event.borrower_id, services.keys().borrower_ref(event.borrower_id))
    new = profile_changes.merged(known, event, services.keys(), services.owners)
    if "consent" in event.given():
        services.dues.write_consent(event.borrower_id, at, event.identity, event.body())
    store_profile(old, new, services)
    unused = [name for name in event.given() if not profile_changes.owns(known, event, name, services.owners)]
    if (event.given().keys() - set(unused)) & {"time_zone", "jurisdiction", "preferred_time"}:
        rekey(new, at, services)
        settle_over(new, at, services)
    services.dues.bump(event.borrower_id)
    waiting(f"borrower#{event.borrower_id}")
    if unused:
        keep_unused(event, at, services)
    if new != old:
        return "applied"
    return "not_owner" if unused else "no_change"


def mark(
    event: ev.OptedOut | ev.OptedIn | ev.HoldStarted | ev.HoldEnded, at: datetime, services: EventServices
) -> Effect:
    """Set or lift a stop or a hold in the ledger, whose write is itself the new version."""
    ledger = services.dues.ledger(event.borrower_id)
    if isinstance(event, ev.OptedOut | ev.OptedIn):
        services.dues.write_consent(event.borrower_id, at, event.identity, event.body())
    changed = _marked(ledger, event)
    if changed is not None:
        services.dues.write_ledger(changed)
    if isinstance(event, ev.HoldStarted):
        # After the hold, which must not wait for it; also where the hold stands since a try that was cut short.
        hold = case.Hold(event.reason, event.sequence, event.source)
        if asked := case.asked_for_help(event.borrower_id, hold, changed or ledger, at):
            open_case(asked, services)
    return "no_change" if changed is None or _alike(ledger, changed, event) else "applied"


def _marked(ledger: Ledger, event: ev.OptedOut | ev.OptedIn | ev.HoldStarted | ev.HoldEnded) -> Ledger | None:
    """The ledger with the word of an event's source; None if that source said it, or a later one, before."""
    match event:
        case ev.OptedOut() | ev.OptedIn():
            occurred_at = None if event.occurred_at is None else event.time
            said = Stated(event.sequence, event.arrived, occurred_at)
            noted = ledger.with_opt_out if isinstance(event, ev.OptedOut) else ledger.with_opt_in
            return noted(event.channel, event.source, said)
        case ev.HoldStarted():
            mark = Mark(event.sequence, on=True, at=event.arrived, until=event.until)
            return ledger.with_hold(event.reason, event.source, mark)
        case ev.HoldEnded():
            mark = Mark(event.sequence, on=False, at=event.arrived)
            if event.reason is None:
                return ledger.with_holds_ended(event.source, mark)
            return ledger.with_hold(event.reason, event.source, mark)


def _alike(before: Ledger, after: Ledger, event: ev.OptedOut | ev.OptedIn | ev.HoldStarted | ev.HoldEnded) -> bool:
    """Whether a word that was noted changed nothing of what counts."""
    match event:
        case ev.OptedOut():
            return event.source not in after.stops(event.channel)
        case ev.OptedIn():
            return before.stops(event.channel) == after.stops(event.channel)
        case ev.HoldStarted():
            return after.hold(event.reason, event.source) is None
        case ev.HoldEnded():
            return all(before.hold(*one) == after.hold(*one) for one in after.holds)
