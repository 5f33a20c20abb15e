"""The auditor: holds a finished run against the promises, from its input files, its outcomes and the carrier's own log.

It shares no decision code with the functions: history, slots and hours are derived a second time, so that an error in
one derivation shows as a difference. Events that come at the very instant of a claim counts as before it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise

from infrastructure.local.audit.evidence import (
    NO_PROFILE,
    Check,
    Evidence,
    Run,
    RunResults,
    barred,
    line_text,
    stage_text,
)
from infrastructure.local.audit.input_files import Inputs, read_inputs
from infrastructure.local.audit.losses import losses
from infrastructure.local.audit.outcomes import OUTCOMES, OutcomeLine, ProviderCall
from infrastructure.local.audit.planned import PlannedStage
from infrastructure.local.audit.spent import spending
from infrastructure.local.audit.terms import AuditKey, CapTerm, Terms
from infrastructure.local.audit.values import instant_text

_EVER = datetime.max.replace(tzinfo=UTC)

__all__ = ["Audit", "Coverage", "Inputs", "PromiseVerdict", "Run", "RunResults", "Terms", "audit", "read_inputs"]


@dataclass(frozen=True, slots=True)
class PromiseVerdict:
    """How often a promise was checked, and a sentence for each time that it was broken."""

    checked: int
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the planned stages led to a reminder (sent, or unknown).

    `by_outcome` counts planned stages by `sent`, `unknown`, `missing`, or outcome and reason (`suppressed: hold`).
    `unplanned` counts stages that have an outcome and were not planned, `ambiguous` those that may have one, and
    `uncalled` the unknown reminders that never reached the carrier, as when a function dies between claim and call.
    """

    planned: int
    reminded: int
    by_outcome: Mapping[str, int]
    unplanned: int
    ambiguous: int
    uncalled: int

    @property
    def share(self) -> float:
        """The part of the planned stages that led to a reminder; 1 when nothing was planned."""
        return self.reminded / self.planned if self.planned else 1.0


@dataclass(frozen=True, slots=True)
class Audit:
    """The verdict on each promise, by its number, and the coverage."""

    verdicts: Mapping[int, PromiseVerdict]
    coverage: Coverage

    @property
    def broken(self) -> tuple[str, ...]:
        """All sentences about broken promises."""
        return tuple(sentence for verdict in self.verdicts.values() for sentence in verdict.broken)

    @property
    def broken_promises(self) -> frozenset[int]:
        """The numbers of the promises that were broken."""
        return frozenset(number for number, verdict in self.verdicts.items() if verdict.broken)


def audit(inputs: Inputs, run: Run, results: RunResults, terms: Terms | None = None) -> Audit:
    """Hold a run against promises 1 to 7 and 9; a line that cannot be read breaks promise 9 or 5.

    What a caller needs: `read_inputs` of the input files, `RunResults.read` of the folder that the run wrote, and
    `Terms.read` of the policy's keys and the folder of packs.
    """
    evidence = Evidence(inputs, run, results, terms or Terms())
    verdicts: dict[int, PromiseVerdict] = {}
    for number, checks_of in _PROMISES.items():
        checked, broken = 0, []
        for check in checks_of(evidence):
            checked += 1
            if check.fault:
                broken.append(f"promise {number}: {check.text()}: {check.fault}")
        verdicts[number] = PromiseVerdict(checked, tuple(broken))
    return Audit(verdicts, _coverage(evidence))


def _caps(evidence: Evidence) -> Iterator[Check]:
    """Promise 1: contacts a local day and in rolling half-open windows, over all, and what they were spent on."""
    by_borrower: defaultdict[str, list[OutcomeLine]] = defaultdict(list)
    for line in evidence.lines:
        if line.contact:
            by_borrower[line.borrower_id].append(line)
    for lines in by_borrower.values():
        lines.sort(key=lambda line: line.at)
        for cap in {cap: None for line in lines for cap in evidence.caps(line)}:
            counted = [line for line in lines if cap.channel in ("", line.channel)]
            yield from (_day_cap if cap.days is None else _window_cap)(evidence, counted, cap)
    yield from spending(evidence)


def _day_cap(evidence: Evidence, lines: list[OutcomeLine], cap: CapTerm) -> Iterator[Check]:
    """Count the contacts of each local day."""
    on_day: Counter[date] = Counter()
    for line in lines:
        day = line.local.date()
        on_day[day] += 1
        over = on_day[day] > cap.most and cap in evidence.caps(line)
        yield Check(partial(line_text, line), f"{cap.channel or 'contact'} {on_day[day]} of {day}" if over else None)


def _window_cap(evidence: Evidence, lines: list[OutcomeLine], cap: CapTerm) -> Iterator[Check]:
    """Compare each contact with the one that stands a cap's count before it, which must have left the window."""
    window = timedelta(days=cap.days or 0)
    for place, line in enumerate(lines[cap.most :]):
        earlier = lines[place]
        fault = None
        if line.at - earlier.at < window and cap in evidence.caps(line):
            what = f"more than {cap.most} {cap.channel or 'contacts'} in {cap.days} days"
            fault = f"{what}, from {instant_text(earlier.at)} to {instant_text(line.at)}"
        yield Check(partial(line_text, line), fault)


def _hours(evidence: Evidence) -> Iterator[Check]:
    """Promise 2: nothing outside the allowed hours of the stage's local day, in any zone that is possible."""
    for line, moment in evidence.goings():
        for key in line.keys:
            yield Check(partial(line_text, line, key, "at", moment), evidence.hours_fault(line, key, moment))
    for planned in evidence.planned.required.values():
        if not planned.reachable:
            for line in evidence.lines_of_key.get(planned.key, ()):
                yield Check(partial(line_text, line, planned.key), _unreachable_fault(evidence, line))


def _unreachable_fault(evidence: Evidence, line: OutcomeLine) -> str | None:
    """Tell what is wrong with an outcome where no hour is allowed; another reason that is true may stand there."""
    if line.outcome != "suppressed":
        return f"the zones share no allowed hour: the outcome is {line.outcome}"
    person = evidence.person(line, line.at)
    if line.reason == "zone_unknown" or person is None or barred(person, line.channel):
        return None
    settled = any(evidence.settled(line, key, line.at) for key in line.keys)
    return None if settled else f"the zones share no allowed hour: the reason is {line.reason}"


def _owed(evidence: Evidence) -> Iterator[Check]:
    """Promise 3: no call about what was paid, cancelled, moved or disputed before its claim."""
    for line, call in evidence.joined_calls():
        moment = evidence.claimed(line, call)
        for key in line.keys:
            yield Check(partial(line_text, line, key, "claimed at", moment), evidence.settled(line, key, moment))


def _allowed(evidence: Evidence) -> Iterator[Check]:
    """Promise 4: no call after an opt-out, in a hold, without consent, or on a channel that its stage does not take."""
    for line, call in evidence.joined_calls():
        moment = evidence.claimed(line, call)
        person = evidence.person(line, moment)
        fault = barred(person, call.channel) if person else NO_PROFILE
        names = {key.stage for key in line.keys}
        for stage in evidence.terms.stages:
            if stage.name in names and not stage.takes(call.channel) and not call.refused:
                fault = fault or f"stage {stage.name} does not go out on {call.channel}"
        yield Check(partial(line_text, line, None, "claimed at", moment, "on", call.channel), fault)


def _once(evidence: Evidence) -> Iterator[Check]:
    """Promise 5: one provider call a stage unless it was refused, and outcomes that agree with the carrier's log."""
    yield from evidence.unreadable_calls
    for key, lines in evidence.lines_of_key.items():
        ids = dict.fromkeys(line.reminder_id for line in lines)
        calls = sorted((call for id_ in ids for call in evidence.calls_of[id_]), key=lambda call: call.at)
        for earlier, later in pairwise(calls):
            twice = f"called at {instant_text(later.at)} after {earlier.answer!r} at {instant_text(earlier.at)}"
            yield Check(partial(line_text, lines[0], key), None if earlier.refused else twice)
    for call in evidence.calls:
        line = evidence.line_of.get(call.reminder_id)
        unclaimed = "no claim was written before it" if evidence.unclaimed(call) else None
        yield Check(partial(_call_text, line, call), unclaimed or _disagreement(line, call))
    for line in evidence.lines:
        if line.outcome == "sent":
            made = {call.provider_message_id for call in evidence.calls_of[line.reminder_id] if not call.refused}
            fault = None if line.provider_message_id in made else "the carrier took no such message"
            yield Check(partial(line_text, line, None, "sent at", line.at), fault)


def _call_text(line: OutcomeLine | None, call: ProviderCall) -> str:
    """Name a provider call in a sentence."""
    if line:
        return line_text(line, None, "called at", call.at)
    return f"wire.jsonl line {call.number}, reminder {call.reminder_id} called at {instant_text(call.at)}"


def _disagreement(line: OutcomeLine | None, call: ProviderCall) -> str | None:
    """Tell how an outcome contradicts a provider call."""
    if line is None:
        return "the call has no outcome"
    if call.refused or line.contact or (line.outcome == "failed" and call.answer != "accepted"):
        return None
    return f"the carrier answered {call.answer!r} and the outcome is {line.outcome}"


def _outcomes(evidence: Evidence) -> Iterator[Check]:
    """Promise 6: exactly one outcome for each planned stage."""
    for key, planned in evidence.planned.required.items():
        yield Check(partial(_planned_text, planned), None if key in evidence.lines_of_key else "there is no outcome")
    for key, lines in evidence.lines_of_key.items():
        owner = evidence.history.owner(key.loan_id, key.installment_no)
        if key in evidence.planned.required or key in evidence.planned.either:
            stray = [line for line in lines if line.borrower_id != owner]
            yield Check(partial(line_text, lines[0], key), f"it is planned for borrower {owner}" if stray else None)
        else:
            yield from _unplanned(evidence, key, lines)
        yield Check(partial(line_text, lines[0], key), f"there are {len(lines)} outcomes" if len(lines) > 1 else None)
    yield from losses(evidence)
    ids = Counter(line.reminder_id for line in evidence.lines)
    for line in evidence.lines:
        yield Check(partial(line_text, line), _outcome_fault(line, ids[line.reminder_id]))


def _planned_text(planned: PlannedStage) -> str:
    """Name a planned stage in a sentence."""
    return f"borrower {planned.borrower_id}, {stage_text(planned.key)}, planned for {instant_text(planned.slot)}"


def _unplanned(evidence: Evidence, key: AuditKey, lines: list[OutcomeLine]) -> Iterator[Check]:
    """Check what went out without being planned: a wrong day or hour shows that no plan can have led to it."""
    for line in lines:
        if line.contact:
            fault = evidence.hours_fault(line, key, line.at)
            yield Check(partial(line_text, line, key), f"it was not planned, and {fault}" if fault else None)


def _outcome_fault(line: OutcomeLine, same_id: int) -> str | None:
    """Tell what is wrong with an outcome by itself."""
    if line.outcome not in OUTCOMES:
        return f"{line.outcome!r} is no outcome"
    if line.outcome != "sent" and not line.reason:
        return f"the outcome {line.outcome} has no reason"
    if not line.keys:
        return "the outcome is about nothing"
    return f"{same_id} lines have this reminder id" if same_id > 1 else None


def _window(evidence: Evidence) -> Iterator[Check]:
    """Promise 7: nothing after the end of grace."""
    for line, moment in evidence.goings():
        person = evidence.person(line, moment)
        zones = evidence.days.zones(person.place, line.local.date()) if person else ()
        today = max((moment.astimezone(zone).date() for zone in zones), default=line.local.date())
        for key in line.keys:
            state = evidence.history.owed(key.loan_id, key.installment_no).at(moment)
            if state is not None:
                last = key.due_date + timedelta(days=state.grace_days)
                late = max(today, key.day()) > last
                fault = f"the pre-due window ended on {last}" if late else None
                yield Check(partial(line_text, line, key, "at", moment), fault)


def _explained(evidence: Evidence) -> Iterator[Check]:
    """Promise 9: every outcome names policy, pack and text, in order, with the local time of its instant."""
    yield from evidence.unreadable_lines
    for line in evidence.lines:
        missing = [name for name in ("policy", "pack") if not getattr(line, name)]
        if line.outcome == "sent" and not line.text:
            missing.append("text")
        yield Check(partial(line_text, line), f"lacks {' and '.join(missing)}" if missing else None)
        yield Check(partial(line_text, line), _local_fault(evidence, line))
    for earlier, later in pairwise(evidence.lines):
        ordered = (earlier.at, earlier.reminder_id) <= (later.at, later.reminder_id)
        yield Check(f"contacts.jsonl line {later.number}", None if ordered else "stands after a later outcome")


def _local_fault(evidence: Evidence, line: OutcomeLine) -> str | None:
    """Tell how the local time contradicts the instant, or the zones that the borrower may be in; an outcome that was
    interrupted is recorded by somebody else later, when the borrower may have moved.
    """
    if line.local != line.at:
        return f"local_time {line.local.isoformat()} is not the instant {instant_text(line.at)}"
    people = filter(None, (evidence.person(line, line.at), evidence.person(line, _EVER)))
    zones = {zone for person in people for zone in evidence.days.zones(person.place, line.local.date())}
    offsets = {line.at.astimezone(zone).utcoffset() for zone in zones}
    fits = not offsets or line.local.utcoffset() in offsets
    return None if fits else f"local_time {line.local.isoformat()} is in no zone of the borrower"


def _coverage(evidence: Evidence) -> Coverage:
    """Count what became of the planned stages."""
    by_outcome: Counter[str] = Counter()
    planned = evidence.planned
    for key in planned.required:
        line = next(iter(evidence.lines_of_key.get(key, ())), None)
        if line is None:
            by_outcome["missing"] += 1
        else:
            by_outcome[line.outcome if line.contact else f"{line.outcome}: {line.reason}"] += 1
    unplanned = sum(key not in planned.required and key not in planned.either for key in evidence.lines_of_key)
    uncalled = sum(line.outcome == "unknown" and not evidence.calls_of[line.reminder_id] for line in evidence.lines)
    reminded = by_outcome["sent"] + by_outcome["unknown"]
    return Coverage(len(planned.required), reminded, dict(+by_outcome), unplanned, len(planned.either), uncalled)


_PROMISES: Mapping[int, Callable[[Evidence], Iterator[Check]]] = {
    1: _caps,
    2: _hours,
    3: _owed,
    4: _allowed,
    5: _once,
    6: _outcomes,
    7: _window,
    9: _explained,
}
