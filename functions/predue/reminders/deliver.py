"""Delivery of one job on one channel: look, gate, render, claim, call once, record.

The claim is the last thing before the provider's call, and the only thing that entitles to it. Whatever is
interrupted after the claim is never called again: a repeat finds the claim and looks up, or records as unknown, what
came of it.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from predue.borrowers import settle
from predue.borrowers.ports import (
    Accepted,
    Addresses,
    Borrowers,
    Later,
    NoAnswer,
    OutboundMessage,
    Provider,
    Queues,
    Refused,
)
from predue.borrowers.retrying import until_it_stands
from predue.borrowers.view import MEMORY, View, look
from predue.domain.channel import Switches
from predue.domain.job import Job
from predue.domain.ledger import ADDRESS_MARK, Contact, Ledger, Settled
from predue.domain.policy import Rulebook
from predue.domain.record import Answer, Attempt, reminder_id
from predue.errors import LedgerMoved, StillCalling, TextMissing
from predue.messages.render import Lender, ReminderItem, RenderedMessage, render
from predue.reminders.gate import Decision, Defer, Send, decide

_STALE = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(seconds=900)
"""SQS holds a message back for at most 15 minutes (SQS developer guide, message quotas)."""
_BUSY_WAIT = timedelta(seconds=60)


@dataclass(frozen=True)
class DeliveryServices:
    """All that delivery on one channel works with.

    `lease` is how long a claim may stay without a record before its outcome counts as unknown: longer than a function
    can run. `unsubscribe_url` makes the borrower's one-click link from the borrower's ref.
    """

    channel: str
    borrowers: Borrowers
    addresses: Addresses
    queues: Queues
    later: Later
    provider: Provider
    rulebook: Rulebook
    switches: Switches
    clock: Callable[[], datetime]
    unsubscribe_url: Callable[[str], str]
    lease: timedelta = timedelta(seconds=120)


def deliver(job: Job, services: DeliveryServices) -> str:
    """Bring a job to its end on this channel, and say in a word what was done.

    Raises StillCalling while another delivery's claim runs, and LedgerMoved if the borrower's state would not stand
    still; both leave the job for later.
    """
    if job.not_before and (now := services.clock()) < job.not_before:
        defer(job, job.not_before, now, services)
        return "deferred"
    return until_it_stands(lambda: _try(job, services), "deliver a job")


def _try(job: Job, services: DeliveryServices) -> str:
    """One pass over fresh state; raises LedgerMoved to ask for another."""
    now = services.clock()
    view = look(job, services.borrowers, services.rulebook, now)
    decision = decide(view, job, now, services.switches)
    settle.record_known(view, decision.known, services.borrowers, decision.inputs)
    for contact in decision.calling:
        _resolve(view, contact, decision, now, services)
    action = decision.action
    if isinstance(action, Send) and action.channel != services.channel:
        services.queues.send(action.channel, [job])
        return "forwarded"
    if isinstance(action, Send):
        return _send(view, decision, action, now, services, job)
    settle.settle(view, decision.settled, now, services.borrowers, decision.inputs)
    if isinstance(action, Defer):
        defer(job, action.until, now, services)
        return "deferred"
    return "settled" if decision.settled else "nothing"


def _resolve(view: View, contact: Contact, decision: Decision, now: datetime, services: DeliveryServices) -> None:
    """See to the claim of an earlier delivery: recorded, still running, or unknown."""
    if services.borrowers.record(contact.reminder_id):
        return
    if now - contact.at < services.lease:
        raise StillCalling("another delivery's claim still runs")
    services.borrowers.write_record(settle.unknown(view, contact, decision.inputs))


def defer(job: Job, until: datetime, now: datetime, services: DeliveryServices) -> None:
    """Put a job off: a short while in the queue, a longer one by a one-off schedule."""
    again = replace(job, deferred=job.deferred + 1)
    wait = until - now
    if wait <= _LONGEST_DELAY:
        # Rounded up: a job that comes back a moment early would only be deferred again.
        services.queues.send(services.channel, [again], delay_seconds=-(-wait // timedelta(seconds=1)))
    else:
        services.later.at(until, services.channel, again)


def _send(view: View, decision: Decision, action: Send, now: datetime, services: DeliveryServices, job: Job) -> str:
    """Render, claim, call once, record; raises LedgerMoved if the job has to be looked at again."""
    contact = _new_claim(view, action, now)
    try:
        link = services.unsubscribe_url(view.profile.ref)
        message = _rendered(view, action, contact, link)
    except TextMissing:
        failed = Settled(now, action.keys, "failed", "text_missing", contact.tries)
        settle.settle(view, (*decision.settled, failed), now, services.borrowers, decision.inputs)
        return "failed"
    if services.clock() - now > _STALE:
        raise LedgerMoved("what was read is too old to claim by; read again")
    contact = contact._replace(text=message.text_version)
    ledger = view.ledger.pruned(now, MEMORY).with_settled(decision.settled)
    if action.shadow:
        return _shadow(view, decision, contact, ledger, services)
    ledger = ledger.with_contact(contact)
    services.borrowers.write_ledger(ledger)
    answer = _call(view, action, contact, message, link, services)
    if isinstance(answer, Refused):
        return _refused(view, contact, answer, services, job)
    _record(view, decision, contact, services, **_became(contact, answer))
    return "sent" if isinstance(answer, Accepted) else "unknown"


def _shadow(view: View, decision: Decision, contact: Contact, ledger: Ledger, services: DeliveryServices) -> str:
    """Settle what shadow mode keeps back: it is no claim, so it fills no cap."""
    shadowed = Settled(contact.at, contact.keys, "suppressed", "shadow", contact.tries)
    services.borrowers.write_ledger(ledger.with_settled((shadowed,)))
    _record(view, decision, contact, services, outcome="suppressed", reason="shadow", attempts=contact.tries)
    return "shadowed"


def _record(view: View, decision: Decision, contact: Contact, services: DeliveryServices, **became: Any) -> None:
    """Record what became of a reminder, and what was settled beside it."""
    services.borrowers.write_record(settle.called(view, contact, decision.inputs, **became))
    settle.record_known(view, decision.settled, services.borrowers, decision.inputs)


def _new_claim(view: View, action: Send, now: datetime) -> Contact:
    """The claim to be written; it takes up the refusals that the keys met before."""
    earlier = [old for old in view.ledger.contacts if not old.counts and set(old.keys) & set(action.keys)]
    return Contact(
        at=now,
        day=action.keys[0].day(),
        channel=action.channel,
        keys=action.keys,
        token=secrets.token_hex(6),
        reminder_id=reminder_id(view.profile.ref, action.keys),
        address=view.profile.address_refs.get(action.channel, "")[:ADDRESS_MARK],
        tries=tuple(attempt for old in earlier for attempt in old.tries),
    )


def _rendered(view: View, action: Send, contact: Contact, link: str) -> RenderedMessage:
    """The words of the reminder; amounts are what is owed at this read."""
    lines = []
    for key in action.keys:
        due = view.due(key)
        assert due is not None, "a planned key has its due"
        lines.append(ReminderItem(due.loan_id, due.installment_no, due.due_date, due.owed, key.stage))
    lender = view.rules.policy.lender
    return render(
        action.channel,
        view.profile.locale,
        lines,
        name=view.profile.name,
        lender=Lender(lender.name, lender.phone),
        reference=contact.reminder_id,
        unsubscribe_url=link,
        today=action.keys[0].day(),
    )


def _call(
    view: View, action: Send, contact: Contact, message: RenderedMessage, link: str, services: DeliveryServices
) -> Accepted | Refused | NoAnswer:
    """The one call; none if the claim took so long that the hours are ending."""
    left = action.until - services.clock()
    if left < _STALE:
        return Refused("refused_busy", "too_late")
    outbound = OutboundMessage(
        reminder_id=contact.reminder_id,
        to=view.profile.addresses[action.channel],
        message=message,
        seconds_to_live=left // timedelta(seconds=1),
        unsubscribe_url=link,
    )
    return services.provider.send(outbound)


def _became(contact: Contact, answer: Accepted | NoAnswer) -> dict[str, Any]:
    """What a record says of a call that was accepted, or whose outcome nobody knows yet."""

    def attempts(answered: Answer) -> tuple[Attempt, ...]:
        return (*contact.tries, Attempt(contact.at, contact.channel, answered))

    if isinstance(answer, NoAnswer):
        return {
            "outcome": "unknown",
            "reason": "no_answer",
            "attempts": attempts(Answer("no_answer", answer.code)),
        }
    return {
        "outcome": "sent",
        "reason": "",
        "provider_message_id": answer.provider_message_id,
        "attempts": attempts(Answer("accepted")),
    }


def _refused(view: View, contact: Contact, refusal: Refused, services: DeliveryServices, job: Job) -> str:
    """Release the claim, once; wait for a busy provider, else raise LedgerMoved to look for the next channel."""
    attempt = Attempt(contact.at, contact.channel, Answer(refusal.kind, refusal.code))
    busy = refusal.kind == "refused_busy"
    bad_address = view.profile.address_refs.get(contact.channel, "") if refusal.kind == "refused_address" else ""
    until = max(key.due_date for key in job.keys)

    def release_once() -> None:
        released = services.borrowers.load(job.borrower_id, until).ledger.refused(contact.token, attempt)
        if released is not None:
            services.borrowers.write_ledger(
                (released.with_suppressed(contact.channel, bad_address) if bad_address else None) or released
            )

    # If it would not stand still, the claim keeps its slot of the caps and becomes unknown; the refusal is acted on.
    with suppress(LedgerMoved):
        until_it_stands(release_once, "release a claim")
    if bad_address:
        settle.suppress_address(
            bad_address, contact.channel, refusal.code, services.clock(), services.addresses, services.borrowers
        )
    if busy:
        now = services.clock()
        defer(job, now + min(_BUSY_WAIT * 2 ** min(job.deferred, 4), _LONGEST_DELAY), now, services)
        return "busy"
    raise LedgerMoved("the provider refused the channel; look for the next one")
