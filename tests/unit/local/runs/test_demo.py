import csv
import json
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infrastructure.local.runs.demo import write_demo
from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, Portfolio, read_portfolio
from predue.domain import contact_point
from predue.domain.stage import Stage
from predue.events.models import read_event

FIRST, LAST = date(2026, 12, 1), date(2026, 12, 14)
FILES = ("borrowers.csv", "installments.csv", "events.jsonl")
RESERVED_NUMBERS = re.compile(r"\+1\d{3}55501\d\d|\+442079460\d{3}|\+6149157\d{4}")
RESERVED_DOMAINS = ("example.com", "example.org", "example.net")


def read(folder: Path) -> Portfolio:
    return read_portfolio(*(folder / name for name in FILES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_demo(path, first_day=FIRST, last_day=LAST)
    return path


@pytest.fixture(scope="module")
def portfolio(folder: Path) -> Portfolio:
    return read(folder)


def test_the_files_have_the_documented_columns(folder: Path) -> None:
    for name, columns in (("borrowers.csv", BORROWER_COLUMNS), ("installments.csv", INSTALLMENT_COLUMNS)):
        with (folder / name).open(newline="", encoding="utf-8") as file:
            assert tuple(next(csv.reader(file))) == columns


def test_only_the_rows_that_are_bad_on_purpose_are_rejected(portfolio: Portfolio) -> None:
    assert Counter(row.file for row in portfolio.rejected) == {
        "borrowers.csv": 3,
        "installments.csv": 5,
        "events.jsonl": 2,
    }
    assert len(portfolio.borrowers) == 240


def test_every_event_that_is_not_bad_on_purpose_is_one_the_webhook_takes(portfolio: Portfolio) -> None:
    for event in portfolio.events:
        assert read_event(event.body) == event.event


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    write_demo(tmp_path / "same", first_day=FIRST, last_day=LAST)
    write_demo(tmp_path / "other", seed=2, first_day=FIRST, last_day=LAST)

    for name in FILES:
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_every_contact_point_is_reserved_for_examples(tmp_path: Path) -> None:
    write_demo(tmp_path, borrowers=3000, first_day=FIRST, last_day=LAST)

    for borrower in read(tmp_path).borrowers:
        phone, email = str(borrower.phone), str(borrower.email)
        assert phone in ("", "+1 555 01") or RESERVED_NUMBERS.fullmatch(phone)
        assert "@" not in email or email.rpartition("@")[2] in RESERVED_DOMAINS


def test_all_but_a_few_contact_points_are_valid_and_no_number_has_two_owners(portfolio: Portfolio) -> None:
    bad = 0
    numbers: Counter[str] = Counter()
    for borrower in portfolio.borrowers:
        for value, reader in ((borrower.phone, contact_point.phone), (borrower.email, contact_point.email)):
            try:
                valid = reader(value) if value else ""
            except ValueError:
                bad += 1
                continue
            numbers[valid] += reader is contact_point.phone and bool(value)
    assert 0 < bad < 20
    assert max(numbers.values()) == 1


def test_borrowers_live_all_over_the_world_and_a_few_nobody_knows_where(portfolio: Portfolio) -> None:
    zones = Counter(borrower.time_zone for borrower in portfolio.borrowers)

    assert zones.keys() >= {
        "America/Phoenix", "Pacific/Honolulu", "Europe/London", "Europe/Madrid", "Asia/Shanghai", "Asia/Kolkata",
        "Asia/Kathmandu", "Australia/Adelaide", "America/Mexico_City",
    }  # fmt: skip
    assert 0 < zones[""] < 20
    assert all(ZoneInfo(zone) for zone in zones if zone)
    locales = {borrower.locale for borrower in portfolio.borrowers}
    assert locales >= {"en-US", "en-GB", "es-US", "es-MX", "zh-CN"}


def test_some_give_no_consent(portfolio: Portfolio) -> None:
    assert 0 < sum(not borrower.consent for borrower in portfolio.borrowers) < 30


def test_every_kind_of_events_happens(portfolio: Portfolio) -> None:
    kinds = {event.body["type"] for event in portfolio.events}

    assert kinds == {
        "installment.scheduled", "installment.rescheduled", "installment.paid", "installment.payment_reversed",
        "installment.cancelled", "installment.disputed", "installment.dispute_ended", "borrower.updated",
        "borrower.opted_out", "borrower.opted_in", "borrower.hold_started", "borrower.hold_ended",
    }  # fmt: skip


def test_events_repeats_comes_stale_and_speaks_of_nobody_known(portfolio: Portfolio) -> None:
    ids = Counter(event.body["event_id"] for event in portfolio.events)

    assert max(ids.values()) > 1
    assert any(event.body["sequence"] == 0 for event in portfolio.events)
    assert any(event.body.get("loan_id") == "L-nobody" for event in portfolio.events)


def test_events_of_a_loan_is_numbered_in_the_order_in_which_it_happened(folder: Path) -> None:
    last: dict[str, int] = {}
    seen: set[str] = set()
    for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        event_id = event.get("event_id", "")
        if event_id in seen or not re.fullmatch(r"evt-\d+", event_id):
            continue
        seen.add(event_id)
        key = event.get("loan_id", event["borrower_id"])
        assert event["sequence"] == last.get(key, 0) + 1
        last[key] = event["sequence"]


def test_reminders_of_every_stage_fall_on_every_day_of_the_period(portfolio: Portfolio) -> None:
    days = [FIRST + timedelta(days=offset) for offset in range(14)]
    dues = Counter(event.due_date for event, status in portfolio.installments if status == "open")

    for name in ("T-7", "T-3", "T-1", "T0", "T+1"):
        assert all(dues[day - timedelta(days=Stage.named(name).offset)] for day in days)


def test_the_stages_of_two_loans_meet_on_one_day(portfolio: Portfolio) -> None:
    loans: dict[str, dict[date, set[str]]] = {}
    for event, status in portfolio.installments:
        if status == "open":
            for offset in (-7, -3, -1, 0):
                day = event.due_date + timedelta(days=offset)
                loans.setdefault(event.borrower_id, {}).setdefault(day, set()).add(event.loan_id)

    assert sum(any(len(met) > 1 for met in days.values()) for days in loans.values()) >= 10


def test_some_pay_in_parts(portfolio: Portfolio) -> None:
    owed = {(event.loan_id, event.installment_no): event.amount for event, _ in portfolio.installments}
    paid = [event.body for event in portfolio.events if event.body["type"] == "installment.paid"]
    partial = [
        body for body in paid if Decimal(body["amount"]) < owed.get((body["loan_id"], body["installment_no"]), 0)
    ]

    assert len(partial) >= 10


def test_a_small_portfolio_still_has_every_place(tmp_path: Path) -> None:
    write_demo(tmp_path, borrowers=15, first_day=FIRST, last_day=LAST)

    assert len({borrower.jurisdiction for borrower in read(tmp_path).borrowers}) == 15


def test_a_period_that_ends_in_february_is_as_good(tmp_path: Path) -> None:
    write_demo(tmp_path, first_day=date(2027, 1, 25), last_day=date(2027, 2, 28))

    assert len(read(tmp_path).rejected) == 10
