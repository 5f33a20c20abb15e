"""What the caps were spent on: the most urgent reminder is lost to no less urgent one, and none gives way to nothing.

Judged by what was known when the less urgent one went out: what became known later could not be foreseen. Faults,
outages and a limited volume change what goes out, so runs with them are left alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from infrastructure.local.audit.evidence import Check, Evidence, barred, line_text
from infrastructure.local.audit.outcomes import OutcomeLine
from infrastructure.local.audit.replay import Owed, Timeline
from infrastructure.local.audit.terms import AuditKey, CapTerm, days_from_due
from infrastructure.local.audit.values import instant_text

_FURTHEST = timedelta(days=31)


def spending(evidence: Evidence) -> Iterator[Check]:
    """List the reminders of the most urgent stage that a cap kept back, and the stages that gave way."""
    if not evidence.undisturbed:
        return
    contacts: defaultdict[str, list[OutcomeLine]] = defaultdict(list)
    loans: defaultdict[str, list[tuple[str, int, Timeline[Owed]]]] = defaultdict(list)
    for line in evidence.lines:
        if line.contact:
            contacts[line.borrower_id].append(line)
    for loan_id, number, owner, timeline in evidence.history.installments():
        loans[owner].append((loan_id, number, timeline))
    for line in evidence.lines:
        if line.reason == "gave_way":
            fault = None if _gave_way_to(evidence, line, loans[line.borrower_id]) else "nothing more urgent was ahead"
            yield Check(partial(line_text, line), fault)
        elif line.reason.startswith("cap_") and _rank(evidence, line) == 0:
            yield Check(partial(line_text, line), _lost_to(evidence, line, contacts[line.borrower_id]))


def _rank(evidence: Evidence, line: OutcomeLine) -> int:
    """Count the stages more urgent than all of a line's."""
    urgency = evidence.terms.urgency
    return min((urgency.index(key.stage) for key in line.keys if key.stage in urgency), default=len(urgency))


def _gave_way_to(
    evidence: Evidence, line: OutcomeLine, loans: Sequence[tuple[str, int, Timeline[Owed]]]
) -> AuditKey | None:
    """Find a more urgent stage of an installment that was open then, on that day or within a month."""
    for loan_id, number, timeline in loans:
        state = timeline.at(line.at)
        if state is None or not state.open:
            continue
        for stage in evidence.terms.urgency[: _rank(evidence, line)]:
            key = AuditKey(loan_id, number, state.due_date, stage)
            ahead = key.day() - line.local.date()
            if timedelta(0) <= ahead <= _FURTHEST and days_from_due(stage) <= state.grace_days:
                return key
    return None


def _lost_to(evidence: Evidence, line: OutcomeLine, contacts: Sequence[OutcomeLine]) -> str | None:
    """Tell which less urgent reminder took the room of one that was to be foreseen."""
    caps = [cap for cap in evidence.caps(line) if _name(cap) == line.reason]
    inside = [one for one in contacts if any(_within(cap, one, line) for cap in caps)]
    less = [place for place, one in enumerate(inside) if _rank(evidence, one)]
    if not less:
        return None
    last, later = inside[less[-1]], inside[less[-1] + 1 :]
    person = evidence.person(line, last.at)
    could = person is not None and not barred(person, last.channel) and _takes(evidence, last.channel)
    foreseen = all(not evidence.settled(one, key, last.at) for one in (line, *later) for key in one.keys)
    what = f"its room went to stage {last.keys[0].stage} of loan {last.keys[0].loan_id} at {instant_text(last.at)}"
    return what if could and foreseen else None


def _name(cap: CapTerm) -> str:
    """Name a cap as the reasons do."""
    return "_".join(part for part in ("cap", cap.channel, "day" if cap.days is None else f"{cap.days}_days") if part)


def _within(cap: CapTerm, one: OutcomeLine, line: OutcomeLine) -> bool:
    """Tell whether a contact filled a cap when a line was written."""
    if cap.channel not in ("", one.channel) or one.at > line.at:
        return False
    return one.local.date() == line.local.date() if cap.days is None else line.at - one.at < timedelta(days=cap.days)


def _takes(evidence: Evidence, channel: str) -> bool:
    """Tell whether the most urgent stage could have gone out on a channel."""
    return any(stage.takes(channel) for stage in evidence.terms.stages if stage.name == evidence.terms.urgency[0])
