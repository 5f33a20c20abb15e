"""The bundled portfolio, made from a seed: a few hundred borrowers over the world whose two weeks meet every rule.

Generated rather than committed, so that it can cover any period and size.
"""

import csv
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infrastructure.local.runs.demo_data import (
    AMOUNT_SCALE,
    AU_NUMBERS,
    DOMAINS,
    FIRST_NAMES,
    LAST_NAMES,
    PLACES,
    US_NUMBERS,
    DemoPlace,
)

Row = dict[str, Any]

_USUAL_SLOT = time(10)
_STAGE_DAYS = (-3, -1, 0)
# How often what happens, in shares of each hundred.
_FATES = {
    "paid": 38,
    "paid just before the slot": 12,
    "paid in parts": 8,
    "rescheduled": 4,
    "disputed": 3,
    "disputed for a while": 3,
    "cancelled": 2,
    "payment reversed": 2,
    "paid before the period": 4,
    "unpaid": 24,
}
_PREFERENCES = {
    "opted out": 4,
    "opted out for a while": 2,
    "hold": 2,
    "hold for a while": 2,
    "profile changed": 3,
    "": 87,
}
_CONSENTS = {"all": 90, "first": 7, "none": 3}
_FEW, _SOME, _MANY = 0.03, 0.2, 0.4


@dataclass
class _Book:
    """What has been made so far."""

    rng: random.Random
    first_day: date
    last_day: date
    borrowers: list[Row] = field(default_factory=list)
    installments: list[Row] = field(default_factory=list)
    events: list[tuple[datetime, Row]] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def happens(self, day: date, zone: str, wall: time, kind: str, **body: object) -> None:
        """Note an event at a wall time of a zone, if its day lies in the period."""
        if not self.first_day <= day <= self.last_day:
            return
        moment = datetime.combine(day, wall, ZoneInfo(zone or "America/Chicago")).astimezone(UTC)
        event_id = f"evt-{len(self.events) + 1:05d}"
        if kind == "borrower.opted_in":
            body = {"occurred_at": moment.isoformat(), **body}
        self.events.append((moment, {"type": kind, "source": "core", "event_id": event_id, **body}))

    def one_of(self, shares: Mapping[str, int]) -> str:
        """Draw a name by its share."""
        return self.rng.choices(list(shares), list(shares.values()))[0]

    def day(self) -> date:
        """Draw a day of the period."""
        return self.first_day + timedelta(days=self.rng.randrange((self.last_day - self.first_day).days + 1))

    def wall(self) -> time:
        """Draw a waking hour."""
        return time(self.rng.randrange(6, 23), self.rng.randrange(60))


def write_demo(folder: Path, *, seed: int = 1, borrowers: int = 240, first_day: date, last_day: date) -> None:
    """Write borrowers.csv, installments.csv and events.jsonl for `first_day` to `last_day`, both inclusive.

    The same arguments give the same bytes. A few rows and events are bad on purpose, so that a run can reject them.
    """
    book = _Book(random.Random(seed), first_day, last_day)
    for number in range(1, borrowers + 1):
        borrower = _draw_person(book, number)
        book.borrowers.append(borrower)
        _loans(book, borrower, number)
        _draw_preferences(book, borrower)
    _late_arrivals(book)
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "borrowers.csv", [*book.borrowers, *_bad_borrowers(book)])
    _write_csv(folder / "installments.csv", [*book.installments, *_bad_installments(book)])
    with (folder / "events.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in _happenings(book))


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# Borrowers


def _draw_person(book: _Book, number: int) -> Row:
    rng = book.rng
    # The first borrowers go round the world, so that even a small portfolio has every place.
    place = PLACES[number - 1] if number <= len(PLACES) else rng.choices(PLACES, [place.share for place in PLACES])[0]
    locale = rng.choice(place.locales)
    borrower_id = f"b-{number:04d}"
    channels, openid = _draw_channels(rng, place, number)
    consent = {"all": channels, "first": channels.partition("|")[0], "none": ""}
    row = {
        "borrower_id": borrower_id,
        "name": _name(rng, locale),
        "phone": _phone(book, place),
        "email": f"{borrower_id}@{rng.choice(DOMAINS)}",
        "wechat_openid": openid,
        "locale": locale,
        "time_zone": "" if number > len(PLACES) and rng.random() < _FEW else place.zone,
        "jurisdiction": place.jurisdiction,
        "channels": channels,
        "consent": consent[book.one_of(_CONSENTS)],
        "preferred_time": rng.choice(["", "", "", "", "", "", "09:00", "11:20", "18:45", "18:45"]),
    }
    if rng.random() < _FEW:
        broken = rng.choice(["phone", "email"])
        row[broken] = {"phone": "+1 555 01", "email": f"{borrower_id}.example.com"}[broken]
    return row


def _draw_channels(rng: random.Random, place: DemoPlace, number: int) -> tuple[str, str]:
    """Draw the order of channels, and a WeChat openid where it is among them."""
    if place.jurisdiction == "CN" and rng.random() < _MANY:
        return "wechat|email", f"oExample{number:06d}"
    if not place.phone:
        return rng.choice(["email", "email", "email|sms", "sms|email"]), ""
    return rng.choice(["sms|email", "sms|email", "email|sms", "sms", "email"]), ""


def _name(rng: random.Random, locale: str) -> str:
    language = locale.partition("-")[0]
    first, last = rng.choice(FIRST_NAMES[language].split()), rng.choice(LAST_NAMES[language].split())
    return f"{last}{first}" if language == "zh" else f"{first} {last}"


def _phone(book: _Book, place: DemoPlace) -> str:
    """Take the next number of the place that is reserved for examples; empty once there is none left."""
    used = book.numbers[place.phone]
    book.numbers[place.phone] += 1
    if not place.phone:
        return ""
    if place.phone == "AU":
        return f"+61491{AU_NUMBERS[used]}" if used < len(AU_NUMBERS) else ""
    return f"+1{place.phone}55501{used:02d}" if used < US_NUMBERS else ""


def _draw_preferences(book: _Book, borrower: Row) -> None:
    """Opt-outs, holds and changes of profile."""
    rng, send_time, day = book.rng, book.one_of(_PREFERENCES), book.day()
    who, zone = {"borrower_id": borrower["borrower_id"]}, borrower["time_zone"]
    if send_time.startswith("opted out"):
        channel = rng.choice(["sms", "email", "all"])
        book.happens(day, zone, book.wall(), "borrower.opted_out", **who, channel=channel)
        if send_time.endswith("while"):
            back = day + timedelta(days=3)
            book.happens(back, zone, time(8, 30), "borrower.opted_in", **who, channel=channel)
    elif send_time.startswith("hold"):
        reason = rng.choice(["hardship", "hardship", "bereavement"])
        book.happens(day, zone, time(9), "borrower.hold_started", **who, reason=reason)
        if send_time.endswith("while"):
            book.happens(day + timedelta(days=6), zone, time(9), "borrower.hold_ended", **who, reason=reason)
    elif send_time:
        change = rng.choice([{"time_zone": "America/Denver"}, {"preferred_time": "18:30"}, {"channels": "email|sms"}])
        book.happens(day, zone, time(12), "borrower.updated", **who, **change)


# Loans and what becomes of their installments


def _loans(book: _Book, borrower: Row, number: int) -> None:
    rng = book.rng
    span = (book.last_day - book.first_day).days
    # Every due date of which some stage falls into the period, in turn at first, then at random.
    offset = (number - 1) % (span + 9) - 1 if number <= span + 9 else rng.randrange(-1, span + 8)
    due = book.first_day + timedelta(days=offset)
    _loan(book, borrower, f"L-{number:04d}", due)
    if rng.random() < _SOME:
        # A second loan whose stages fall on the same days as the first one's, or all but.
        _loan(book, borrower, f"L-{number:04d}-B", due + timedelta(days=rng.choice([0, 2, 2, 3, 4])))


def _loan(book: _Book, borrower: Row, loan_id: str, due: date) -> None:
    """One loan: last month's installment, paid, and this month's and the next one's."""
    rng = book.rng
    currency = next(place.currency for place in PLACES if place.jurisdiction == borrower["jurisdiction"])
    amount = f"{rng.randint(4_000, 90_000) * AMOUNT_SCALE.get(currency, 1) / 100:.2f}"
    number, grace = rng.randint(2, 30), rng.choice([0, 3, 5, 5, 15])
    for step, status in ((-1, "paid"), (0, "open"), (1, "open")):
        book.installments.append(
            {
                "loan_id": loan_id,
                "installment_no": number + step,
                "borrower_id": borrower["borrower_id"],
                "due_date": _add_months(due, step).isoformat(),
                "amount": amount,
                "currency": currency,
                "grace_days": grace,
                "status": status,
            }
        )
    _fate(book, borrower, book.installments[-2], due)


def _add_months(day: date, months: int) -> date:
    """Count to the same day of another month, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    after = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return date(year, month + 1, min(day.day, (after - timedelta(days=1)).day))


def _fate(book: _Book, borrower: Row, row: Row, due: date) -> None:
    """Let happen what becomes of this month's installment; a quarter stay unpaid."""
    rng, fate, zone = book.rng, book.one_of(_FATES), borrower["time_zone"]
    ids = {name: row[name] for name in ("borrower_id", "loan_id", "installment_no")}
    paid = {**ids, "amount": row["amount"], "currency": row["currency"]}
    day = due - timedelta(days=rng.choice([0, 0, 0, 1, 1, 2, 2, 4, 5, 6]))
    match fate:
        case "paid":
            book.happens(day, zone, book.wall(), "installment.paid", **paid)
        case "paid just before the slot":
            stage_day = due + timedelta(days=rng.choice(_STAGE_DAYS))
            book.happens(stage_day, zone, _just_before_slot(book, borrower), "installment.paid", **paid)
        case "paid in parts":
            _in_parts(book, zone, day, paid)
        case "rescheduled":
            later = (due + timedelta(days=10)).isoformat()
            book.happens(day, zone, time(15), "installment.rescheduled", **ids, due_date=later)
        case "disputed" | "disputed for a while":
            book.happens(day - timedelta(days=1), zone, time(16), "installment.disputed", **ids)
            if fate != "disputed":
                book.happens(day + timedelta(days=1), zone, time(8), "installment.dispute_ended", **ids)
        case "cancelled":
            book.happens(day, zone, time(11), "installment.cancelled", **ids)
        case "payment reversed":
            book.happens(day - timedelta(days=2), zone, time(8), "installment.paid", **paid)
            book.happens(day, zone, time(9, 30), "installment.payment_reversed", **paid)
        case "paid before the period":
            row["status"] = "paid"


def _just_before_slot(book: _Book, borrower: Mapping[str, Any]) -> time:
    """Draw a wall time at the borrower's slot or a few minutes before it."""
    slot = time.fromisoformat(borrower["preferred_time"]) if borrower["preferred_time"] else _USUAL_SLOT
    before = timedelta(minutes=book.rng.choice([0, 1, 3, 8]))
    return (datetime.combine(book.first_day, slot) - before).time()


def _in_parts(book: _Book, zone: str, day: date, paid: Row) -> None:
    """Half the amount some days early; of two borrowers one pays the rest."""
    cents = round(float(paid["amount"]) * 100)
    half = cents // 2
    early = day - timedelta(days=book.rng.choice([2, 4]))
    book.happens(early, zone, book.wall(), "installment.paid", **{**paid, "amount": f"{half / 100:.2f}"})
    if book.rng.choice([True, False]):
        rest = f"{(cents - half) / 100:.2f}"
        book.happens(day, zone, book.wall(), "installment.paid", **{**paid, "amount": rest})


def _late_arrivals(book: _Book) -> None:
    """Events of a borrower and of installments that the files do not have yet."""
    day = book.first_day + timedelta(days=1)
    new = {"borrower_id": "b-new-1", "name": "Vera Okafor", "email": "b-new-1@example.org", "locale": "en-GB"}
    place = {"time_zone": "Europe/London", "jurisdiction": "GB", "channels": "email", "consent": "email"}
    book.happens(day, "Europe/London", time(9), "borrower.updated", **new, **place)
    for number, borrower_id in enumerate(["b-new-1", *(row["borrower_id"] for row in book.borrowers[:2])], 1):
        terms = {"amount": "120.00", "currency": "GBP" if number == 1 else "USD", "grace_days": 5}
        ids = {"borrower_id": borrower_id, "loan_id": f"L-NEW-{number}", "installment_no": 1}
        due = (day + timedelta(days=5 + number)).isoformat()
        book.happens(day, "Europe/London", time(9, number), "installment.scheduled", **ids, **terms, due_date=due)


# Events as it arrives, and rows that are bad on purpose


def _happenings(book: _Book) -> list[Row]:
    """Put all events in order of arrival, numbered within loan or borrower, among repeats, stale and bad ones."""
    sequences: Counter[str] = Counter()
    arriving: list[tuple[datetime, Row]] = []
    for moment, event in sorted(book.events, key=lambda item: item[0]):
        key = str(event.get("loan_id", event["borrower_id"]))
        sequences[key] += 1
        arriving.append((moment, {**event, "sequence": sequences[key]}))
    arriving += list(_noise(book, list(arriving)))
    arriving.sort(key=lambda item: item[0])
    return [{"at": _stamp(moment), **event} for moment, event in arriving] + _bad_events(book)


def _noise(book: _Book, happenings: Sequence[tuple[datetime, Row]]) -> Iterable[tuple[datetime, Row]]:
    """Repeat some events, send old events after newer, and events about nobody known, as webhooks do."""
    for number, (moment, event) in enumerate(happenings):
        later = moment + timedelta(minutes=book.rng.randint(1, 2000))
        if number % 20 == 0:
            yield later, event
        if event["type"] == "installment.rescheduled":
            stale = {**event, "event_id": f"{event['event_id']}-stale", "sequence": 0}
            yield later, {**stale, "due_date": book.first_day.isoformat()}
        if number % 90 == 1:
            stranger = {"borrower_id": "b-nobody", "loan_id": "L-nobody", "installment_no": 1, "sequence": 1}
            yield later, {**event, **stranger, "event_id": f"{event['event_id']}-nobody"}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _bad_borrowers(book: _Book) -> list[Row]:
    """Repeat an id, and name an hour that no day has and a channel that nobody offers."""
    row = book.borrowers[0]
    return [
        row,
        {**row, "borrower_id": "b-bad-hour", "phone": "", "preferred_time": "25:30"},
        {**row, "borrower_id": "b-bad-channel", "phone": "", "channels": "sms|fax", "consent": "sms"},
    ]


def _bad_installments(book: _Book) -> list[Row]:
    """Name half a cent, a day that no calendar has, and an unknown borrower, status and currency."""
    row = book.installments[0]
    faults: tuple[Row, ...] = (
        {"amount": "120.005"},
        {"due_date": f"{book.first_day.year}-02-30"},
        {"borrower_id": "b-unknown"},
        {"status": "late"},
        {"currency": "US$"},
    )
    return [{**row, "loan_id": f"L-BAD-{number}", **fault} for number, fault in enumerate(faults, 1)]


def _bad_events(book: _Book) -> list[Row]:
    """Tell events without an id, and events whose instant nobody can know."""
    ids = {name: book.installments[1][name] for name in ("borrower_id", "loan_id", "installment_no")}
    moment = _stamp(datetime.combine(book.last_day, time(12), UTC))
    event = {"type": "installment.cancelled", "source": "core", **ids, "sequence": 999}
    return [{"at": moment, **event}, {"at": moment.removesuffix("Z"), **event, "event_id": "evt-bad-instant"}]
