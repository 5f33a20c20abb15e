"""Files into a served stack, by `predue import --to` and by what else may knock at its door."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.cli.__main__ import main
from infrastructure.local.cli.buckets import CannotImport
from infrastructure.local.cli.import_run import ImportOptions, import_files
from infrastructure.local.serve.serve import _name_source, _Stopped
from predue.aws import clients
from tests.flow.live import Served, served
from tests.flow.small import Book, told, utc
from tests.signing import OURS

START = utc(7, 14, 50)
"""Ten minutes before the slot of New York, three days before the installments are due."""


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, Book(), START) as made:
        _name_source(made.stack, OURS)
        yield made


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The folder of a book of three borrowers with an installment each."""
    folder = tmp_path / "book"
    folder.mkdir()
    written = Book()
    for number in (1, 2, 3):
        written.borrower(f"b-{number}", channels="email").installment(f"b-{number}")
    written.write(folder)
    return folder


def imported(stand: Served, *words: str | Path) -> int:
    """The exit status of the command, run as in a second terminal."""
    given = ["import", *map(str, words), "--to", stand.server.address, "--out", str(stand.out / "reports")]
    future = stand.client(lambda: main(given))
    stand.until(future)
    return future.result()


def report(stand: Served, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((stand.out / "reports" / f"{name}.report.json").read_text())
    return found


def stored(stand: Served) -> list[str]:
    """The keys of all that is in the bucket."""
    with stand.stack.feeding():
        bucket = stand.stack.physical("Books")
        return [one["Key"] for one in clients.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def without(path: Path, line: str) -> Path:
    """The file without its lines that begin so."""
    kept = [one for one in path.read_text().splitlines(keepends=True) if not one.startswith(line)]
    small = path.with_name(f"small-{path.name}")
    small.write_text("".join(kept))
    return small


def test_a_book_that_is_put_is_reminded_of_and_shown_on_the_console(stand: Served, book: Path) -> None:
    assert "None yet" in stand.ask("GET", "/").body
    assert imported(stand, book / "borrowers.csv", book / "installments.csv") == 0
    page = stand.ask("GET", "/").body
    assert "for 3 borrowers" in page
    assert page.index("installments.csv") < page.index("borrowers.csv")
    stand.pass_to(utc(7, 15, 1))
    assert told(stand.contacts) == {("T-3", "sent", "")}
    assert len(stand.contacts) == 3


def test_the_same_file_again_says_the_same_and_changes_nothing(stand: Served, book: Path) -> None:
    assert imported(stand, book / "borrowers.csv", book / "installments.csv") == 0
    first = report(stand, "installments.csv")
    assert imported(stand, book / "installments.csv") == 0
    assert report(stand, "installments.csv") == first
    assert first["applied"] == 3


def test_a_file_with_a_bad_row_ends_with_status_3_and_says_which(stand: Served, book: Path) -> None:
    with (book / "borrowers.csv").open("a") as file:
        file.write("nonsense\n")
    assert imported(stand, book / "borrowers.csv") == 3
    rejected = (stand.out / "reports" / "borrowers.csv.rejected.csv").read_text().splitlines()
    assert rejected[1].startswith("borrowers.csv,5,,,the row has 1 fields")


def test_what_is_held_ends_with_status_5_until_it_is_confirmed(stand: Served, book: Path) -> None:
    assert imported(stand, book / "borrowers.csv", book / "installments.csv") == 0
    stand.now = utc(7, 14, 52)
    small = without(book / "installments.csv", "loan-3")
    assert imported(stand, small, "--complete") == 5
    assert imported(stand, small, "--complete", "--confirm") == 0
    assert report(stand, small.name)["closed"] == 1


def test_a_refused_file_ends_with_status_2_and_is_tried_again_when_it_is_put_again(
    stand: Served, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (book / "other.csv").write_text("no,book\n1,2\n")
    assert imported(stand, book / "other.csv") == 2
    first = report(stand, "other.csv")["started_at"]
    stand.now = utc(7, 14, 51)
    assert imported(stand, book / "other.csv") == 2
    assert report(stand, "other.csv")["started_at"] > first
    assert "missing columns" in capsys.readouterr().out


def test_an_unknown_source_is_told_which_there_are(
    stand: Served, book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(stand, book / "borrowers.csv", "--source", "core") == 2
    assert "no source 'core' here; say --source with one of: demo" in capsys.readouterr().err
    assert stored(stand) == []


def test_a_file_that_another_one_replaces_before_its_import_is_told_so_instead_of_waiting_for_ever(
    stand: Served, book: Path
) -> None:
    given = ImportOptions((book / "borrowers.csv",), stand.out, "demo", served=stand.server.address)
    waiting = stand.client(lambda: import_files(given, lambda _share, _what: None))
    while not stored(stand):
        stand.live._work.do_one(0.01)
    with stand.stack.feeding():
        clients.client("s3").put_object(
            Bucket=stand.stack.physical("Books"), Key="books/demo/borrowers.csv", Body=b"other"
        )
    stand.until(waiting)
    with pytest.raises(CannotImport, match="another file came under this name"):
        waiting.result()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PUT", {"Host": "evil.example"}),
        ("PUT", {"Origin": "https://evil.example"}),
        ("PUT", {"Origin": "null"}),
        ("PUT", {"Sec-Fetch-Site": "cross-site"}),
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_foreign_page_neither_puts_nor_reads_a_file(method: str, headers: dict[str, str], stand: Served) -> None:
    path = "/books/demo/a.csv.report.json" if method == "GET" else "/books/demo/a.csv"
    assert stand.ask(method, path, "x" if method == "PUT" else None, **headers).status == 403
    assert stand.ask("PUT", "/confirmed/abc", "", **headers).status == 403
    assert stored(stand) == []


def test_a_browser_that_asks_ahead_whether_it_may_put_is_told_no(stand: Served) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    got = stand.ask("OPTIONS", "/books/demo/a.csv", **asked)
    assert got.status == 403
    assert not [name for name in got.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/books/demo/a.xlsx", "ending in one of"),
        ("/books/demo/", "ending in one of"),
        ("/books/a.csv", "books/<source>/<name>"),
        ("/books//a.csv", "books/<source>/<name>"),
        ("/books/demo/b/a.csv", "books/<source>/<name>"),
        ("/books/demo/..%2F..%2Fwork%2Fa.csv", "books/<source>/<name>"),
        ("/books/demo/a.rejected.csv", "so end its reports"),
        ("/books/demo/a%00.csv", "printable"),
        ("/books/demo/a%0A.csv", "printable"),
        (f"/books/demo/{'a' * 1100}.csv", "a thousand bytes"),
    ],
)
def test_a_name_that_the_import_would_not_take_is_refused_before_the_file_is_sent(
    path: str, said: str, stand: Served
) -> None:
    got = stand.ask("PUT", path, "x")
    assert got.status == 422
    assert said in json.loads(got.body)["message"]
    assert stored(stand) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/books/demo/a.csv.report.json", 404),
        ("POST", "/books/demo/a.csv", 405),
        ("DELETE", "/books/demo/a.csv", 405),
        ("GET", "/confirmed/abc", 405),
        ("PUT", "/confirmed/..%2Fwork", 404),
        ("PUT", "/confirmed/", 404),
    ],
)
def test_nothing_else_is_to_be_had_at_these_routes(method: str, path: str, status: int, stand: Served) -> None:
    assert stand.ask(method, path).status == status
    assert stored(stand) == []


def test_the_rows_of_a_file_that_was_put_are_not_given_out_again(stand: Served, book: Path) -> None:
    assert imported(stand, book / "borrowers.csv") == 0
    got = stand.ask("GET", "/books/demo/borrowers.csv")
    assert (got.status, got.body) == (200, "")


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_larger_than_is_taken_is_refused(*, chunked: bool, stand: Served) -> None:
    def blocks() -> Iterator[bytes]:
        yield from (b"x" * 1_000_000 for _ in range(100))
        yield b"x"

    headers = {} if chunked else {"Content-Length": "100000001"}
    assert stand.ask("PUT", "/books/demo/a.csv", blocks(), **headers).status == 413
    assert stored(stand) == []


@pytest.mark.parametrize("length", [b"Content-Length: 99", b"Transfer-Encoding: chunked"])
def test_a_file_that_is_cut_off_on_its_way_is_not_put(length: bytes, stand: Served) -> None:
    def cut_off() -> bytes:
        with socket.create_connection(("127.0.0.1", stand.server.port), timeout=600) as connection:
            head = b"PUT /books/demo/a.csv HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n"
            connection.sendall(head + b"9\r\nloan_id,i")
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    answer = stand.client(cut_off)
    stand.until(answer)
    assert b" 202 " not in answer.result()
    assert stored(stand) == []


def put_and_ask(stand: Served, book: Path) -> Any:
    """Put a file, and have a client wait for an answer before its import has begun."""
    content = (book / "borrowers.csv").read_bytes()
    putting = stand.client(lambda: stand.request("PUT", "/books/demo/borrowers.csv", content))
    while not putting.done():
        stand.live._work.do_one(0.01)
    assert putting.result().status == 202
    asking = stand.client(lambda: stand.request("GET", "/books/demo/borrowers.csv.report.json"))
    while stand.live._work._asked.empty():
        pass
    return asking


def test_a_client_is_answered_in_the_middle_of_an_import(stand: Served, book: Path) -> None:
    asking = put_and_ask(stand, book)
    for _ in range(20):
        stand.live._step()
    assert asking.done()
    # It had begun, and there was no report yet; now there is one.
    assert asking.result().status == 404
    assert json.loads(stand.ask("GET", "/books/demo/borrowers.csv.report.json").body)["status"] == "done"


def test_a_server_that_is_told_to_stop_does_so_in_the_middle_of_an_import(stand: Served, book: Path) -> None:
    asking = put_and_ask(stand, book)
    stand.live._work.stop()

    def go_on() -> None:
        for _ in range(20):
            stand.live._step()

    with pytest.raises(_Stopped):
        go_on()
    stand.live._work.refuse_all()
    assert asking.result().status == 503


def test_neither_a_file_s_name_nor_its_rows_are_in_the_log(stand: Served, book: Path) -> None:
    (book / "borrowers.csv").rename(book / "Lopez-family.csv")
    assert imported(stand, book / "Lopez-family.csv") == 0
    assert "import_id" in stand.log.getvalue()
    assert not [word for word in ("Lopez", "López", "person", "+1212") if word in stand.log.getvalue()]
