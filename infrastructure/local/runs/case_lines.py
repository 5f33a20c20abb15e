"""The cases of a run, as cases.jsonl, summary, report and explanation show them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infrastructure.local.report import words
from infrastructure.local.runs import outputs
from predue import wiring
from predue.aws import items, table_keys
from predue.aws.case_items import read_case
from predue.domain import instant
from predue.domain.case import About, Case

Line = dict[str, Any]


def read(table_name: str) -> list[Line]:
    """Every case as a line of cases.jsonl, in the order in which they were opened."""
    found = [read_case(item) for item in outputs.scan(table_name, "K#")]
    if not found:
        return []
    dues = {(item["pk"], item["sk"]): item for item in outputs.scan(table_name, "D#")}
    table = wiring.table()

    def is_open(one: Case) -> bool:
        due = dues.get(_due_key(one))
        return one.state(items.read_due(due) if due else None, table.ledger(one.borrower_id)) == "open"

    return lines(found, is_open)


def lines(found: Iterable[Case], is_open: Callable[[Case], bool]) -> list[Line]:
    """Cases as lines of cases.jsonl, in the order in which they were opened."""
    ordered = sorted(found, key=lambda one: (one.opened_at, one.case_id))
    return [line(one, is_open=is_open(one)) for one in ordered]


def _due_key(case: Case) -> table_keys.Key:
    if not isinstance(case.about, About):
        return "", ""
    return table_keys.due(case.borrower_id, case.about.due_date, case.about.loan_id, case.about.installment_no)


def line(case: Case, *, is_open: bool) -> Line:
    """A case as a line of cases.jsonl."""
    stated: Line = {
        "opened_at": instant.to_text(case.opened_at),
        "case_id": case.case_id,
        "borrower_id": case.borrower_id,
        "kind": case.kind,
        "reason": case.reason,
        "open": is_open,
    }
    if isinstance(case.about, About):
        stated |= {
            "loan_id": case.about.loan_id,
            "installment_no": case.about.installment_no,
            "due_date": case.about.due_date.isoformat(),
        }
    seen = sorted((instant.to_text(at), signal) for signal, at in case.signals.items())
    return stated | {"signals": [{"at": at, "signal": signal} for at, signal in seen]}


def counts(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The cases of a summary: how many were opened and are open, and what was seen."""
    every = list(lines)
    seen = Counter(one["signal"] for each in every for one in each["signals"])
    seen.update(each["reason"] for each in every if each["kind"] == "help")
    return {
        "opened": len(every),
        "open": sum(each["open"] for each in every),
        "by_reason": dict(sorted(seen.items(), key=lambda item: (-item[1], item[0]))),
    }


def stated(case: Mapping[str, Any]) -> dict[str, str]:
    """A case in words: whom and what it is about, and why a person should look."""
    codes = [one["signal"] for one in case["signals"]] or [case["reason"]]
    about = words.installment(case) if "loan_id" in case else "the borrower"
    return {
        "borrower": str(case["borrower_id"]),
        "about": about,
        "why": "; ".join(words.CASES[code] for code in codes),
        "since": str(case["opened_at"])[:10],
    }
