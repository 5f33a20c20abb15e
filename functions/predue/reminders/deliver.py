"""Delivery of one job on one channel: look, gate, render, claim, call once, record.

The claim is the last thing before the provider's call, and the only thing that entitles to it. Whatever is
interrupted after the claim is never called again: a repeat finds the claim and looks up, or records as unknown, what
came of it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from predue.borrowers import settle
from predue.borrowers.ports import Accepted, Addresses, Borrowers, Envelope, Later, NoAnswer, Provider, Queues, Refused
from predue.borrowers.view import MEMORY, View, look
from predue.domain.channel import Switches
from predue.domain.job import Job
from predue.domain.ledger import ADDRESS_MARK, Contact, Settled
from predue.domain.policy import Rulebook
from predue.domain.record import Attempt, Record, reminder_id
from predue.errors import LedgerMoved, StillCalling, TextMissing
from predue.messages.render import Lender, Line, Message, render
from predue.reminders.gate import Defer, Send, Verdict, decide

_TRIES = 10
_STALE = timedelta(seconds=5)
_LONGEST_DELAY = timedelta(seconds=900)
"""SQS holds a message back for at most 15 minutes (SQS developer guide, message quotas)."""
_BUSY_WAIT = timedelta(seconds=60)


@dataclass(frozen=True)
class Desk:
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


def deliver(job: Job, desk: Desk) -> str:
    """Bring a job to its end on this channel, and say in a word what was done.

    Raises StillCalling while another delivery's claim runs, and LedgerMoved if the borrower's state would not stand
    still; both leave the job for later.
    """
    for _ in range(_TRIES):
        try:
            done = _try(job, desk)
        except LedgerMoved:
            continue
        if done:
            return done
    raise LedgerMoved(f"the ledger moved under {_TRIES} tries at a job")


def _try(job: Job, desk: Desk) -> str | None:
    """One pass over fresh state; None asks for another."""
    now = desk.clock()
    view = look(job, desk.borrowers, desk.rulebook, now)
    verdict = decide(view, job, now, desk.switches)
    settle.record_known(view, verdict.known, desk.borrowers, verdict.inputs)
    for contact in verdict.calling:
        _resolve(view, contact, verdict, now, desk)
    action = verdict.action
    if isinstance(action, Send) and action.channel != desk.channel:
        desk.queues.send(action.channel, [job])
        return "forwarded"
    if isinstance(action, Send):
        return _send(view, verdict, action, now, desk, job)
    settle.settle(view, verdict.settled, now, desk.borrowers, verdict.inputs)
    if isinstance(action, Defer):
        defer(job, action.until, now, desk)
        return "deferred"
    return "settled" if verdict.settled else "nothing"


def _resolve(view: View, contact: Contact, verdict: Verdict, now: datetime, desk: Desk) -> None:
    """See to the claim of an earlier delivery: recorded, still running, or unknown."""
    if desk.borrowers.record(contact.reminder_id):
        return
    if now - contact.at < desk.lease:
        raise StillCalling("another delivery's claim still runs")
    desk.borrowers.write_record(settle.unknown(view, contact, verdict.inputs))


def defer(job: Job, until: datetime, now: datetime, desk: Desk) -> None:
    """Put a job off: a short while in the queue, a longer one by a one-off schedule."""
    again = replace(job, deferred=job.deferred + 1)
    wait = until - now
    if wait <= _LONGEST_DELAY:
        # Rounded up: a job that comes back a moment early would only be put off again.
        desk.queues.send(desk.channel, [again], delay_seconds=-(-wait // timedelta(seconds=1)))
    else:
        desk.later.at(until, desk.channel, again)


def _send(view: View, verdict: Verdict, action: Send, now: datetime, desk: Desk, job: Job) -> str | None:
    """Render, claim, call once, record; None if the job has to be looked at again."""
    contact = _contact(view, action, now)
    try:
        link = desk.unsubscribe_url(view.profile.ref)
        message = _message(view, action, contact, link)
    except TextMissing:
        failed = Settled(now, action.keys, "failed", "text_missing", contact.tries)
        settle.settle(view, (*verdict.settled, failed), now, desk.borrowers, verdict.inputs)
        return "failed"
    if desk.clock() - now > _STALE:
        return None
    contact = contact._replace(text=message.text_version)
    ledger = view.ledger.pruned(now, MEMORY).with_settled(verdict.settled).with_contact(contact)
    desk.borrowers.write_ledger(ledger)
    answer = _call(view, action, contact, message, link, desk)
    if isinstance(answer, Refused):
        return _refused(view, contact, answer, desk, job)
    desk.borrowers.write_record(_record(view, verdict, action, contact, answer))
    settle.record_known(view, verdict.settled, desk.borrowers, verdict.inputs)
    return "shadowed" if action.shadow else "sent" if isinstance(answer, Accepted) else "unknown"


def _contact(view: View, action: Send, now: datetime) -> Contact:
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


def _message(view: View, action: Send, contact: Contact, link: str) -> Message:
    """The words of the reminder; amounts are what is owed at this read."""
    lines = []
    for key in action.keys:
        due = view.due(key)
        assert due is not None, "a planned key has its due"
        lines.append(Line(due.loan_id, due.installment_no, due.due_date, due.owed, key.stage))
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
    view: View, action: Send, contact: Contact, message: Message, link: str, desk: Desk
) -> Accepted | Refused | NoAnswer:
    """The one call; none in shadow mode, and none if the claim took so long that the hours are ending."""
    if action.shadow:
        return Accepted("")
    left = action.until - desk.clock()
    if left < _STALE:
        return Refused("refused_busy", "too_late")
    envelope = Envelope(
        reminder_id=contact.reminder_id,
        to=view.profile.addresses[action.channel],
        message=message,
        seconds_to_live=left // timedelta(seconds=1),
        unsubscribe_url=link,
    )
    return desk.provider.send(envelope)


def _record(view: View, verdict: Verdict, action: Send, contact: Contact, answer: Accepted | NoAnswer) -> Record:
    """The record of a call that was accepted, or whose outcome nobody knows yet."""
    recorded = partial(settle.called, view, contact, verdict.inputs)
    if action.shadow:
        return recorded(outcome="suppressed", reason="shadow", attempts=contact.tries)

    def attempts(said: str) -> tuple[Attempt, ...]:
        return (*contact.tries, Attempt(contact.at, contact.channel, said))

    if isinstance(answer, NoAnswer):
        return recorded(outcome="unknown", reason="no_answer", attempts=attempts(f"no_answer:{answer.code}"))
    message_id = answer.provider_message_id
    return recorded(outcome="sent", reason="", provider_message_id=message_id, attempts=attempts("accepted"))


def _refused(view: View, contact: Contact, refusal: Refused, desk: Desk, job: Job) -> str | None:
    """Give the claim back, once; then wait for a busy provider, or look again for the next channel."""
    attempt = Attempt(contact.at, contact.channel, f"{refusal.kind}:{refusal.code}")
    busy = refusal.kind == "refused_busy"
    bad_address = view.profile.address_refs.get(contact.channel, "") if refusal.kind == "refused_address" else ""
    until = max(key.due_date for key in job.keys)
    for _ in range(_TRIES):
        ledger = desk.borrowers.load(job.borrower_id, until).ledger
        given_back = ledger.refused(contact.token, attempt)
        if given_back is None:
            break
        try:
            desk.borrowers.write_ledger(
                (given_back.with_suppressed(contact.channel, bad_address) if bad_address else None) or given_back
            )
            break
        except LedgerMoved:
            continue
    if bad_address:
        settle.suppress_address(
            bad_address, contact.channel, refusal.code, desk.clock(), desk.addresses, desk.borrowers
        )
    if busy:
        now = desk.clock()
        defer(job, now + min(_BUSY_WAIT * 2 ** min(job.deferred, 4), _LONGEST_DELAY), now, desk)
        return "busy"
    return None
