"""A small portfolio in which much happens at once, made from a seed: events of every kind, most of it around the slots.

Generated so that each seed of many meets other rules; two days, so that a run takes seconds.
"""

import csv
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infrastructure.local.runs.demo_data import DOMAINS, FIRST_NAMES, LAST_NAMES
from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS

FIRST_DAY, LAST_DAY = date(2026, 12, 10), date(2026, 12, 11)
_ZONES = {"America/New_York": "US-NY", "America/Chicago": "US-IL", "America/Los_Angeles": "US-CA", "": "US-TX"}
_PREFERENCES = ("", "", "", "09:00", "10:15", "19:45")
_CHANNELS = ("sms|email", "email|sms", "email", "sms")
# Seconds from a slot at which events come: right at it, in the middle of its deliveries, and around the lease.
_AROUND = (-60, -1, 0, 1, 2, 5, 15, 60, 119, 125, 200)
_BORROWERS = (16, 26)
_OFTEN, _SELDOM = 0.7, 0.15


@dataclass
class _DrawnBook:
    """What has been made so far."""

    rng: random.Random
    borrowers: list[dict[str, str]] = field(default_factory=list)
    installments: list[dict[str, str]] = field(default_factory=list)
    happenings: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    sequences: Counter[str] = field(default_factory=Counter)

    def add_event(self, borrower: dict[str, str], kind: str, **body: Any) -> None:
        """Note events at an instant of its own; its sequence grows in the order in which it is made."""
        key = str(body.get("loan_id", borrower["borrower_id"]))
        self.sequences[key] += 1
        frame = {"event_id": f"e-{len(self.happenings) + 1}", "source": "core", "sequence": self.sequences[key]}
        at = self._instant(borrower)
        said = {"occurred_at": at.isoformat()} if kind == "borrower.opted_in" else {}
        self.happenings.append((at, {"type": kind, **frame, **said, **body}))

    def _instant(self, borrower: dict[str, str]) -> datetime:
        day = self.rng.choice((FIRST_DAY, LAST_DAY))
        zone = ZoneInfo(borrower["time_zone"] or "America/Chicago")
        if self.rng.random() < _OFTEN:
            slot = datetime.combine(day, time.fromisoformat(borrower["preferred_time"] or "10:00"), zone)
            return slot.astimezone(UTC) + timedelta(seconds=self.rng.choice(_AROUND))
        midnight = datetime.combine(day, time(), zone).astimezone(UTC)
        return midnight + timedelta(seconds=self.rng.randrange(86_400))


def write_portfolio(folder: Path, seed: int) -> None:
    """Write borrowers.csv, installments.csv and events.jsonl for the two days; the same seed gives the same bytes."""
    book = _DrawnBook(random.Random(f"portfolio#{seed}"))
    for number in range(1, book.rng.randint(*_BORROWERS) + 1):
        borrower = _draw_borrower(book, number)
        for loan in range(book.rng.choice((1, 1, 2, 3))):
            _loan(book, borrower, f"L-{number}-{loan + 1}")
        for _ in range(book.rng.choice((0, 0, 1, 2))):
            _about_borrower(book, borrower)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "borrowers.csv", BORROWER_COLUMNS, book.borrowers)
    _write(folder / "installments.csv", INSTALLMENT_COLUMNS, book.installments)
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in _arriving(book)]
    (folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _draw_borrower(book: _DrawnBook, number: int) -> dict[str, str]:
    rng = book.rng
    zone = rng.choice(list(_ZONES))
    channels = rng.choice(_CHANNELS)
    # Now and then two borrowers share an address, so that a bounce of one concerns the other.
    mailbox = number - 1 if number > 1 and rng.random() < _SELDOM else number
    row = {
        "borrower_id": f"b-{number}",
        "name": f"{rng.choice(FIRST_NAMES['en'].split())} {rng.choice(LAST_NAMES['en'].split())}",
        "phone": f"+1212555{100 + number:04}",
        "email": f"b-{mailbox}@{DOMAINS[0]}",
        "wechat_openid": "",
        "locale": rng.choice(("en-US", "es-US")),
        "time_zone": zone,
        "jurisdiction": _ZONES[zone],
        "channels": channels,
        "consent": channels if rng.random() > _SELDOM else channels.partition("|")[0],
        "preferred_time": rng.choice(_PREFERENCES),
    }
    book.borrowers.append(row)
    return row


def _loan(book: _DrawnBook, borrower: dict[str, str], loan_id: str) -> None:
    """An installment of which some stage falls into the two days, and what becomes of it."""
    rng = book.rng
    due = FIRST_DAY + timedelta(days=rng.choice((-1, 0, 0, 1, 1, 2, 3, 4, 7)))
    row = {
        "loan_id": loan_id,
        "installment_no": "1",
        "borrower_id": borrower["borrower_id"],
        "due_date": due.isoformat(),
        "amount": "120.00",
        "currency": "USD",
        "grace_days": str(rng.choice((0, 1, 3))),
        "status": "open",
    }
    if rng.random() < _SELDOM:
        stated = {name: value for name, value in row.items() if name not in ("status", "installment_no", "grace_days")}
        grace = {"installment_no": 1, "grace_days": int(row["grace_days"])}
        book.add_event(borrower, "installment.scheduled", **stated, **grace)
    else:
        book.installments.append(row)
    for _ in range(rng.choice((0, 1, 2, 3))):
        _about_loan(book, borrower, loan_id, due)


def _about_loan(book: _DrawnBook, borrower: dict[str, str], loan_id: str, due: date) -> None:
    ids: dict[str, Any] = {"loan_id": loan_id, "installment_no": 1}
    moved = (due + timedelta(days=book.rng.choice((-1, 1, 2)))).isoformat()
    kinds: dict[str, dict[str, Any]] = {
        "installment.paid": {"amount": book.rng.choice(("120.00", "120.00", "50.00"))},
        "installment.payment_reversed": {"amount": "120.00"},
        "installment.rescheduled": {"due_date": moved},
        "installment.disputed": {},
        "installment.dispute_ended": {},
        "installment.cancelled": {},
    }
    kind = book.rng.choice(
        ["installment.paid", "installment.paid", "installment.disputed", "installment.disputed", *kinds]
    )
    book.add_event(borrower, kind, **ids, **kinds[kind])


def _about_borrower(book: _DrawnBook, borrower: dict[str, str]) -> None:
    rng = book.rng
    change = rng.choice(
        (
            {"time_zone": rng.choice([zone for zone in _ZONES if zone])},
            {"preferred_time": rng.choice(_PREFERENCES)},
            {"channels": rng.choice(_CHANNELS)},
            {"email": f"{borrower['borrower_id']}-new@{DOMAINS[0]}"},
        )
    )
    channel = {"channel": rng.choice(("sms", "email", "all"))}
    kinds: dict[str, dict[str, Any]] = {
        "borrower.updated": change,
        "borrower.opted_out": channel,
        "borrower.opted_in": channel,
        "borrower.hold_started": {"reason": "hardship"},
        "borrower.hold_ended": {},
    }
    kind = rng.choice(list(kinds))
    book.add_event(borrower, kind, borrower_id=borrower["borrower_id"], **kinds[kind])


def _arriving(book: _DrawnBook) -> list[dict[str, Any]]:
    """All events in the order of arrival, some of it twice."""
    happenings = list(book.happenings)
    for at, body in book.happenings:
        if book.rng.random() < _SELDOM:
            happenings.append((at + timedelta(seconds=book.rng.randrange(7_200)), body))
    happenings.sort(key=lambda item: item[0])
    return [{"at": at.isoformat().replace("+00:00", "Z"), **body} for at, body in happenings]
