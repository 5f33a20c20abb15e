"""The bundled portfolio around the present: a small one of the demo's, and borrowers whose slots are the quarter hours
just gone and those to come, so that who starts the stack sees reminders at once and need not wait long for the next.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from infrastructure.local.runs.demo import Row, write_demo
from infrastructure.local.runs.demo_data import FIRST_NAMES, LAST_NAMES, PLACES, DemoPlace
from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS
from predue.domain.slot import QUARTER

HISTORY = timedelta(hours=2)
"""How much of the past is played before the present."""
_BORROWERS = 60
_DAYS_BACK, _DAYS_AHEAD = 2, 12
_SLOTS, _AT_A_SLOT = 24, 2
# Well inside the hours of the default policy, wherever the place.
_EARLIEST, _LATEST = time(9), time(19, 30)
_STAGES = (0, 1, 3)
_WITHOUT_CONSENT, _WITHOUT_ADDRESS = 7, 5


def write_current(folder: Path, *, now: datetime, seed: int = 1) -> None:
    """Write borrowers.csv, installments.csv and events.jsonl for some days around `now`."""
    first, last = now.date() - timedelta(days=_DAYS_BACK), now.date() + timedelta(days=_DAYS_AHEAD)
    write_demo(folder, seed=seed, borrowers=_BORROWERS, first_day=first, last_day=last)
    rows = list(_coming(now, random.Random(seed)))
    _append(folder / "borrowers.csv", BORROWER_COLUMNS, [borrower for borrower, _ in rows])
    _append(folder / "installments.csv", INSTALLMENT_COLUMNS, [installment for _, installment in rows])


def _append(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, columns, lineterminator="\n").writerows(rows)


def _coming(now: datetime, rng: random.Random) -> Iterator[tuple[Row, Row]]:
    """Borrowers with an installment of which a stage falls on each of the quarter hours around now."""
    slot = (now - HISTORY).replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    for number in range(_SLOTS * _AT_A_SLOT):
        if number % _AT_A_SLOT == 0:
            slot += QUARTER
        awake = [place for place in PLACES if _EARLIEST <= slot.astimezone(ZoneInfo(place.zone)).time() <= _LATEST]
        yield _one(number + 1, slot, rng.choice(awake), rng)


def _one(number: int, slot: datetime, place: DemoPlace, rng: random.Random) -> tuple[Row, Row]:
    local = slot.astimezone(ZoneInfo(place.zone))
    locale = rng.choice(place.locales)
    language = locale.partition("-")[0]
    names = rng.choice(FIRST_NAMES[language].split()), rng.choice(LAST_NAMES[language].split())
    # The demo counts an area code's reserved numbers upwards; these come from their end.
    phone = f"+1{place.phone}55501{99 - number:02}" if place.phone.isdigit() else ""
    channels = rng.choice(["email|sms", "sms|email"]) if phone else "email"
    # Some are held back, so that reasons can be seen, too.
    consent = "" if number % _WITHOUT_CONSENT == 0 else channels
    mailbox = f"b-now-{number:02}" + ("" if number % _WITHOUT_ADDRESS == 0 else "@example.com")
    borrower = {
        "borrower_id": f"b-now-{number:02}",
        "name": "".join(reversed(names)) if language == "zh" else " ".join(names),
        "phone": phone,
        "email": mailbox,
        "wechat_openid": "",
        "locale": locale,
        "time_zone": place.zone,
        "jurisdiction": place.jurisdiction,
        "channels": channels,
        "consent": consent,
        "preferred_time": f"{local:%H:%M}",
    }
    installment = {
        "loan_id": f"L-NOW-{number:02}",
        "installment_no": rng.randint(2, 30),
        "borrower_id": borrower["borrower_id"],
        "due_date": (local.date() + timedelta(days=rng.choice(_STAGES))).isoformat(),
        "amount": f"{rng.randint(8_000, 60_000) / 100:.2f}",
        "currency": place.currency,
        "grace_days": 5,
        "status": "open",
    }
    return borrower, installment
