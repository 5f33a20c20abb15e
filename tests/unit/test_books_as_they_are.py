"""Books as spreadsheets and exports really leave them: each is taken rightly, or refused in words by which its owner
can mend it. The same holds for a file that is imported and for one that a run is given.
"""

import gzip
from pathlib import Path

import pytest

from infrastructure.local.runs.portfolio import PortfolioError, read_portfolio, write_rejected
from predue.imports.row_report import WARNED_COLUMNS
from tests.depot import Depot, borrowers, installments

HEAD, *ROWS = installments("L-1", "L-2").splitlines()
GOOD = installments("L-1", "L-2")
PEOPLE = borrowers("b-1", "b-2")


def lines(*rows: str, end: str = "\n") -> bytes:
    return "".join(row + end for row in rows).encode()


TAKEN = {
    "a byte order mark and Windows line ends": b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
    "rows of nothing but commas": lines(HEAD, *ROWS, ",,,,,,,", ", ,,,,,,", ",,,"),
    "rows of nothing but blanks": lines(HEAD, "", ROWS[0], "   ", ROWS[1], "\t", ""),
    "rows of quoted nothing": lines(HEAD, *ROWS, '"","","","","","","",""'),
    "commas behind the rows": lines(HEAD, *(row + ",," for row in ROWS)),
    "commas behind the rows and the header": lines(HEAD + ",,", *(row + ",," for row in ROWS), ",,,,,,,,,"),
    "one comma behind the header": lines(HEAD + ",", *(row + "," for row in ROWS)),
    "blank lines above the header": lines("", ",,,,", HEAD, *ROWS),
    "capitals and blanks in the header": lines(
        "Loan ID, Installment_No ,BORROWER_ID,Due\u00a0Date,Amount,Currency,Grace_Days,Status", *ROWS
    ),
    "blanks around the fields": lines(HEAD, *(row.replace(",", " , ") + "\u00a0" for row in ROWS)),
    "quotes around all": lines(*('"' + row.replace(",", '","') + '"' for row in (HEAD, *ROWS)), end="\r\n"),
    "a column of the owner's own": lines(HEAD + ",comment", *(row + ",hello" for row in ROWS)),
}

REFUSED = {
    "semicolons": (GOOD.replace(",", ";").encode(), "separated by semicolons"),
    "tabs": (GOOD.replace(",", "\t").encode(), "separated by tabs"),
    "a title": (lines("Loan book of December 2026,,,", "", HEAD, *ROWS), "header stands on line 3; take out what"),
    "a title and semicolons": (lines("Loans", *GOOD.replace(",", ";").split()), "line 2; take out.* by semicolons"),
    "what Excel writes above": (lines("sep=;", *GOOD.replace(",", ";").split()), "line 2; take out"),
    "UTF-16": (GOOD.encode("utf-16"), "UTF-16"),
    "UTF-16 without its mark": (GOOD.encode("utf-16-le"), "UTF-16"),
    "a Macintosh": (GOOD.replace("\n", "\r").encode(), "end in CR alone"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), r"Excel workbook \(xls\)"),
    "xlsx": (b"PK\x03\x04" + bytes(500), r"Excel workbook \(xlsx\)"),
    "a login page": (b"<html><body>login</body></html>\n", "HTML"),
    "an Excel export of many systems": (b"\xef\xbb\xbf\r\n<table><tr><td>loan_id</td></tr></table>", "HTML"),
    "a PDF": (b"%PDF-1.7\n" + bytes(100), "PDF"),
    "gzip under a plain name": (gzip.compress(GOOD.encode()), "let its name end in .gz"),
    "nothing": (b"", "empty"),
    "a header in Latin-1": (lines("n\u00famero," + HEAD).decode().encode("latin-1"), "not UTF-8"),
}

PACKED = {
    "gzip of gzip": (gzip.compress(gzip.compress(GOOD.encode())), "packed by gzip twice"),
    "plain text": (GOOD.encode(), "no gzip, though its name ends in .gz"),
    "a packed workbook": (gzip.compress(b"PK\x03\x04" + bytes(500)), "Excel workbook"),
    "a workbook": (b"PK\x03\x04" + bytes(500), "Excel workbook"),
    "packed UTF-16": (gzip.compress(GOOD.encode("utf-16")), "UTF-16"),
}

ROW = ROWS[0]
REJECTED = {
    "a borrower in scientific notation": (ROW.replace("b-1", "1.38E+11"), "borrower_id", "scientific notation"),
    "a loan in scientific notation": (ROW.replace("L-1", "2.5E+12"), "loan_id", "scientific notation"),
    "an Excel date": (ROW.replace("2026-06-30", "46366"), "due_date", "bare number"),
    "a date with a time": (ROW.replace("2026-06-30", "2026-06-30 00:00:00"), "due_date", "the day alone"),
    "an instant": (ROW.replace("2026-06-30", "2026-06-30T00:00:00"), "due_date", "the day alone"),
    "an American date": (ROW.replace("2026-06-30", "06/30/2026"), "due_date", "YYYY-MM-DD"),
    "a short date": (ROW.replace("2026-06-30", "2026-6-3"), "due_date", "YYYY-MM-DD"),
    "a formula": (ROW.replace("2026-06-30", '="2026-06-30"'), "due_date", "YYYY-MM-DD"),
    "no day": (ROW.replace("2026-06-30", "2026-02-30"), "due_date", "no day of the calendar"),
    "a comma for a point": (ROW.replace("100.00", '"120,50"'), "amount", "like 125.50"),
    "thousands": (ROW.replace("100.00", '"1,234.50"'), "amount", "no separators"),
    "a point that parts thousands": (ROW.replace("100.00", "120.000"), "amount", "may part thousands"),
    "an amount in scientific notation": (ROW.replace("100.00", "1.2E+02"), "amount", "like 125.50"),
    "full-width digits": (ROW.replace("100.00", "\uff11\uff12\uff10"), "amount", "like 125.50"),
    "a sign of a currency": (ROW.replace("100.00", "$120.00"), "amount", "like 125.50"),
    "less than nothing": (ROW.replace("100.00", "-1.00"), "amount", "positive"),
    "a small currency": (ROW.replace("USD", "usd"), "currency", "capital letters"),
    "a capital status": (ROW.replace("open", "Open"), "status", "open, paid, cancelled"),
    "a number with a point": (ROW.replace("-1,1,", "-1,1.0,"), "installment_no", "digits only"),
    "no grace": (ROW.replace(",3,", ",,"), "grace_days", "digits only"),
    "a field too many": (ROW + ",and more", "", "9 fields and the header 8"),
    "an open quote": ('"' + ROW, "", "quotation mark"),
    "Latin-1": (ROW.replace("L-1", "L\udce9-1"), "", "not UTF-8"),
}


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    made = Depot(tmp_path / "depot")
    made.folder.mkdir()
    made.imported("b.csv", PEOPLE)
    return made


def run_reads(folder: Path, name: str, content: bytes) -> list[str]:
    """The loans that a run would take of a book of installments."""
    (folder / "b.csv").write_text(PEOPLE)
    (folder / name).write_bytes(content)
    return [row.event.loan_id for row in read_portfolio(folder / "b.csv", folder / name, None).installments]


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN)
def test_what_a_spreadsheet_adds_is_no_fault(content: bytes, depot: Depot, tmp_path: Path) -> None:
    state = depot.imported("i.csv", content)
    assert (state.phase, state.rows, state.tally["applied"], depot.rejected("i.csv")) == ("done", 2, 2, [])
    assert {loan for loan, _ in depot.world.store.pointers} == {"L-1", "L-2"}
    assert run_reads(tmp_path, "i.csv", content) == ["L-1", "L-2"]


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_a_file_of_another_kind_is_refused_by_its_name(
    content: bytes, words: str, depot: Depot, tmp_path: Path
) -> None:
    state = depot.imported("i.csv", content)
    assert (state.phase, depot.world.store.pointers) == ("refused", {})
    with pytest.raises(PortfolioError, match=words) as told:
        run_reads(tmp_path, "i.csv", content)
    assert depot.report("i.csv")["reasons"] == [str(told.value).replace("i.csv:", "file:", 1)]


@pytest.mark.parametrize(("content", "words"), PACKED.values(), ids=PACKED)
def test_a_packed_file_of_another_kind_is_refused_by_its_name(
    content: bytes, words: str, depot: Depot, tmp_path: Path
) -> None:
    assert depot.imported("i.csv.gz", content).phase == "refused"
    with pytest.raises(PortfolioError, match=words) as told:
        run_reads(tmp_path, "i.csv.gz", content)
    assert depot.report("i.csv.gz")["reasons"] == [str(told.value).replace("i.csv.gz:", "file:", 1)]


@pytest.mark.parametrize("name", ["INSTALL.CSV", "loan book (Dez) \u00fc.csv", "I.Csv.GZ"])
def test_a_name_may_be_written_as_windows_does(name: str, depot: Depot, tmp_path: Path) -> None:
    content = gzip.compress(GOOD.encode()) if name.endswith("GZ") else GOOD.encode()
    assert depot.imported(name, content).tally["applied"] == 2
    assert run_reads(tmp_path, name, content) == ["L-1", "L-2"]


@pytest.mark.parametrize(("row", "field", "words"), REJECTED.values(), ids=REJECTED)
def test_a_row_that_cannot_be_used_is_told_with_its_line_its_id_and_its_field(
    row: str, field: str, words: str, depot: Depot, tmp_path: Path
) -> None:
    content = "\n".join([HEAD, row, ROWS[1], ""]).encode(errors="surrogateescape")
    depot.imported("i.csv", content)
    assert len(depot.rejected("i.csv")) == 1
    told = depot.rejected("i.csv")[0]
    name, line, about, at, reason = told.split(",", 4)
    assert (name, line, at) == ("i.csv", "2", field)
    assert about == ("" if row.startswith('"') or "\udce9" in row else row.partition(",")[0])
    assert words in reason
    assert run_reads(tmp_path, "i.csv", content) == ["L-2"]
    write_rejected(tmp_path / "out.csv", read_portfolio(tmp_path / "b.csv", tmp_path / "i.csv", None).rejected)
    assert (tmp_path / "out.csv").read_text().splitlines() == ["file,line,id,field,reason", told]


PHONES = {
    "destroyed": ("1.20256E+10", "scientific notation"),
    "robbed of its plus": ("12025550123", "lacks its +"),
    "a float": ("12125550101.0", "lacks its +"),
    "with an extension": ("+12125550101 ext 4", "extension"),
    "two of them": ("+12125550101/+12125550102", "not of the form"),
    "none": ("n/a", "not of the form"),
    "a fixed line": ("+442079460000", "fixed line"),
}


@pytest.mark.parametrize(("phone", "words"), PHONES.values(), ids=PHONES)
def test_a_number_that_cannot_be_used_is_told_beside_the_file_and_its_row_is_taken(
    phone: str, words: str, depot: Depot, tmp_path: Path
) -> None:
    told = _warnings(depot, tmp_path, borrowers("b-7", phone=phone))
    assert [one[:3] for one in told] == [("2", "phone", "b-7")]
    assert words in told[0][3]
    assert phone not in told[0][3]
    assert depot.world.profile("b-7").addresses["email"] == "ann@example.com"
    assert "sms" not in depot.world.profile("b-7").addresses


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("email", "cy at example.com", "white space"),
        ("email", "j\u00fcrgen@example.com", "outside ASCII"),
        ("time_zone", "Eastern Standard Time", "IANA"),
        ("jurisdiction", "UK", "the United Kingdom is GB"),
        ("jurisdiction", "USA", "ISO 3166"),
        ("locale", "Klingon", "no language"),
        ("locale", "fr-FR", "no language"),
        ("wechat_openid", "me", "openid"),
    ],
)
def test_every_other_cell_that_cannot_be_used_is_told_too(
    field: str, value: str, words: str, depot: Depot, tmp_path: Path
) -> None:
    told = _warnings(depot, tmp_path, borrowers("b-7", **{field: value}))
    assert [one[:3] for one in told] == [("2", field, "b-7")]
    assert words in told[0][3]
    assert value not in told[0][3]


def test_a_column_that_nothing_is_read_of_is_told_once_and_named_only_if_it_is_a_name(
    depot: Depot, tmp_path: Path
) -> None:
    book = PEOPLE.replace("preferred_time\n", "preferred_time,fone,Ann's 2nd no.\n").replace("email,\n", "email,,1,2\n")
    assert [one[:3] for one in _warnings(depot, tmp_path, book)] == [("1", "fone", ""), ("1", "", "")]


def test_a_book_without_fault_has_a_report_of_nothing(depot: Depot, tmp_path: Path) -> None:
    assert _warnings(depot, tmp_path, PEOPLE) == []
    assert depot.files.get("books/core/x.csv.warnings.csv").decode() == "file,line,field,reason,id\n"


def _warnings(depot: Depot, folder: Path, book: str) -> list[tuple[str, str, str, str]]:
    """Line, field, id and reason of what an import tells of a book, which is what a run tells of it."""
    depot.imported("x.csv", book)
    told = depot.files.get("books/core/x.csv.warnings.csv").decode()
    (folder / "x.csv").write_text(book)
    (folder / "i.csv").write_text(HEAD)
    read = read_portfolio(folder / "x.csv", folder / "i.csv", None)
    write_rejected(folder / "warnings.csv", read.warnings, WARNED_COLUMNS)
    assert (folder / "warnings.csv").read_text() == told
    assert depot.report("x.csv")["warned"] == len(read.warnings)
    rows = [line.split(",", 3) for line in told.splitlines()[1:]]
    return [(line, field, rest.rpartition(",")[2], rest.rpartition(",")[0]) for _, line, field, rest in rows]
