"""Why each message to a borrower went out or did not, told from the records of a run alone."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from infrastructure.local.report import words

RECORDS, CASES, DEAD_LETTERS = "records.jsonl", "cases.jsonl", "dead_letters.jsonl"
_WIDTH = 110
_LABEL = 12

_INPUTS = {
    "consent": "consent",
    "basis": "legal basis",
    "zone": "time zone",
    "zones": "time zones",
    "hours": "allowed hours",
    "channels": "channels",
    "contacts_7_days": "contacts in the 7 days before",
    "contacts_30_days": "contacts in the 30 days before",
    "ledger_version": "ledger version",
    "gave_way": "gave way to",
}
_INPUT_ORDER = {name: place for place, name in enumerate(_INPUTS)}
_ABLE = frozenset(("able", "ok"))


class NotFound(Exception):
    """Nothing can be explained: the records or the borrower are missing; asking again does not help."""


def explain(out: Path, borrower: str) -> str:
    """Every reminder of one borrower in time order, from `records.jsonl` in `out`, then what was planned and given up
    without a record, then the cases, in plain language.

    A record has the fields of contacts.jsonl and `inputs`, what the gate saw. Raises NotFound if there are no records
    to read, or nothing about the borrower.
    """
    records = sorted(
        _records_of_borrower(borrower, out / RECORDS),
        key=lambda record: (str(record["at"]), str(record["reminder_id"])),
    )
    # Runs of earlier versions have left none.
    cases = list(_records_of_borrower(borrower, out / CASES)) if (out / CASES).exists() else []
    given_up = _given_up(borrower, out / DEAD_LETTERS)
    left = [
        job for job in given_up if not any(due in record.get("dues", ()) for due in job["dues"] for record in records)
    ]
    if not records and not cases and not left:
        raise NotFound(
            f"no reminder was planned for borrower {borrower!r} in {out}. Either the id is misspelled, or no "
            f"installment of theirs was open on a stage's day in that period."
        )
    stated = (_paragraph(record, given_up) for record in records)
    return "\n\n".join([_heading(borrower, records, len(left)), *stated, *map(_lost, left), *map(_case, cases)]) + "\n"


def _given_up(borrower: str, path: Path) -> list[dict[str, Any]]:
    """The jobs about a borrower that lie in a dead-letter queue, each with that `queue`."""
    # Runs of earlier versions have left none.
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    letters = (json.loads(line) for line in lines)
    return [
        job | {"queue": letter["queue"]}
        for letter in letters
        for job in letter["jobs"]
        if job["borrower_id"] == borrower
    ]


def _lost(job: Mapping[str, Any]) -> str:
    lines = [f"{job['slot']}  PLANNED, AND NO OUTCOME", *_field("why", _failed_in(job))]
    return "\n".join(lines + [line for due in job["dues"] for line in _field("about", _due_text(due))])


def _failed_in(job: Mapping[str, Any]) -> str:
    return f"it was planned, but delivery failed: its job was given up and lies in the queue {job['queue']}"


def _case(case: Mapping[str, Any]) -> str:
    state = "open" if case["open"] else "closed by itself: there is nothing left to do"
    lines = [f"{case['opened_at']}  CASE for a person ({state})"]
    if "loan_id" in case:
        lines += _field("about", words.installment(case))
    for one in case["signals"]:
        lines += _field("warning", f"{words.CASES[one['signal']]}, seen at {one['at']} [{one['signal']}]")
    if not case["signals"]:
        lines += _field("why", f"{words.CASES[case['reason']]} [{case['reason']}]")
    return "\n".join([*lines, *_field("case", str(case["case_id"]))])


def _records_of_borrower(borrower: str, path: Path) -> Iterator[dict[str, Any]]:
    """The records of one borrower; a line is parsed only if it can be about them."""
    needle = json.dumps(borrower)[1:-1], borrower
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if (
                    any(form in line for form in needle)
                    and (record := _read_lines(path, number, line)).get("borrower_id") == borrower
                ):
                    yield record
    except FileNotFoundError:
        raise NotFound(
            f"there is no {path.name} in {path.parent}; run `predue run ... --out {path.parent}` first"
        ) from None


def _read_lines(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    needed = {"case_id", "open", "signals"} if path.name == CASES else {"at", "reminder_id", "outcome"}
    if not isinstance(record, dict) or not record.keys() >= needed:
        kind = "case" if path.name == CASES else "reminder record"
        raise NotFound(f"line {number} of {path} is not a {kind}; the run that wrote it may not have finished")
    return record


def _heading(borrower: str, records: Sequence[Mapping[str, Any]], left: int) -> str:
    counts = Counter(str(record["outcome"]) for record in records)
    stated = [f"{count} {words.outcome(outcome).lower()}" for outcome, count in counts.most_common()]
    stated += [f"{left} without an outcome"] if left else []
    counted = f" ({', '.join(stated)})" if stated else ""
    total = len(records) + left
    noun = "reminder was" if total == 1 else "reminders were"
    return f"Borrower {borrower}: {total} {noun} planned{counted}."


def _paragraph(record: Mapping[str, Any], given_up: Sequence[Mapping[str, Any]]) -> str:
    title = f"{_when(record)}  {_verdict_text(record)}"
    lines = [title, *_field("why", _why(record, given_up))]
    lines += [line for due in record.get("dues") or () for line in _field("about", _due_text(due))]
    lines += [line for attempt in record.get("attempts") or () for line in _field("attempt", _attempt(attempt))]
    if record.get("provider_message_id"):
        lines += _field("provider", f"message {record['provider_message_id']}")
    if record.get("outcome") in words.CONTACTS:
        lines += _field("receipt", str(record.get("receipt") or "none yet"))
    lines += [line for text in _inputs(record.get("inputs") or {}) for line in _field("seen", text)]
    lines += _field("rules", _versions(record))
    lines += _field("record", str(record["reminder_id"]))
    return "\n".join(lines)


def _field(label: str, text: str) -> list[str]:
    """A labelled line, wrapped under itself."""
    return textwrap.wrap(
        f"  {label:<{_LABEL - 2}}{text}",
        _WIDTH,
        subsequent_indent=" " * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _when(record: Mapping[str, Any]) -> str:
    """The borrower's own wall time, and the instant in UTC."""
    at = str(record["at"])
    try:
        local = datetime.fromisoformat(str(record.get("local_time")))
    except ValueError:
        return f"{at} (local time not recorded)"
    offset = local.isoformat()[-6:] if local.tzinfo else "?"
    return f"{local:%a %Y-%m-%d %H:%M} local time (UTC{offset}; {at})"


def _verdict_text(record: Mapping[str, Any]) -> str:
    outcome, channel = str(record["outcome"]), words.channel(str(record.get("channel") or ""))
    if outcome == "sent":
        return f"SENT by {channel}"
    if outcome == "unknown":
        return f"PERHAPS SENT by {channel}"
    return f"NOT SENT ({words.outcome(outcome).lower()})"


def _why(record: Mapping[str, Any], given_up: Sequence[Mapping[str, Any]]) -> str:
    outcome, code = str(record["outcome"]), str(record.get("reason") or "")
    if code == "no_run":
        failed = (job for job in given_up if any(due in record["dues"] for due in job["dues"]))
        because = next(map(_failed_in, failed), words.reason(code).because)
        return f"{because} [{outcome}: {code}]"
    if outcome == "sent":
        stages = sorted({str(due["stage"]) for due in record.get("dues") or ()}, key=words.stage_offset)
        return (
            f"the {' and '.join(stages) or 'planned'} reminder was due, the money was owed, and every rule allowed it"
        )
    return f"{words.reason(code, outcome).because} [{outcome}{f': {code}' if code else ''}]"


def _due_text(due: Mapping[str, Any]) -> str:
    stage = str(due["stage"])
    return f"{words.installment(due)}: {stage} ({words.stage(stage)})"


def _attempt(attempt: Mapping[str, Any]) -> str:
    code, _, detail = str(attempt.get("answer") or "no answer").partition(":")
    meaning = words.REASONS.get(code)
    stated = (
        f"{meaning.because} ({code}{f', {detail}' if detail else ''})"
        if meaning
        else f"{code}{f' ({detail})' if detail else ''}"
    )
    return f"{attempt.get('at', '?')} by {words.channel(str(attempt.get('channel') or ''))}: {stated}"


def _inputs(inputs: Mapping[str, Any]) -> list[str]:
    """What the gate saw, one line for each input; keys that are not known here are shown under their own names."""
    names = sorted(inputs, key=lambda name: (_INPUT_ORDER.get(name, len(_INPUT_ORDER)), name))
    writers = {"channels": _channel_obstacles}
    return [f"{_INPUTS.get(name, name.replace('_', ' '))}: {writers.get(name, _value)(inputs[name])}" for name in names]


def _channel_obstacles(value: object) -> str:
    """Each channel, and what stood in its way."""
    if not isinstance(value, Mapping):
        return _value(value)
    stated = (
        f"{words.channel(name)} could be used"
        if state in _ABLE
        else f"{words.channel(name)} not, {words.reason(str(state)).because}"
        for name, state in value.items()
    )
    return "; ".join(stated) or "none wished for"


def _value(value: object) -> str:
    """Any JSON value in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "") else str(value)


def _versions(record: Mapping[str, Any]) -> str:
    named = ((name, str(record.get(name) or "")) for name in ("policy", "pack", "text"))
    return ", ".join(f"{name} {version or 'not used'}" for name, version in named)
