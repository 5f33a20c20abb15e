import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from infrastructure.local.runs.demo import write_demo
from infrastructure.local.runs.portfolio import Portfolio, read_portfolio
from predue.domain import contact_point
from predue.events.models import read_event

FIRST, LAST = date(2026, 12, 1), date(2026, 12, 14)
FILES = ("borrowers.csv", "installments.csv", "events.jsonl")
RESERVED_NUMBERS = re.compile(r"\+1\d{3}55501\d\d|\+6149157\d{4}")
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


def test_every_kind_of_events_happens(portfolio: Portfolio) -> None:
    kinds = {event.body["type"] for event in portfolio.events}

    assert kinds == {
        "installment.scheduled", "installment.rescheduled", "installment.paid", "installment.payment_reversed",
        "installment.cancelled", "installment.disputed", "installment.dispute_ended", "borrower.updated",
        "borrower.opted_out", "borrower.opted_in", "borrower.hold_started", "borrower.hold_ended",
    }  # fmt: skip


def test_a_period_that_ends_in_february_is_as_good(tmp_path: Path) -> None:
    write_demo(tmp_path, first_day=date(2027, 1, 25), last_day=date(2027, 2, 28))

    assert len(read(tmp_path).rejected) == 10
