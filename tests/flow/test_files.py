"""Files put into the bucket, through the deployed import over the stack on one machine."""

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from predue import wiring
from predue.aws import clients
from predue.domain.policy import ImportsSetting, Policy
from tests.flow.published import counted, event, open_door, table, tell
from tests.flow.small import Book, Standing, standing, utc
from tests.functions.recorded import batch, call, failed

START = utc(8, 12)
LIMITS = ImportsSetting(most_due_soon=3, most_closed_percent=40)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Standing]:
    with standing(tmp_path, Book(), START, policy=Policy(imports=LIMITS)) as made:
        open_door(made)
        yield made


@pytest.fixture
def book(tmp_path: Path) -> dict[str, bytes]:
    """Three borrowers with an installment each: the files by name."""
    written = Book()
    for number in (1, 2, 3):
        written.borrower(f"b-{number}").installment(f"b-{number}")
    borrowers, installments, _ = written.write(tmp_path)
    return {"borrowers.csv": borrowers.read_bytes(), "installments.csv": installments.read_bytes()}


def put(stand: Standing, name: str, content: bytes, source: str = "core") -> None:
    """Put a file a minute later, and let its import have a minute."""
    stand.until(stand.stack.clock() + timedelta(minutes=1))
    with stand.stack.feeding():
        key = f"books/{source}/{name}" if "/" not in name else name
        clients.client("s3").put_object(Bucket=stand.environment["BOOKS_BUCKET"], Key=key, Body=content)
    stand.until(stand.stack.clock() + timedelta(minutes=1))


def read(stand: Standing, name: str, source: str = "core") -> bytes:
    with stand.stack.feeding():
        answer = clients.client("s3").get_object(Bucket=stand.environment["BOOKS_BUCKET"], Key=f"books/{source}/{name}")
        return bytes(answer["Body"].read())


def report(stand: Standing, name: str, source: str = "core") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(stand, f"{name}.report.json", source))
    return found


def known(stand: Standing) -> list[str]:
    """All that the table holds, but how far planner and closing run came."""
    return [item for item in table(stand) if '"P#' not in item]


def closed(stand: Standing) -> list[str | None]:
    with stand.stack.feeding():
        return [due.closed_by for number in (1, 2, 3) for due in wiring.table().all_dues(f"b-{number}")]


def test_borrowers_and_installments_of_files_are_reminded(stand: Standing, book: dict[str, bytes]) -> None:
    for name, content in book.items():
        put(stand, name, content)
    assert read(stand, "installments.csv.rejected.csv") == b"file,line,id,field,reason\n"
    assert read(stand, "borrowers.csv.warnings.csv") == b"file,line,field,reason,id\n"
    stand.until(utc(9, 16))
    assert {line["borrower_id"] for line in stand.contacts if line["outcome"] == "sent"} == {"b-1", "b-2", "b-3"}


@pytest.mark.parametrize(
    ("phone", "channel"),
    [
        ("+442079460000", "email"),
        ("+449012345678", "email"),
        ("+448001111111", "email"),
        ("1.20256E+10", "email"),
        ("0044 7400 123456", "sms"),
        ("+44\u20110\u20117400 123456", "sms"),
    ],
)
def test_a_borrower_whose_number_no_text_message_reaches_gets_the_email(
    phone: str, channel: str, stand: Standing, tmp_path: Path
) -> None:
    written = Book().borrower(phone=phone, email="ann@example.com", channels="sms|email", consent="sms|email")
    borrowers, installments, _ = written.installment().write(tmp_path)
    put(stand, "borrowers.csv", borrowers.read_bytes())
    put(stand, "installments.csv", installments.read_bytes())
    assert len(read(stand, "borrowers.csv.warnings.csv").splitlines()) == 1 + (channel == "email")
    stand.until(utc(11))
    sent = [(line["channel"], line["outcome"]) for line in stand.contacts]
    assert sent
    assert set(sent) == {(channel, "sent")}


def test_what_stands_beside_a_file_is_not_imported_itself(stand: Standing, book: dict[str, bytes]) -> None:
    put(stand, "borrowers.csv", book["borrowers.csv"])
    stand.until(utc(11))
    with stand.stack.feeding():
        listed = clients.client("s3").list_objects_v2(Bucket=stand.environment["BOOKS_BUCKET"], Prefix="books/")
    beside = ("", ".rejected.csv", ".report.json", ".warnings.csv")
    assert sorted(one["Key"] for one in listed["Contents"]) == [f"books/core/borrowers.csv{one}" for one in beside]


def test_the_same_file_twice_leaves_the_table_exactly_as_it_was(stand: Standing, book: dict[str, bytes]) -> None:
    for name, content in book.items():
        put(stand, name, content)
    before = known(stand)
    for name, content in book.items():
        put(stand, name, content)
        put(stand, f"again-{name}.gz", gzip.compress(content))
    assert report(stand, "again-installments.csv.gz")["known_already"] == 3
    assert known(stand) == before


def test_a_payment_by_webhook_is_not_undone_by_the_book_that_comes_after_it(
    stand: Standing, book: dict[str, bytes]
) -> None:
    for name, content in book.items():
        put(stand, name, content)
    tell(stand, event("installment.paid", amount="120.00"))
    put(stand, "evening.csv", book["installments.csv"].replace(b"120.00", b"125.00"))
    assert closed(stand) == ["paid", None, None]
    stand.until(utc(9, 16))
    assert {line["borrower_id"] for line in stand.contacts if line["outcome"] == "sent"} == {"b-2", "b-3"}


def test_a_complete_statement_closes_what_it_lacks_and_one_that_is_too_small_waits_for_its_confirmation(
    stand: Standing, book: dict[str, bytes]
) -> None:
    for name, content in book.items():
        put(stand, name, content)
    lines = book["installments.csv"].splitlines(keepends=True)
    put(stand, "monday.complete.csv", b"".join(lines[:3]))
    assert (report(stand, "monday.complete.csv")["closed"], closed(stand)) == (1, [None, None, "cancelled"])
    put(stand, "tuesday.complete.csv", b"".join(lines[:2]))
    held = report(stand, "tuesday.complete.csv")
    assert (held["status"], closed(stand), counted(stand, "ImportHeld")) == ("held", [None, None, "cancelled"], 1)
    put(stand, "confirmed/of-nothing", b"")
    put(stand, f"confirmed/{held['import']}", b"")
    assert report(stand, "tuesday.complete.csv")["status"] == "done"
    assert closed(stand) == [None, "cancelled", "cancelled"]
    assert stand.stack.dead_letters() == {}


def test_a_statement_of_which_a_row_is_refused_is_alarmed_and_one_that_was_confirmed_is_not(
    stand: Standing, book: dict[str, bytes]
) -> None:
    for name, content in book.items():
        put(stand, name, content)
    lines = book["installments.csv"].splitlines(keepends=True)
    put(stand, "monday.complete.csv", b"".join(lines[:2]))
    put(stand, f"confirmed/{report(stand, 'monday.complete.csv')['import']}", b"")
    confirmed = report(stand, "monday.complete.csv")
    assert (confirmed["status"], confirmed["closed"], len(confirmed["reasons"])) == ("done", 2, 1)
    assert counted(stand, "ImportClosedNothing") == 0
    put(stand, "again.csv", book["installments.csv"].replace(b"loan-", b"loan-1"))
    put(stand, "tuesday.complete.csv", b"".join(lines).replace(b"loan-", b"loan-1").replace(b"USD", b"EUR", 1))
    assert report(stand, "tuesday.complete.csv")["reasons"] == ["closes_nothing: rows were rejected"]
    assert counted(stand, "ImportClosedNothing") == 1


def test_a_file_that_makes_too_many_due_is_held_and_alarmed_and_nothing_is_sent(stand: Standing) -> None:
    written = Book()
    for number in range(1, 6):
        written.borrower(f"b-{number}").installment(f"b-{number}")
    borrowers, installments = _texts(written)
    put(stand, "b.csv", borrowers)
    put(stand, "i.csv", installments)
    assert report(stand, "i.csv")["status"] == "held"
    assert counted(stand, "ImportHeld") == 1
    stand.until(utc(9, 16))
    assert stand.contacts == []


def _texts(written: Book) -> tuple[bytes, bytes]:
    texts = []
    for rows in (written.borrowers, written.installments):
        head = ",".join(rows[0])
        texts.append("\n".join([head, *(",".join(row.values()) for row in rows), ""]).encode())
    return texts[0], texts[1]


def test_an_import_goes_on_by_messages_of_its_own_when_its_time_runs_out(
    stand: Standing, book: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predue.imports.import_state.ENOUGH_SECONDS", 10_000)
    monkeypatch.setattr("predue.imports.file_reading._INDEX_CHUNKS", 1)
    monkeypatch.setattr("predue.imports.file_reading.CHUNK_ROWS", 1)
    before = stand.stack.meter.invocations["predue-import-book"]
    put(stand, "borrowers.csv", book["borrowers.csv"])
    assert report(stand, "borrowers.csv")["applied"] == 3
    # Three chunks are read and applied in a call each, with one for checking and one for finishing between.
    assert stand.stack.meter.invocations["predue-import-book"] - before >= 8


def test_events_in_lines_are_applied_with_their_sequences(stand: Standing, book: dict[str, bytes]) -> None:
    for name, content in book.items():
        put(stand, name, content)
    bodies = [
        event("installment.paid", "e-1", amount="120.00"),
        event("installment.rescheduled", "e-2", loan_id="loan-2", due_date="2026-12-24"),
        event("installment.paid", "e-3", loan_id="loan-3", amount="many"),
    ]
    put(stand, "news.jsonl.gz", gzip.compress("".join(json.dumps(one) + "\n" for one in bodies).encode()))
    assert closed(stand) == ["paid", "rescheduled", None, None]
    assert (
        read(stand, "news.jsonl.gz.rejected.csv")
        .decode()
        .splitlines()[1]
        .startswith("news.jsonl.gz,3,loan-3,amount,amount: ")
    )


def test_a_source_that_nobody_named_may_put_nothing_until_it_is_named(stand: Standing, book: dict[str, bytes]) -> None:
    put(stand, "borrowers.csv", book["borrowers.csv"], source="stranger")
    assert report(stand, "borrowers.csv", "stranger")["status"] == "refused"
    assert counted(stand, "ImportRefused") == 1
    assert [item for item in table(stand) if '"B#' in item] == []


def test_a_file_of_a_tenant_lands_under_the_tenants_own_ids(stand: Standing, book: dict[str, bytes]) -> None:
    put(stand, "borrowers.csv", book["borrowers.csv"], source="acme")
    with stand.stack.feeding():
        assert wiring.table().profile("acme~b-1") is not None
        assert wiring.table().profile("b-1") is None


@pytest.mark.parametrize("name", ["notes.txt", "deep/borrowers.csv", "borrowers.csv.zip"])
def test_what_is_no_file_of_rows_is_refused_with_its_reason(name: str, stand: Standing) -> None:
    put(stand, f"books/core/{name}", b"anything")
    assert report(stand, name)["reasons"][0].startswith("file: a file is put as books/<source>/<name>")


def test_a_report_that_a_dead_call_left_unwritten_is_there_once_the_file_comes_again(
    stand: Standing, book: dict[str, bytes]
) -> None:
    put(stand, "borrowers.csv", book["borrowers.csv"])
    with stand.stack.feeding():
        where = {"Bucket": stand.environment["BOOKS_BUCKET"], "Key": "books/core/borrowers.csv.report.json"}
        clients.client("s3").put_object(**where, Body=b'{"status": "finishing"}')
    put(stand, "borrowers.csv", book["borrowers.csv"])
    assert (report(stand, "borrowers.csv")["status"], report(stand, "borrowers.csv")["applied"]) == ("done", 3)


def test_a_file_that_comes_back_under_its_name_has_its_own_report_beside_it(
    stand: Standing, book: dict[str, bytes]
) -> None:
    short = b"".join(book["borrowers.csv"].splitlines(keepends=True)[:2])
    for content, rows in ((book["borrowers.csv"], 3), (short, 1), (book["borrowers.csv"], 3)):
        put(stand, "borrowers.csv", content)
        assert report(stand, "borrowers.csv")["rows"] == rows


def test_reports_start_no_import(stand: Standing, book: dict[str, bytes]) -> None:
    put(stand, "borrowers.csv", book["borrowers.csv"])
    put(stand, "borrowers.csv.rejected.csv", b"file,line,reason\n")
    assert counted(stand, "ImportBegun") == 1


def test_the_test_message_of_s3_and_a_message_about_nothing_are_taken_and_garbage_is_not(stand: Standing) -> None:
    bodies = [
        '{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-12-08T12:00:00Z","Bucket":"b"}',
        '{"import": "0123"}',
        "garbage",
    ]
    assert failed(call(stand.stack, "import_book", batch("import_book", bodies))) == ["m-2"]


def test_an_import_whose_settings_cannot_be_read_applies_nothing_and_goes_on_when_they_can(
    stand: Standing, book: dict[str, bytes]
) -> None:
    open_door(stand, "[]")
    put(stand, "borrowers.csv", book["borrowers.csv"])
    assert counted(stand, "FailedClosed") >= 1
    open_door(stand)
    stand.until(stand.stack.clock() + timedelta(minutes=15))
    assert report(stand, "borrowers.csv")["status"] == "done"


def test_no_row_and_no_name_of_a_file_is_in_a_log_or_on_a_queue(stand: Standing, book: dict[str, bytes]) -> None:
    put(stand, "Lopez-family.csv", book["borrowers.csv"] + b'x,"broken person@example.com\n')
    put(stand, "Lopez.jsonl", b'{"type": "borrower.updated", "name": "Ana Lopez"}\n')
    said = json.dumps(stand.log)
    assert "import_id" in said
    assert not [word for word in ("Lopez", "López", "person", "+1212", "@example") if word in said]
