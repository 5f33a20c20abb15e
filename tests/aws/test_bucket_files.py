"""The bucket as the import uses it, and the index as it lists what is open."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from predue.aws import clients
from predue.aws.bucket_files import BucketFiles
from predue.aws.open_dues import TableOpenDues
from predue.aws.table import Table
from predue.borrowers.ports import IndexEntry
from predue.domain.due import Due
from predue.errors import Gone, ImportMoved, Replaced
from predue.imports.import_state import Import
from tests.aws.line import Storage

KNOWN = datetime(2026, 12, 2, 15, tzinfo=UTC)
STATE = Import("books/core/i.csv", "e", 3, "2026-12-02T15:00:00Z", "core")


@pytest.fixture
def files() -> BucketFiles:
    clients.client("s3").create_bucket(Bucket="books")
    return BucketFiles("books")


def put(content: bytes, key: str = "books/core/i.csv") -> str:
    return str(clients.client("s3").put_object(Bucket="books", Key=key, Body=content)["ETag"]).strip('"')


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 25])
@pytest.mark.parametrize("start", [0, 1, 10])
def test_a_file_is_read_by_ranges_from_any_byte_on(
    size: int, start: int, files: BucketFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predue.aws.bucket_files._BLOCK", 10)
    content = bytes(range(size))
    blocks = list(files.blocks("books/core/i.csv", put(content), start))
    assert b"".join(blocks) == content[start:]
    assert all(len(block) <= 10 for block in blocks)


def test_another_file_under_the_key_is_not_read_even_in_the_middle(
    files: BucketFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predue.aws.bucket_files._BLOCK", 2)
    etag = put(b"abcd")
    blocks = files.blocks("books/core/i.csv", etag, 0)
    assert next(blocks) == b"ab"
    put(b"efgh")
    with pytest.raises(Replaced):
        next(blocks)
    assert not files.still_there("books/core/i.csv", etag)
    assert not files.still_there("books/core/none.csv", etag)
    assert files.still_there("books/core/i.csv", put(b"ijkl"))


def test_an_object_that_is_gone_is_said_to_be(files: BucketFiles) -> None:
    files.put("work/a", b"x")
    assert files.get("work/a") == b"x"
    with pytest.raises(Gone):
        files.get("work/b")


def test_what_is_known_is_stored_once_and_replaced_only_as_it_was_read(files: BucketFiles) -> None:
    assert files.load(STATE.id) is None
    token = files.save(STATE, "")
    with pytest.raises(ImportMoved):
        files.save(STATE, "")
    assert files.load(STATE.id) == (STATE, token)
    other = replace(STATE, rows=7, columns=("a",), tally={"applied": 3})
    newer = files.save(other, token)
    with pytest.raises(ImportMoved):
        files.save(STATE, token)
    assert files.load(STATE.id) == (other, newer)


@pytest.mark.parametrize("parts", [[], [b"a"], [b"x" * 3_000_000] * 5, [b"y" * 6_000_000]])
def test_parts_are_joined_in_their_order_whatever_their_sizes(parts: list[bytes], files: BucketFiles) -> None:
    files.join("books/core/i.csv.rejected.csv", iter(parts))
    assert files.get("books/core/i.csv.rejected.csv") == b"".join(parts)


def due(number: int, day: date = date(2026, 12, 10)) -> Due:
    return Due(f"b-{number}", f"L-{number}", 1, day, 100, "USD", 0, (), source="core")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_open_dues_are_listed_page_by_page_each_once(size: int, table: Table, storage: Storage) -> None:
    for number in range(30):
        table.write_due(due(number), "America/New_York", "--:--", KNOWN, indexed=True)
    opened = TableOpenDues(storage.table, "due_index")

    def limited(params: dict[str, object], **_: object) -> dict[str, object]:
        return params | {"Limit": size}

    clients.client("dynamodb").meta.events.register("provide-client-params.dynamodb.Scan", limited)
    found, rest = list[list[IndexEntry]](), ""
    while not found or rest:
        entries, rest = opened.all_open(rest)
        found.append(entries)
    assert all(len(entries) <= size for entries in found)
    assert sorted(one.loan_id for entries in found for one in entries) == sorted(f"L-{number}" for number in range(30))


def test_all_open_dues_are_listed_and_read_and_no_closed_one(table: Table, storage: Storage) -> None:
    for number in range(150):
        table.point(f"L-{number}", 1, f"b-{number}", date(2026, 12, 10), None)
        table.write_due(due(number), "America/New_York", "--:--", KNOWN, indexed=number % 3 > 0)
    opened = TableOpenDues(storage.table, "due_index")
    entries, rest = opened.all_open("")
    assert rest == ""
    wanted = sorted(f"L-{number}" for number in range(150) if number % 3)
    assert sorted(one.loan_id for one in entries) == wanted
    assert all(isinstance(one, IndexEntry) for one in entries)
    assert sorted((one.loan_id, one.source) for one in opened.dues_of(entries)) == [(loan, "core") for loan in wanted]
    named = [(f"L-{number}", 1) for number in (0, 1, 149, 999)]
    assert opened.due_dates_of(named) == dict.fromkeys(named[:3], date(2026, 12, 10))
