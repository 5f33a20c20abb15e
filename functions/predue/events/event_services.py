"""What is needed for events, and what it writes: profiles and dues under the index keys that planner and closing run
find.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from predue.borrowers import settle
from predue.borrowers.ports import Addresses, Borrowers, Dues
from predue.domain import zone
from predue.domain.case import Case
from predue.domain.due import Due
from predue.domain.keys import Keys
from predue.domain.policy import Rulebook
from predue.domain.profile import Profile
from predue.domain.slot import day_over
from predue.errors import InvalidEvent
from predue.events.owners import Owners

NO_PREFERENCE = "--:--"
Effect = Literal["applied", "no_change", "not_owner", "duplicate", "parked"]
"""`no_change` was taken, and says nothing that is not known, or known better, already; `not_owner` was kept, and is not
used, since another source owns what it speaks of."""
Waiting = Callable[[str], None]
"""Applies what waited for something (`borrower#<id>`, `installment#<loan>#<number>`), now that it is known."""


def _ignore(_error: InvalidEvent) -> None:
    """Nobody asked to be told."""


def _uncounted(_case: Case) -> None:
    """Nobody counts."""


@dataclass(frozen=True)
class EventServices:
    """All those events works with; `used` remembers which zone keys and send times this process has noted as in use,
    `dropped` hears of what was parked, acknowledged, and in the end refused, and `opened` of each case that is new.
    """

    dues: Dues
    borrowers: Borrowers
    addresses: Addresses
    rulebook: Rulebook
    keys: Callable[[], Keys]
    used: set[tuple[str, str, int]] = field(default_factory=set)
    dropped: Callable[[InvalidEvent], None] = _ignore
    opened: Callable[[Case], None] = _uncounted
    owners: Owners = field(default_factory=Owners)


def store_profile(old: Profile | None, new: Profile, services: EventServices) -> None:
    """Write a profile; a contact point that is new to it is linked first, and its suppression read after."""
    if old is None:
        services.dues.name_borrower(new.ref, new.borrower_id)
    for channel, ref in new.address_refs.items():
        if old is None or old.address_refs.get(channel) != ref:
            services.addresses.link(ref, new.borrower_id)
            if services.addresses.suppressed(ref):
                settle.suppress_for(new.borrower_id, channel, ref, services.borrowers)
    if new != old:
        services.dues.write_profile(new)


def rekey(profile: Profile, at: datetime, services: EventServices) -> None:
    """Write the open dues of a borrower under the profile's place and time; whoever adds a due checks the profile
    after.
    """
    for due in services.dues.all_dues(profile.borrower_id):
        if due.closed_by is None:
            store_due(due, profile, at, services)


def store_new(due: Due, profile: Profile, at: datetime, services: EventServices) -> None:
    """Write a new due under the profile's place; then look whether the profile moved meanwhile."""
    store_due(due, profile, at, services)
    now = services.dues.profile(due.borrower_id)
    if now is not None and keyed(now) != keyed(profile):
        rekey(now, at, services)


def store_due(due: Due, profile: Profile, at: datetime, services: EventServices) -> None:
    """Write a due with the index keys that its state asks for, after noting its place and time as in use."""
    zone_key, send_time = keyed(profile)
    indexed = due.closed_by is None and due.handed_over_at is None
    if indexed and (zone_key, send_time, due.grace_days) not in services.used:
        services.dues.use(zone_key, send_time, due.grace_days)
        services.used.add((zone_key, send_time, due.grace_days))
    overdue = indexed and window_over(due, profile, at, services)
    services.dues.write_due(due, zone_key, send_time, at, indexed=indexed, overdue=overdue)


def window_over(due: Due, profile: Profile, at: datetime, services: EventServices) -> bool:
    """Whether a due's pre-due window has ended where its borrower is."""
    rules = services.rulebook.rules(profile.jurisdiction, at.date())
    zones = zone.zones_of(keyed(profile)[0], rules.pack.zones)
    return at >= day_over(due.last_day, rules.hours, zones)


def open_case(case: Case, services: EventServices) -> None:
    """Write a case; whoever opens it does so ahead of what ends the work, so that a crash repeats it."""
    if services.dues.write_case(case):
        services.opened(case)


def keyed(profile: Profile) -> tuple[str, str]:
    """The place and send time under which the index holds a borrower's dues."""
    send_time = profile.preferred_time
    return zone.label(
        profile.time_zone, profile.jurisdiction
    ), NO_PREFERENCE if send_time is None else f"{send_time:%H:%M}"
