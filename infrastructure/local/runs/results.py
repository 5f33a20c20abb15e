"""What a run leaves in its folder, whether a stack or a simulation played it: the same files, the same audit, the same
summary.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from infrastructure.local.audit.promises import Audit, Results, Run, Terms, audit, read_inputs
from infrastructure.local.report.report import write_report
from infrastructure.local.report.summary import summarise
from infrastructure.local.runs import case_lines, outputs
from infrastructure.local.runs.portfolio import Portfolio, Rejected, write_rejected
from predue.domain.policy import Policy
from predue.domain.record import Record
from predue.imports.row_report import WARNED_COLUMNS

Line = dict[str, Any]
PACKS = Path(__file__).parents[3] / "functions" / "predue" / "packs"


@dataclass(frozen=True)
class Period:
    """The local days of a run, both included."""

    first_day: date
    last_day: date


@dataclass
class Left:
    """What there is when time has passed. Under chaos also `arrivals`, the lines of the events and the instants at
    which each was acknowledged, and `claims`, the instants at which the table took them.

    `stopped` is the instant at which somebody ended it early; nobody can audit such a run.
    """

    records: list[Record]
    opened: list[Line]
    handed_over: list[Line]
    samples: list[Line]
    rejected: list[Rejected]
    sent: Mapping[str, int]
    dead_letters: list[Line]
    faults: Mapping[str, int] = field(default_factory=dict)
    claims: list[Line] | None = None
    arrivals: list[tuple[int, datetime]] | None = None
    stopped: datetime | None = None


def written(out: Path, portfolio: Portfolio, policy: Policy, period: Period, left: Left) -> Line:
    """Write every file of lines and `rejected.csv`, hold the run against the promises, and return its figures."""
    write_rejected(out / "rejected.csv", in_order(left.rejected))
    write_rejected(out / "warnings.csv", in_order(portfolio.warnings), WARNED_COLUMNS)
    contacts = [outputs.contact_line(record) for record in left.records]
    outputs.write_records(out, contacts, left.records)
    outputs.sort_lines(out / "wire.jsonl")
    overdue = sorted(left.handed_over, key=lambda one: (*outputs.by_instant(one), one["event_id"]))
    outputs.write_lines(out / "overdue.jsonl", overdue)
    outputs.write_lines(out / "cases.jsonl", left.opened)
    outputs.write_lines(out / "dead_letters.jsonl", left.dead_letters)
    figures = summarise(contacts) | {
        "rejected_rows": len(left.rejected),
        "warned": len(portfolio.warnings),
        "dead_letters": dict(sorted(Counter(letter["queue"] for letter in left.dead_letters).items())),
        "faults": dict(sorted(left.faults.items())),
        "handed_over": len({one["event_id"] for one in left.handed_over}),
        "accepted": dict(sorted(left.sent.items())),
        "cases": case_lines.counts(left.opened),
    }
    if left.stopped:
        return figures
    first_day, last_day = policy.first_day or period.first_day, policy.last_day or period.last_day
    verdict = audit(
        read_inputs(*portfolio.files, out / "rejected.csv"),
        Run(first_day, last_day, disturbed=left.claims is not None),
        Results.read(out, left.claims, left.arrivals),
        Terms.read(policy.model_dump(mode="json", exclude_unset=True), PACKS),
    )
    return figures | _verdict(verdict)


def in_order(rejected: list[Rejected], read: Sequence[Path | None] = ()) -> list[Rejected]:
    """Rejected rows by file, in the order in which the files were `read`, and by line."""
    files = list(dict.fromkeys([*(path.name for path in read if path), *(row.file for row in rejected)]))
    return sorted(rejected, key=lambda row: (files.index(row.file), row.line))


def _verdict(verdict: Audit) -> Line:
    coverage = verdict.coverage
    return {
        "promises": {
            "checked": {str(number): one.checked for number, one in verdict.verdicts.items()},
            "broken": [
                {"promise": number, "detail": text} for number, one in verdict.verdicts.items() for text in one.broken
            ],
        },
        "coverage": {
            "planned_stages": coverage.planned,
            "reminded": coverage.reminded,
            "share": round(coverage.share, 4),
            "by_outcome": dict(coverage.by_outcome),
        },
    }


def report(out: Path, summary: Line, policy: Policy, period: Period, title: str, samples: list[Line]) -> None:
    """Write summary.json and report.html over the files of lines that stand in the folder."""
    (out / "summary.json").write_text(json.dumps(summary, indent=2, default=str) + "\n", encoding="utf-8")
    write_report(
        out / "report.html",
        summary=summary,
        contacts=(),
        cases=[case_lines.told(one) for one in outputs.read_lines(out / "cases.jsonl") if one["open"]],
        samples=samples,
        title=title,
        period=(period.first_day, period.last_day),
        hours=(policy.hours.start.hour, policy.hours.end.hour),
    )
