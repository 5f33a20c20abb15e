"""Two policies over the same portfolio, side by side: what each does to people, as JSON and as a page with plots."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from infrastructure.local.report import words
from infrastructure.local.report.report import PLOT_HEIGHT, columns_of, pages
from infrastructure.local.report.summary import held_back
from infrastructure.local.runs import outputs

Side = dict[str, Any]
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EMAIL_USD = 0.0001
"""SES takes ten cents for a thousand messages (aws.amazon.com/ses/pricing, 2026)."""
_CHANGED = 25
NAMES = ("a", "b")


def compare(out: Path, against: Path, segment_usd: float) -> Side:
    """Write compare.json and compare.html into the first folder of two simulations, and return what the first says.

    `segment_usd` is what a segment of a text message costs; carriers' prices differ by country and contract.
    """
    sides = {name: _side(folder, segment_usd) for name, folder in zip(NAMES, (out, against), strict=True)}
    found = {
        **sides,
        "difference": {name: round(sides["b"][name] - sides["a"][name], 2) for name in _FIGURES},
        "changed_most": _changed(out, against),
    }
    (out / "compare.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (out / "compare.html").write_text(_compare_page(found), encoding="utf-8")
    return found


_FIGURES: Mapping[str, str] = {
    "sent": "Messages that went out, or may have",
    "mean_per_borrower": "Messages per borrower, on average",
    "most_to_one": "Most messages to one borrower",
    "held_back": "Planned reminders that did not go out",
    "dues_never_reminded": "Installments with a planned reminder of which none went out",
    "sms_segments": "Segments of text messages",
    "fees_usd": "Providers' fees in dollars",
}
"""The figures of each side, by their names in compare.json."""


def _side(out: Path, segment_usd: float) -> Side:
    """The figures of one simulation, from its summary and its lines."""
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    planned, reminded = _dues(out)
    accepted, per = summary["accepted"], summary["contacts_per_borrower"]
    contacts = sum(summary["by_channel"].values())
    weekdays: Counter[str] = Counter()
    for day, counts in summary["by_day"].items():
        weekdays[_WEEKDAYS[date.fromisoformat(day).weekday()]] += sum(counts.values())
    return {
        "policy": summary["policy"],
        "sent": contacts,
        "mean_per_borrower": per["mean"],
        "most_to_one": per["max"],
        "held_back": sum(summary["outcomes"].values()) - contacts,
        "dues_never_reminded": planned - reminded,
        "sms_segments": accepted.get("sms_segments", 0),
        "fees_usd": round(accepted.get("sms_segments", 0) * segment_usd + accepted.get("email", 0) * _EMAIL_USD, 2),
        "per_borrower": per["histogram"],
        "by_hour": {f"{hour:02}": sum(summary["by_hour"].get(f"{hour:02}", {}).values()) for hour in range(24)},
        "by_weekday": {name: weekdays[name] for name in _WEEKDAYS},
        "held_back_by_reason": {label: count for reasons in held_back(summary).values() for label, _, count in reasons},
        "promises_broken": len(summary.get("promises", {}).get("broken", ())),
    }


def _dues(out: Path) -> tuple[int, int]:
    """How many installments had a planned reminder, and of how many one went out."""
    planned, reminded = set[int](), set[int]()
    for line in outputs.read_lines(out / "contacts.jsonl"):
        dues = [hash((due["loan_id"], due["installment_no"], due["due_date"])) for due in line["dues"]]
        planned.update(dues)
        if line["outcome"] in words.CONTACTS:
            reminded.update(dues)
    return len(planned), len(reminded)


def _changed(out: Path, against: Path) -> list[Side]:
    """The borrowers whose messages differ most: in number on each channel, then in what was held back."""
    found: defaultdict[str, dict[str, Counter[str]]] = defaultdict(lambda: {name: Counter() for name in NAMES})
    for name, folder in zip(NAMES, (out, against), strict=True):
        for line in outputs.read_lines(folder / "contacts.jsonl"):
            went = line["outcome"] in words.CONTACTS
            found[line["borrower_id"]][name][line["channel"] if went else "held back"] += 1
    ranked = sorted(found, key=lambda who: (*(-change for change in _change(**found[who])), who))
    return [
        {"borrower_id": who, **{name: dict(sorted(found[who][name].items())) for name in NAMES}}
        for who in ranked[:_CHANGED]
        if any(_change(**found[who]))
    ]


def _change(a: Counter[str], b: Counter[str]) -> tuple[int, int]:
    channels = {*a, *b} - {"held back"}
    return sum(abs(a[one] - b[one]) for one in channels), abs(a["held back"] - b["held back"])


def _compare_page(found: Mapping[str, Any]) -> str:
    sides = [found[name] for name in NAMES]
    counts = range(max((int(count) for side in sides for count in side["per_borrower"]), default=0) + 1)
    plots = [
        (
            "Messages per borrower",
            "borrowers",
            "messages in the period",
            [str(count) for count in counts],
            "per_borrower",
        ),
        ("At what hour", "messages", "hour of the borrowers' local day", list(sides[0]["by_hour"]), "by_hour"),
        ("On what weekday", "messages", "the borrowers' local weekday", list(_WEEKDAYS), "by_weekday"),
    ]
    reasons = list(dict.fromkeys(reason for side in sides for reason in side["held_back_by_reason"]))
    return (
        pages()
        .get_template("compare.html.j2")
        .render(
            sides=sides,
            figures=[(text, *(side[name] for side in sides)) for name, text in _FIGURES.items()],
            plots=[
                {"title": title, "y": y, "x": x, "charts": columns_of(labels, [side[name] for side in sides])}
                for title, y, x, labels, name in plots
            ],
            reasons=[(reason, *(side["held_back_by_reason"].get(reason, 0) for side in sides)) for reason in reasons],
            changed=found["changed_most"],
            plot_height=PLOT_HEIGHT,
            series=[],
        )
    )
