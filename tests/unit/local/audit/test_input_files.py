"""The auditor's own reading of the input files, held against the one that it judges."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.audit.history import History
from infrastructure.local.audit.input_files import GivenBorrower, GivenEvent, GivenInstallment, Inputs, read_inputs
from infrastructure.local.audit.terms import CapTerm, PackTerm, StageTerm, Terms, days_from_due
from infrastructure.local.audit.values import currencies, minor_digits
from infrastructure.local.runs.demo import write_demo
from infrastructure.local.runs.portfolio import read_portfolio, write_rejected
from predue.domain.money import exponent, minor_units
from predue.domain.policy import Policy
from predue.errors import InvalidEvent
from predue.events.models import BorrowerEvent, read_event
from predue.imports.book_rows import InstallmentRow

BORROWERS = "borrower_id,name,phone,email,wechat_openid,locale,time_zone,jurisdiction,channels,consent,preferred_time"
INSTALLMENTS = "loan_id,installment_no,borrower_id,due_date,amount,currency,grace_days,status"
ANN = "b-1,Ann,+12015550100,ann@example.com,,en-US,America/New_York,US-NY,sms|email,sms,18:45"
DUE = "L-1,1,b-1,2026-12-10,120.50,USD,5,open"


def write(folder: Path, borrowers: bytes, installments: bytes) -> tuple[Path, Path]:
    paths = folder / "borrowers.csv", folder / "installments.csv"
    for path, header, body in zip(paths, (BORROWERS, INSTALLMENTS), (borrowers, installments), strict=True):
        path.write_bytes(header.encode() + b"\n" + body)
    return paths


def both(borrowers: Path, installments: Path, events: Path | None = None) -> tuple[Inputs, set[Any], set[Any]]:
    """What the auditor reads, and what the run reads of borrowers and installments, in the auditor's words."""
    portfolio = read_portfolio(borrowers, installments, events)
    write_rejected(borrowers.with_name("rejected.csv"), portfolio.rejected)
    people = {
        GivenBorrower(
            one.borrower_id,
            one.time_zone or "",
            one.jurisdiction or "",
            one.channels or (),
            one.consent or (),
            one.preferred_time,
        )
        for one in portfolio.borrowers
    }
    owed = {_given(row) for row in portfolio.installments}
    return read_inputs(borrowers, installments, events, borrowers.with_name("rejected.csv")), people, owed


def _given(row: InstallmentRow) -> GivenInstallment:
    event = row.event
    return GivenInstallment(
        event.loan_id,
        event.installment_no,
        event.borrower_id,
        event.due_date,
        minor_units(event.amount, event.currency),
        event.currency,
        event.grace_days or 0,
        row.status,
    )


def test_the_auditor_finds_in_the_demo_what_the_run_finds(tmp_path: Path) -> None:
    write_demo(tmp_path, seed=3, first_day=date(2026, 12, 1), last_day=date(2026, 12, 14))
    files = tmp_path / "borrowers.csv", tmp_path / "installments.csv", tmp_path / "events.jsonl"

    inputs, people, owed = both(*files)

    assert (set(inputs.borrowers), set(inputs.installments)) == (people, owed)
    events = read_portfolio(*files).events
    assert [(one.line, one.at, read_event(one.body).digest) for one in inputs.events] == [
        (one.line, one.at, one.event.digest) for one in events
    ]
    assert inputs.rejected > 0
    assert inputs.wronged == []


ODD_ROWS = [
    (ANN, DUE),
    (ANN.replace("Ann", '"Lee, Ann"'), DUE),
    (ANN.replace("Ann", '"Ann\nLee"'), DUE),
    (ANN.replace("Ann", '"Ann'), DUE),
    (ANN.replace("sms|email", "sms|fax"), DUE),
    (ANN.replace("b-1", ""), DUE),
    (ANN.replace("18:45", "6pm"), DUE),
    (ANN, DUE.replace("USD", "XQQ")),
    (ANN, DUE.replace("2026-12-10", "2026-02-30")),
    (ANN, DUE.replace("120.50", "120.505")),
    (ANN, DUE.replace("120.50,USD", "120,JPY")),
    (ANN, DUE.replace("120.50,USD", "1.234,KWD")),
    (ANN, DUE.replace("b-1", "b-9")),
    (ANN, DUE + ",more"),
    (ANN, DUE + "\n" + DUE.replace("120.50", "7")),
    (ANN + "\r", DUE + "\r"),
    (ANN + ",,", DUE + ", ,"),
    (ANN.replace(",", " , ") + "\u00a0", DUE.replace(",", "\t,  ")),
    ("\n" + ANN + "\n,,,,,,,,,,", " \n,,\n" + DUE + '\n"","","","","","","",""'),
    (ANN.replace("+12015550100", "0044 20 7946 0000"), DUE),
    (ANN.replace("b-1", "1.38E+11"), DUE.replace("b-1", "1.38E+11")),
    (ANN, DUE.replace("L-1", "2.5E+12")),
    (ANN, DUE.replace("120.50", "120.000")),
    (ANN, DUE.replace("120.50,USD", "120.000,KWD")),
    (ANN, DUE.replace("120.50", "1,234.50")),
    (ANN, DUE.replace("2026-12-10", "2026-12-10 00:00:00")),
    (ANN.replace("America/New_York", "Eastern Standard Time"), DUE),
]


@pytest.mark.parametrize(("borrower", "due"), ODD_ROWS)
def test_of_an_odd_row_the_auditor_keeps_what_the_run_keeps_and_no_good_one_counts_as_rejected(
    tmp_path: Path, borrower: str, due: str
) -> None:
    last = ANN.replace("b-1", "b-2")
    bodies = (f"{borrower}\n{last}\n".encode(), f"{due}\nL-2,1,b-2,2026-12-11,1,USD,0,paid\n".encode())

    inputs, people, owed = both(*write(tmp_path, *bodies))

    assert (set(inputs.borrowers), set(inputs.installments)) == (people, owed)
    assert {one.borrower_id for one in people} >= {"b-2"}
    assert inputs.wronged == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_the_auditor_reads_the_headers_and_the_packed_files_that_a_run_reads(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    ending = ".CSV" if pack is bytes else ".csv.GZ"
    borrowers, installments = tmp_path / f"b{ending}", tmp_path / f"i{ending}"
    borrowers.write_bytes(pack(f"\ufeff,,\n\n{BORROWERS.upper().replace('_', ' ')},,\n{ANN}\n".encode()))
    installments.write_bytes(pack(f"{INSTALLMENTS.replace(',', ' , ')},\r\n{DUE},\r\n".encode()))

    inputs, people, owed = both(borrowers, installments)

    assert (set(inputs.borrowers), set(inputs.installments)) == (people, owed)
    assert (len(people), len(owed)) == (1, 1)


def test_a_good_row_among_the_rejected_is_named_and_one_in_which_something_is_odd_is_not(tmp_path: Path) -> None:
    rows = [DUE, DUE.replace("L-1", "L-2").replace("b-1", "b-9"), DUE, DUE.replace("L-1", "L#4")]
    borrowers, installments = write(tmp_path, f"{ANN}\n".encode(), "\n".join(rows).encode())
    rejected = tmp_path / "rejected.csv"

    for lines, wronged in (((), []), ((3, 4, 5), []), ((2, 3, 5), ["installments.csv line 2"])):
        rejected.write_text("file,line,reason\n" + "".join(f"installments.csv,{line},so\n" for line in lines))
        inputs = read_inputs(borrowers, installments, None, rejected)
        assert (inputs.wronged, inputs.rejected) == (wronged, len(lines))
    rejected.write_text("file,line,reason\nborrowers.csv,2,so\n")
    assert read_inputs(borrowers, installments, None, rejected).wronged == ["borrowers.csv line 2"]


def test_a_line_that_is_no_event_has_no_effect(tmp_path: Path) -> None:
    frame = b'"type": "installment.paid", "event_id": "e", "source": "core", "sequence": 1'
    lines = [
        b'{"at": "2026-12-01T10:00:00+01:00", %b}' % frame,
        b"no JSON",
        b"[1]",
        b'{"at": "2026-12-01T09:00:00", %b}' % frame,
        b'{"at": "2026-12-01T09:00:00Z", "sequence": NaN, %b}' % frame,
        b'{"at": "2026-12-01T09:00:00Z", "type": "installment.paid"}',
        b'{"at": "2026-12-01T09:00:00Z", "name": "\xff", %b}' % frame,
        b'{"at": "2026-12-01T08:00:00Z", %b}' % frame,
    ]
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines))

    found = read_inputs(*write(tmp_path, b"", b""), tmp_path / "events.jsonl").events

    assert [(event.line, event.at.hour) for event in found] == [(8, 8), (1, 9)]


ODD_VALUES: list[Any] = [
    None, "", " ", "x", "1", "07", "1e3", "1_000", "1.0", "1.005", "0", "-1", "0.00", "\u0661", "1" * 16, 1, 1.0, 0.1,
    1.005, 0, -1, True, False, 2**53, 366, 10**9, 1e-7, float("inf"), [], ["sms"], ["fax"], {}, "sms", "sms||email",
    "fax", "b-1", "b#1", " b-1", "b\x7f1", "b" * 128, "é" * 100, "2026-12-20", "20261220", "2026-02-30", "3000-01-01",
    "18:30", "24:00", "USD", "usd", "EUR", "all", "Asia/Tokyo", "*", "US-NY", "somewhere else",
]  # fmt: skip
EVENTS: list[dict[str, Any]] = [
    {"type": "installment.scheduled", "borrower_id": "b-1", "loan_id": "L-1", "installment_no": 1,
     "due_date": "2026-12-11", "amount": "7", "currency": "USD", "grace_days": 1},
    {"type": "installment.rescheduled", "loan_id": "L-1", "installment_no": 1, "due_date": "2026-12-11", "amount": "7"},
    {"type": "installment.paid", "loan_id": "L-1", "installment_no": 1, "amount": "7", "currency": "USD"},
    {"type": "installment.disputed", "loan_id": "L-1", "installment_no": 1},
    {"type": "borrower.updated", "borrower_id": "b-1", "time_zone": "UTC", "jurisdiction": "GB", "channels": "push",
     "consent": ["push"], "preferred_time": "12:00", "name": "Bo", "locale": "de"},
    {"type": "borrower.opted_out", "borrower_id": "b-1", "channel": "sms"},
    {"type": "borrower.hold_started", "borrower_id": "b-1", "reason": "hardship"},
    {"type": "borrower.hold_ended", "borrower_id": "b-1", "reason": "hardship"},
]  # fmt: skip
FIELDS = [(event, name) for event in EVENTS for name in (*event, "event_id", "source", "sequence")]
AT = datetime(2026, 12, 1, tzinfo=UTC)


def taken_by_the_auditor(body: dict[str, Any]) -> bool:
    ann = GivenBorrower("b-1", "America/New_York", "US-NY", ("sms",), ("sms",))
    due = GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 10000, "USD", 5, "open")
    return bool(History(Inputs([ann], [due], [GivenEvent(1, AT, body)]), AT).taken)


def taken_by_the_rules(body: dict[str, Any]) -> bool:
    try:
        event = read_event(body)
        minor_units(getattr(event, "amount", None) or "1", "USD")
    except (InvalidEvent, ValueError):
        return False
    if isinstance(event, BorrowerEvent):
        return True
    fitting = getattr(event, "currency", None) in (None, "USD") and event.borrower_id in (None, "b-1")
    return fitting or (event.loan_id, event.installment_no) != ("L-1", 1)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_the_auditor_takes_an_event_when_the_rules_do(event: dict[str, Any]) -> None:
    """With an odd value in each field in turn; but what waits for its installment is not taken yet."""
    for name in (*event, "event_id", "source", "sequence"):
        for value in ODD_VALUES:
            body = {"event_id": "e-1", "source": "core", "sequence": 1} | event | {name: value}
            waits = name in ("loan_id", "installment_no") and event["type"] != "installment.scheduled"
            taken = taken_by_the_auditor(body)
            assert taken == taken_by_the_rules(body) or (waits and not taken), (name, value)


def test_money_has_the_digits_that_the_rules_give_its_currency() -> None:
    assert {code for code in currencies() if minor_digits(code) != exponent(code)} == set()
    assert [minor_digits(code) for code in ("JPY", "USD", "KWD", "UYW")] == [0, 2, 3, 4]


def test_terms_are_the_products_where_a_policy_says_nothing() -> None:
    assert Terms.read({}) == Terms.read(Policy().model_dump(mode="json")) == Terms()


def test_terms_are_what_a_policy_says() -> None:
    policy = Policy.model_validate(
        {
            "hours": {"start": "10:00"},
            "default_time": "11:30",
            "stages": [{"name": "T-2", "channels": ["sms"]}, {"name": "T0"}],
            "caps": [{"count": 2, "per": "3 days"}, {"count": 1, "per": "day", "channel": "email"}],
            "max_reminders_per_day": 5,
        }
    )

    assert Terms.read(policy.model_dump(mode="json", exclude_unset=True)) == Terms(
        (time(10), time(20)),
        time(11, 30),
        (StageTerm("T-2", ("sms",)), StageTerm("T0")),
        (CapTerm(2, 3), CapTerm(1, None, "email")),
        limited=True,
    )


def test_a_pack_is_read_from_its_file_and_is_the_jurisdictions_own_before_its_countrys(tmp_path: Path) -> None:
    for name, place in (("ny", "US-NY"), ("us", "US"), ("any", "default")):
        (tmp_path / f"{name}.toml").write_text(
            f'id = "{name}"\njurisdictions = ["{place}"]\neffective_from = 2026-01-01\neffective_to = 2026-12-31\n'
            'zones = ["UTC"]\n[hours]\nstart = "08:00"\n[[caps]]\ncount = 1\nper = "2 days"\n'
        )
    terms = Terms.read({}, tmp_path)

    assert terms.pack("US-NY", date(2026, 12, 31)) == PackTerm(
        ("US-NY",), date(2026, 1, 1), date(2026, 12, 31), (time(8), time(23, 59)), (CapTerm(1, 2),), ("UTC",)
    )
    found = (terms.pack(place, date(2026, 5, 1)) for place in ("US-CA", "FR"))
    assert [pack.jurisdictions for pack in found if pack] == [("US",), ("default",)]
    assert terms.pack("US-NY", date(2027, 1, 1)) is None


@pytest.mark.parametrize("name", ["", "T", "T-0", "T+0", "T-07", "t-7", "T3", "T 3", "T-\u0667"])
def test_what_is_no_stage_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no stage"):
        days_from_due(name)
