"""Files that are broken, hostile or too large: what is good in them counts, and nothing else happens."""

import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predue.imports.csv_rows import LONGEST_LINE, Lines
from predue.imports.row_report import REJECTED_COLUMNS, Told, lines
from predue.imports.unpacked import SAVE_AS, BadFile, plain, unpacked
from tests.depot import Depot, borrowers, events, installments

GOOD = installments("L-1", "L-2")


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    made = Depot(tmp_path)
    made.imported("b.csv", borrowers("b-1", "b-2", "b-3"))
    return made


def known(depot: Depot) -> set[str]:
    return {loan for loan, _ in depot.world.store.pointers}


def reasons(depot: Depot, name: str) -> list[tuple[int, str]]:
    found = [line.split(",", 4) for line in depot.rejected(name)]
    return [(int(line), reason.strip('"')) for _, line, _, _, reason in found]


# Rows


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("x" * (LONGEST_LINE + 10), "longer than 65536 bytes"),
        ("x" * 3_000_000, "longer than 65536 bytes"),
        ('"L-9,1,b-1,2026-06-30,100.00,USD,3,open', "quotation mark"),
        ("L-9,1,b-1,2026-06-30,100.00,USD,3", "7 fields"),
        ("L-9,1,b-1,2026-06-30,1e2,EURO,3,open", "currency"),
        ("L-9,1,b-1,2026-06-30,-1,USD,3,open", "amount"),
        ("L-9,1,b-1,2026-06-30,NaN,USD,3,open", "amount"),
        ("L-9,1,b-1,2026-02-30,100.00,USD,3,open", "due_date"),
        ("L-9,0,b-1,2026-06-30,100.00,USD,3,open", "installment_no"),
        ("L-9,1,b-1,2026-06-30,100.00,USD,3,=open", "status"),
        ("L~9,1,b-1,2026-06-30,100.00,USD,3,open", "'~'"),
        ("L#9,1,b-1,2026-06-30,100.00,USD,3,open", "'#'"),
        ("L-9\0,1,b-1,2026-06-30,100.00,USD,3,open", "control character"),
        ("é" * 100 + ",1,b-1,2026-06-30,100.00,USD,3,open", "128 bytes"),
    ],
)
def test_a_row_that_cannot_be_used_is_in_the_report_and_stops_nothing(row: str, word: str, depot: Depot) -> None:
    state = depot.imported("i.csv", GOOD + row + "\n" + installments("L-3").splitlines()[1] + "\n")
    assert known(depot) == {"L-1", "L-2", "L-3"}
    ((line, reason),) = reasons(depot, "i.csv")
    assert (line, state.tally["rejected"]) == (4, 1)
    assert word in reason


def test_a_row_that_is_not_utf_8_is_in_the_report(depot: Depot) -> None:
    depot.imported("b2.csv", borrowers("b-4").encode() + borrowers("b-5", name="José").splitlines()[1].encode("cp1252"))
    assert reasons(depot, "b2.csv") == [(3, f"the row is not UTF-8, perhaps Windows-1252 or GBK; {SAVE_AS}")]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('{"type": "installment.paid"', "no JSON"),
        ('{"type": "a", "type": "b"}', "no JSON"),
        ("[" * 60_000, "no JSON"),
        ('{"amount": NaN}', "no JSON"),
        ("[]", "an event is an object"),
        ('{"type": "installment.exploded"}', "type"),
        ('{"a": "' + "x" * 20_000 + '"}', "16384 bytes"),
        ('{"a": "' + "x" * 70_000 + '"}', "longer than 65536 bytes"),
        ('{"a": "\\ud800"}', "surrogate"),
    ],
)
def test_a_line_that_is_no_event_is_in_the_report_and_stops_nothing(line: str, word: str, depot: Depot) -> None:
    depot.imported("i.csv", GOOD)
    paid = depot.world.body("installment.paid", amount="100.00")
    depot.imported("e.jsonl", line + "\n\n" + events(paid))
    ((number, reason),) = reasons(depot, "e.jsonl")
    assert number == 1
    assert word in reason
    assert depot.world.due(due_date=date(2026, 6, 30)).closed_by == "paid"


def test_the_report_repeats_nothing_of_a_row_and_its_files_name_is_no_formula() -> None:
    assert lines("=cmd|x.csv", [Told(3, "bad")], REJECTED_COLUMNS) == b"'=cmd|x.csv,3,,,bad\n"
    assert lines("@a.csv", [Told(3, "bad", "@b", "Ann Lee")], REJECTED_COLUMNS) == b"'@a.csv,3,'@b,,bad\n"


# Headers and forms


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(depot: Depot) -> None:
    depot.imported("i.csv", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert known(depot) == {"L-1", "L-2"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (GOOD.encode("utf-16"), "UTF-16"),
        (GOOD.encode("utf-16-be"), "UTF-16"),
        (GOOD.replace("loan_id", "loan").encode(), "missing columns loan_id"),
        (GOOD.replace(",", ";").encode(), "semicolons"),
        (GOOD.replace("status\n", "status,amount\n").encode(), "twice"),
        (GOOD.replace("loan_id", "loan_id\xe9").encode("latin-1"), "UTF-8"),
        (b"", "empty"),
        (b"x" * 1_000_000, "UTF-8"),
        (b"\0" * 1000, "no text in UTF-8"),
        (b"PK\x03\x04" + b"x" * 100, "archive"),
    ],
)
def test_a_file_that_is_no_book_is_refused_as_a_whole_with_its_reason(content: bytes, word: str, depot: Depot) -> None:
    state = depot.imported("i.csv", content)
    assert state.phase == "refused"
    assert word in depot.report("i.csv")["reasons"][0]
    assert known(depot) == set()


@pytest.mark.parametrize("name", ["i.zip", "i.xlsx", "i.csv.bz2", "i", "deep/i.csv", ".csvx"])
def test_a_name_that_says_another_form_is_refused(name: str, depot: Depot) -> None:
    with pytest.raises(BadFile, match="books/<source>/<name>"):
        depot.put(name, GOOD)


# gzip


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (gzip.compress(GOOD.encode(), mtime=0)[:-4], "cut off"),
        (gzip.compress(GOOD.encode(), mtime=0)[:30], "cut off"),
        (b"", "cut off"),
        (GOOD.encode(), "no gzip"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-6] + b"123456", "damaged"),
        (gzip.compress(GOOD.encode(), mtime=0) + b"and more", "damaged"),
    ],
)
def test_a_packed_file_that_is_damaged_or_cut_off_is_refused_before_anything_is_applied(
    content: bytes, word: str, depot: Depot
) -> None:
    state = depot.imported("i.csv.gz", content)
    assert (state.phase, known(depot)) == ("refused", set())
    assert word in state.reasons[0]


def test_an_archive_in_a_gzips_place_is_refused(depot: Depot) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("i.csv", GOOD)
    assert "archive" in depot.imported("i.csv.gz", made.getvalue()).reasons[0]


def test_members_of_a_gzip_follow_each_other_and_may_be_padded() -> None:
    packed = gzip.compress(b"one\n") + gzip.compress(b"") + gzip.compress(b"two\n") + b"\0" * 512
    assert b"".join(unpacked([packed])) == b"one\ntwo\n"


@given(st.binary(max_size=2000).map(b"#".__add__), st.integers(1, 50), st.integers(0, 2000))
def test_whatever_was_packed_comes_back_from_any_byte_on_in_blocks_of_any_size(
    content: bytes, size: int, skip: int
) -> None:
    packed = gzip.compress(content)
    blocks = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert b"".join(unpacked(blocks, skip)) == content[skip:]


def bomb() -> Iterator[bytes]:
    """A gibibyte of zeros, packed to a megabyte."""
    packed = gzip.compress(b"\0" * (64 << 20))
    for _ in range(16):
        yield packed


def consume(blocks: Iterator[bytes]) -> None:
    made = 0
    for block in blocks:
        made += len(block)
        assert made < 20 << 20


def test_a_bomb_is_refused_early_and_takes_no_memory() -> None:
    blocks = list(bomb())
    tracemalloc.start()
    with pytest.raises(BadFile, match="200 times"):
        consume(unpacked(blocks))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_file_has_a_most_that_it_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predue.imports.unpacked.MOST_BYTES", 100)
    with pytest.raises(BadFile, match="more than 100 bytes"):
        list(plain([b"x" * 60, b"x" * 60]))
    with pytest.raises(BadFile, match="more than 100 bytes"):
        list(unpacked([gzip.compress(b"x" * 120)]))


# Lines


def test_a_line_without_an_end_takes_no_more_memory_than_its_bound() -> None:
    tracemalloc.start()
    blocks = (b"x" * 65536 for _ in range(2000))
    lines = list(Lines(blocks))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(line.number, line.too_long, len(line.text)) for line in lines] == [(1, True, LONGEST_LINE + 1)]
    assert peak < 1 << 20


@given(st.lists(st.binary(max_size=30), max_size=20), st.integers(1, 7), st.integers(0, 19))
def test_lines_are_the_same_however_the_stream_is_cut_and_wherever_it_is_taken_up(
    pieces: list[bytes], size: int, first: int
) -> None:
    content = b"\n".join(pieces)
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    whole = list(Lines(blocks))
    if b"\r" not in content and not content.startswith(b"\xef\xbb\xbf"):
        assert [line.text for line in whole] == content.splitlines(keepends=True)
    if first < len(whole):
        at = whole[first]
        rest = list(Lines([content[at.start :]], at.number - 1, at.start))
        assert rest == whole[first:]
