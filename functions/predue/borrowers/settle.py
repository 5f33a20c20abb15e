"""Final outcomes without a provider's acceptance: written to the ledger first, which makes them exclusive, then
recorded.

A crash between the two is mended by whoever meets the settled stages again: a redelivery, or the closing run.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from predue.borrowers.ports import Addresses, Borrowers
from predue.borrowers.retrying import until_it_stands
from predue.borrowers.view import MEMORY, View
from predue.domain.ledger import Contact, Settled
from predue.domain.policy import Rules
from predue.domain.record import Answer, Attempt, Outcome, Record, reminder_id
from predue.domain.stage import StageKey

_CHANNEL_REASONS = frozenset(
    (
        "no_channel",
        "no_consent",
        "opted_out",
        "channel_unavailable",
        "no_address",
        "address_suppressed",
        "stage_channel",
        "refused",
    )
)
"""Reasons that say why a channel could not be used; after refusals by providers the last refusal says it better."""


def settled_as(view: View, keys: Sequence[StageKey], now: datetime, outcome: Outcome, reason: str) -> Settled:
    """The final outcome of some keys; after refusals by providers it is `failed` with what the last of them
    answered.
    """
    tries = tuple(
        attempt
        for contact in view.ledger.contacts
        if not contact.counts and set(contact.keys) & set(keys)
        for attempt in contact.tries
    )
    if tries and outcome == "suppressed" and reason in _CHANNEL_REASONS:
        return Settled(now, tuple(keys), "failed", tries[-1].answer.kind, tries)
    return Settled(now, tuple(keys), outcome, reason, tries)


def settle(
    view: View, settled: Iterable[Settled], now: datetime, borrowers: Borrowers, inputs: Mapping[str, Any]
) -> None:
    """Give stages their final outcome; raises LedgerMoved if the borrower's state changed since the view was read."""
    new = tuple(settled)
    if new:
        borrowers.write_ledger(view.ledger.pruned(now, MEMORY).with_settled(new))
        record_known(view, new, borrowers, inputs)


def record_known(view: View, settled: Iterable[Settled], borrowers: Borrowers, inputs: Mapping[str, Any]) -> None:
    """Make sure that settled stages have their records; harmless where they have."""
    for one in settled:
        borrowers.write_record(_record_of_settled(view, one, inputs))


def _recorded(view: View, at: datetime, keys: tuple[StageKey, ...], **became: Any) -> Record:
    """The record of some stages: `became` says what became of them, the rest follows from the view."""
    rules: Rules = view.rules
    return Record(
        reminder_id=reminder_id(view.profile.ref, keys),
        borrower_id=view.profile.borrower_id,
        at=at,
        local_time=view.local_time(at),
        keys=keys,
        policy=rules.policy.label,
        pack=rules.pack.label,
        **became,
    )


def _record_of_settled(view: View, settled: Settled, inputs: Mapping[str, Any]) -> Record:
    """The record of settled stages; its channel is that of the last provider that was asked, if any was."""
    return _recorded(
        view,
        settled.at,
        settled.keys,
        outcome=settled.outcome,
        reason=settled.reason,
        channel=settled.tries[-1].channel if settled.tries else "",
        attempts=settled.tries,
        inputs=inputs,
    )


def unknown(view: View, contact: Contact, inputs: Mapping[str, Any]) -> Record:
    """The record of a claim whose call may or may not have been made: it keeps its cap slot and is never called
    again.
    """
    attempt = Attempt(contact.at, contact.channel, Answer("no_answer", "interrupted"))
    return called(view, contact, inputs, outcome="unknown", reason="no_answer", attempts=(*contact.tries, attempt))


def record_unknown(view: View, contact: Contact, borrowers: Borrowers) -> bool:
    """Record a claim as unknown if it has no record; whether that was so.

    Its delivery may still run, so the ledger says it first: a refusal that comes after gives nothing back, else its
    stages would be decided a second time beside this record. An acceptance replaces the record.
    """

    def record_once() -> bool:
        if borrowers.record(contact.reminder_id) is not None:
            return False
        ledger = borrowers.ledger(view.profile.borrower_id)
        given_up = ledger.given_up(contact.token)
        if given_up is None:
            return False
        if given_up is not ledger:
            borrowers.write_ledger(given_up)
        return borrowers.write_record(unknown(view, contact, {}))

    return until_it_stands(record_once, "give a claim up")


def called(view: View, contact: Contact, inputs: Mapping[str, Any], **became: Any) -> Record:
    """The record of a claim: `became` says what became of its call. The contact point stands there as its keyed hash
    only.

    It stands there not at all if the profile names another by now: a bounce must not take the new one.
    """
    address = view.profile.address_refs.get(contact.channel, "")
    if not address.startswith(contact.address):
        address = ""
    seen = {**inputs, "address": address}
    return _recorded(view, contact.at, contact.keys, channel=contact.channel, text=contact.text, inputs=seen, **became)


def suppress_address(
    address_ref: str, channel: str, reason: str, at: datetime, addresses: Addresses, borrowers: Borrowers
) -> None:
    """Stop the use of a contact point for everyone: noted on the address first, then in the ledger of each borrower
    linked.

    A new link is written before the suppression is read, so that one of the two sides always sees the other.
    """
    addresses.suppress(address_ref, reason, at)
    for borrower_id in addresses.linked(address_ref):
        suppress_for(borrower_id, channel, address_ref, borrowers)


def suppress_for(borrower_id: str, channel: str, address_ref: str, borrowers: Borrowers) -> None:
    """Note a suppressed contact point in one borrower's ledger."""

    def note_once() -> None:
        changed = borrowers.ledger(borrower_id).with_suppressed(channel, address_ref)
        if changed is not None:
            borrowers.write_ledger(changed)

    until_it_stands(note_once, "note a suppressed contact point")
