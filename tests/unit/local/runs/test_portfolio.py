import json
import os
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.local.runs.portfolio import (
    Portfolio,
    PortfolioError,
    Rejected,
    read_portfolio,
    write_rejected,
)
from predue.events.models import read_event

BORROWERS = "borrower_id,name,phone,email,wechat_openid,locale,time_zone,jurisdiction,channels,consent,preferred_time"
INSTALLMENTS = "loan_id,installment_no,borrower_id,due_date,amount,currency,grace_days,status"
ANN = "b-1,Ann Lee,+12015550100,ann@example.com,,en-US,America/New_York,US-NY,sms|email,sms,18:45"
BEN = "b-2,Ben Ito,+12015550101,ben@example.com,,en-US,,US,email,email,"
DUE = "L-1,1,b-1,2026-12-10,120.50,USD,5,open"
PAID: dict[str, Any] = {
    "at": "2026-12-01T09:00:00Z", "type": "installment.paid", "event_id": "e-1", "source": "core", "sequence": 1,
    "borrower_id": "b-1", "loan_id": "L-1", "installment_no": 1, "amount": "120.50",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(
    folder: Path,
    borrowers: list[str] | bytes,
    installments: list[str] | bytes = b"",
    events: list[Any] | bytes | None = None,
) -> Portfolio:
    def write(name: str, header: str, body: list[str] | bytes) -> Path:
        path = folder / name
        path.write_bytes(
            body if isinstance(body, bytes) and body else "\n".join([header, *map(str, body), ""]).encode()
        )
        return path

    news = None
    if events is not None:
        news = folder / "events.jsonl"
        news.write_bytes(
            events
            if isinstance(events, bytes)
            else "\n".join(e if isinstance(e, str) else json.dumps(e) for e in events).encode()
        )
    return read_portfolio(
        write("borrowers.csv", BORROWERS, borrowers), write("installments.csv", INSTALLMENTS, installments), news
    )


def reasons(portfolio: Portfolio) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in portfolio.rejected]


def test_good_rows_are_read_as_they_stand(folder: Path) -> None:
    portfolio = read(folder, [ANN, BEN], [DUE], [PAID])

    ann, ben = portfolio.borrowers
    assert (ann.phone, ann.time_zone, ann.channels, ann.consent) == (
        "+12015550100",
        "America/New_York",
        ("sms", "email"),
        ("sms",),
    )
    assert (ann.preferred_time, ben.preferred_time, ben.time_zone) == (time(18, 45), None, "")
    [(due, status)] = portfolio.installments
    assert (due.due_date, due.amount, due.currency, due.grace_days, status) == (
        date(2026, 12, 10),
        Decimal("120.50"),
        "USD",
        5,
        "open",
    )
    [event] = portfolio.events
    assert (event.line, event.at, event.event) == (1, datetime(2026, 12, 1, 9, tzinfo=UTC), read_event(PAID))
    assert portfolio.rejected == []


def test_a_bad_contact_point_or_zone_is_no_reason_to_reject_a_borrower(folder: Path) -> None:
    portfolio = read(folder, ["b-1,,not a phone,not an email,,xx,Mars/Olympus,ZZ,sms,sms,"])

    assert portfolio.rejected == []
    assert (portfolio.borrowers[0].phone, portfolio.borrowers[0].time_zone) == ("not a phone", "Mars/Olympus")


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (ANN.replace("b-1", ""), "borrower_id: an id has 1 to 128 bytes"),
        (ANN.replace("b-1", "b#1"), "'#'"),
        (ANN.replace("b-1", "b\x071"), "control character"),
        (ANN.replace("b-1", "b" * 129), "128 bytes"),
        (ANN.replace("b-1", "é" * 77), "128 bytes"),
        (ANN.replace("sms|email", "sms|fax"), "channels: "),
        (ANN.replace(",sms,18", ",sms |email,18"), "consent: "),
        (ANN.replace("18:45", "24:00"), "preferred_time"),
        (ANN.replace("18:45", "6pm"), "preferred_time"),
        (ANN + ",more", "12 fields"),
        ("b-1,Ann", "2 fields"),
    ],
)
def test_a_bad_borrower_is_rejected_with_the_reason_and_stops_nothing(folder: Path, row: str, word: str) -> None:
    portfolio = read(folder, [row, BEN])

    [(line, reason)] = reasons(portfolio)
    assert line == 2
    assert word in reason
    assert [row.borrower_id for row in portfolio.borrowers] == ["b-2"]


def test_of_two_borrowers_with_one_id_the_second_is_rejected(folder: Path) -> None:
    portfolio = read(folder, [ANN, BEN, ANN.replace("Ann", "Eve")])

    assert [row.name for row in portfolio.borrowers] == ["Ann Lee", "Ben Ito"]
    assert reasons(portfolio)[0][0] == 4


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (DUE.replace("L-1", "L#1"), "loan_id"),
        (DUE.replace(",1,", ",0,"), "installment_no"),
        (DUE.replace(",1,", ",one,"), "installment_no"),
        (DUE.replace(",1,", ",٣,"), "installment_no"),
        (DUE.replace("b-1", "b-9"), "not in the borrowers file"),
        (DUE.replace("2026-12-10", "2026-02-30"), "due_date"),
        (DUE.replace("2026-12-10", "20261210"), "due_date"),
        (DUE.replace("2026-12-10", "9999-12-31"), "due_date"),
        (DUE.replace("120.50", "120.505"), "amount"),
        (DUE.replace("120.50", "-1"), "amount"),
        (DUE.replace("120.50", "NaN"), "amount"),
        (DUE.replace("120.50", "1e3"), "amount"),
        (DUE.replace("120.50", "1_000"), "amount"),
        (DUE.replace("120.50", ""), "amount"),
        (DUE.replace("USD", "XQQ"), "currency"),
        (DUE.replace("USD", "usd"), "currency"),
        (DUE.replace(",5,", ",366,"), "grace_days"),
        (DUE.replace(",5,", ",,"), "grace_days"),
        (DUE.replace("open", "late"), "status"),
    ],
)
def test_a_bad_installment_is_rejected_with_the_reason_and_stops_nothing(folder: Path, row: str, word: str) -> None:
    portfolio = read(folder, [ANN], [row, DUE.replace("L-1,1", "L-2,7")])

    [(line, reason)] = reasons(portfolio)
    assert line == 2
    assert word in reason
    assert [row.event.loan_id for row in portfolio.installments] == ["L-2"]


def test_of_two_rows_for_one_installment_the_second_is_rejected(folder: Path) -> None:
    portfolio = read(folder, [ANN], [DUE, DUE.replace("open", "paid"), DUE.replace(",1,", ",2,")])

    assert [(row.event.installment_no, row.status) for row in portfolio.installments] == [(1, "open"), (2, "open")]
    assert [line for line, _ in reasons(portfolio)] == [3]


def test_an_installment_of_a_rejected_borrower_is_rejected_too(folder: Path) -> None:
    portfolio = read(folder, [ANN.replace("18:45", "soon")], [DUE])

    assert [row.file for row in portfolio.rejected] == ["borrowers.csv", "installments.csv"]


@pytest.mark.parametrize("missing", BORROWERS.split(","))
def test_a_missing_column_is_wrong_usage_that_names_file_and_column(folder: Path, missing: str) -> None:
    header = ",".join(column for column in BORROWERS.split(",") if column != missing)

    with pytest.raises(PortfolioError, match=rf"borrowers\.csv: missing columns {missing};"):
        read(folder, f"{header}\n".encode())


def test_an_empty_file_a_doubled_column_and_an_absent_file_are_wrong_usage(folder: Path) -> None:
    with pytest.raises(PortfolioError, match="empty"):
        read(folder, b"\n")
    with pytest.raises(PortfolioError, match="twice"):
        read(folder, f"{BORROWERS},name\n".encode())
    with pytest.raises(PortfolioError, match=r"nowhere\.csv"):
        read_portfolio(folder / "nowhere.csv", folder / "nowhere.csv", None)
    with pytest.raises(PortfolioError, match="UTF-16"):
        read(folder, BORROWERS.encode("utf-16"))


def test_columns_may_stand_in_any_order_and_more_may_follow(folder: Path) -> None:
    header = ",".join([*reversed(BORROWERS.split(",")), "note"])
    row = ",".join([*reversed(ANN.split(",")), "extra"])

    portfolio = read(folder, f"{header}\n{row}\n".encode())

    assert (portfolio.borrowers[0].borrower_id, portfolio.borrowers[0].name) == ("b-1", "Ann Lee")


def test_a_byte_order_mark_carriage_returns_and_blank_lines_are_tolerated(folder: Path) -> None:
    portfolio = read(folder, b"\xef\xbb\xbf" + f"{BORROWERS}\r\n\r\n{ANN}\r\n\r\n{BEN}".encode())

    assert [row.borrower_id for row in portfolio.borrowers] == ["b-1", "b-2"]
    assert portfolio.rejected == []


def test_one_row_that_is_not_utf8_does_not_stop_the_others(folder: Path) -> None:
    bad = ANN.replace("Ann", "Zoë").encode("latin-1")

    portfolio = read(folder, BORROWERS.encode() + b"\n" + bad + b"\n" + BEN.encode() + b"\n")

    assert [row.borrower_id for row in portfolio.borrowers] == ["b-2"]
    [(line, reason)] = reasons(portfolio)
    assert line == 2
    assert "UTF-8" in reason


def test_quoted_fields_may_hold_commas_quotes_and_line_ends(folder: Path) -> None:
    name = '"Lee, ""Ann""\nMaria"'

    portfolio = read(folder, [ANN.replace("Ann Lee", name), "b-3,short", BEN])

    assert portfolio.borrowers[0].name == 'Lee, "Ann"\nMaria'
    assert [row.borrower_id for row in portfolio.borrowers] == ["b-1", "b-2"]
    assert [line for line, _ in reasons(portfolio)] == [4], "lines are physical, so the quoted line end counts"


@pytest.mark.parametrize("broken", ['"Ann Lee', '"Ann" Lee'])
def test_a_quote_that_is_not_closed_costs_its_own_row_only(folder: Path, broken: str) -> None:
    others = [f'b-{n},"Kim, {n}",,,,,,US,,,' for n in range(10, 40)]

    portfolio = read(folder, [ANN.replace("Ann Lee", broken), *others])

    assert len(portfolio.borrowers) == 30
    assert [line for line, _ in reasons(portfolio)] == [2]


def test_no_reason_repeats_a_name_a_phone_number_or_an_email_address(folder: Path) -> None:
    shifted = "b-1,Ann Lee,Ann Lee,+12015550100,ann@example.com,en,US,UTC,+12015550100,ann@example.com,Ann Lee"
    due = "L-1,+12015550100,b-1,ann@example.com,+12015550100,Ann Lee,+12015550100,ann@example.com"
    portfolio = read(
        folder,
        [shifted, ANN, ANN.replace("b-1", "Ann#Lee")],
        [due, *(DUE.replace(part, "ann@example.com") for part in DUE.split(","))],
        ["ann@example.com +12015550100"],
    )

    assert len(portfolio.rejected) >= 9
    text = " ".join(reason for _, reason in reasons(portfolio))
    assert not any(secret in text for secret in ("Ann", "2015550100", "example.com"))


def test_events_stand_in_the_order_of_their_arrival_and_of_their_lines(folder: Path) -> None:
    ats = ["2026-12-02T09:00:00Z", "2026-12-01T10:00:00+01:00", "2026-12-01T09:00:00Z", "2026-12-01T08:59:59.5Z"]

    portfolio = read(folder, [ANN], [], [{**PAID, "at": at, "event_id": f"e-{n}"} for n, at in enumerate(ats)])

    assert [event.line for event in portfolio.events] == [4, 2, 3, 1]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("[1]", "object"),
        ("{", "JSON"),
        ("[" * 60_000, "JSON"),
        ('{"type": "installment.paid", "type": "installment.cancelled"}', "JSON"),
        (json.dumps({**PAID, "amount": "1e3"}), "amount"),
        ("[" * 100_000, "longer than 65536 bytes"),
        ('{"at": NaN}', "JSON"),
        (json.dumps({**PAID, "at": "2026-12-01T09:00:00"}), "at is missing or no instant"),
        (json.dumps({**PAID, "at": "yesterday"}), "at is missing or no instant"),
        (json.dumps({**PAID, "at": 1764579600}), "at is missing or no instant"),
        (json.dumps({**PAID, "at": "0001-01-01T00:00:00+14:00"}), "at is missing or no instant"),
        (json.dumps({k: v for k, v in PAID.items() if k != "at"}), "at is missing or no instant"),
        *((json.dumps({**PAID, name: None}), name) for name in ("type", "event_id", "source", "sequence")),
    ],
)
def test_a_line_that_is_no_event_is_rejected_and_stops_nothing(folder: Path, line: str, word: str) -> None:
    portfolio = read(folder, [ANN], [], [line, "", PAID])

    assert [event.line for event in portfolio.events] == [3]
    [(number, reason)] = reasons(portfolio)
    assert number == 1
    assert word in reason


def test_a_line_that_is_not_utf8_is_rejected_and_a_byte_order_mark_is_not(folder: Path) -> None:
    good = json.dumps(PAID).encode()

    portfolio = read(folder, [ANN], [], b"\xef\xbb\xbf" + good + b"\n" + good[:-1] + b', "x": "\xe9"}\n')

    assert [event.line for event in portfolio.events] == [1]
    assert [line for line, _ in reasons(portfolio)] == [2]


def test_rejected_rows_are_written_with_a_header_even_when_there_are_none(folder: Path) -> None:
    write_rejected(folder / "none.csv", [])
    write_rejected(folder / "one.csv", [Rejected("borrowers.csv", 3, "a, b", "b-1", "phone")])

    assert (folder / "none.csv").read_text() == "file,line,id,field,reason\n"
    assert (folder / "one.csv").read_text() == 'file,line,id,field,reason\nborrowers.csv,3,b-1,phone,"a, b"\n'


@given(st.binary(max_size=400))
def test_whatever_bytes_follow_the_header_every_file_is_read_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("noise")
    padding = b"\n" * 12  # further than an unclosed quote is searched for

    portfolio = read(folder, BORROWERS.encode() + b"\n" + noise + padding + ANN.encode(), b"", b"#\n" + noise)

    assert portfolio.borrowers[-1].name == "Ann Lee"


def test_a_pipe_is_refused_since_the_audit_reads_its_files_again(folder: Path) -> None:
    os.mkfifo(folder / "borrowers.csv")

    with pytest.raises(PortfolioError, match=r"borrowers\.csv: is no regular file"):
        read_portfolio(folder / "borrowers.csv", folder / "installments.csv", None)
