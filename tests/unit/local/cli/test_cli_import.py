import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import boto3
import pytest

from infrastructure.local.aws.aws_server import aws_server
from infrastructure.local.cli.__main__ import main
from tests.depot import borrowers, installments


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    people = [f"b-{number}" for number in range(5)]
    (tmp_path / "b.csv").write_text(borrowers(*people))
    # The command's stack begins with the machine's own day, and what is long over is not created any more.
    soon = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    (tmp_path / "i.csv").write_text(installments("L-0", "L-1", "L-2", "L-3", "L-4", due_date=soon))
    (tmp_path / "bad.csv").write_text(installments("L-0", due_date=soon) + "nonsense\n")
    (tmp_path / "small.csv").write_text(installments("L-0", "L-1", due_date=soon))
    return tmp_path


def imported(folder: Path, *words: str) -> int:
    return main(
        ["import", *(str(folder / word) if "." in word else word for word in words), "--out", str(folder / "out")]
    )


def report(folder: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "out" / f"{name}.report.json").read_text())
    return found


def test_files_are_imported_in_their_order_and_their_reports_are_left(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(folder, "b.csv", "i.csv", "bad.csv") == 3
    assert report(folder, "i.csv")["applied"] == 5
    assert (folder / "out" / "bad.csv.rejected.csv").read_text().splitlines()[1].startswith("bad.csv,3,,,the row has 1")
    assert "i.csv: done; 5 rows: 5 applied" in capsys.readouterr().out


def test_a_complete_file_that_is_too_small_is_held_with_a_status_of_its_own_unless_it_is_confirmed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(folder, "b.csv", "i.csv", "small.csv", "--complete") == 5
    assert "too_small: it would close 3 of 5" in capsys.readouterr().out
    assert imported(folder, "b.csv", "i.csv", "small.csv", "--complete", "--confirm") == 0
    assert report(folder, "small.csv")["closed"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.csv"], "cannot be read"),
        (["b.xlsx"], "ends in one of"),
        (["b.csv", "--endpoint", "http://127.0.0.1:1"], "--bucket"),
        (["b.csv", "--bucket", "x", "--tenant", "acme"], "deployed one has them"),
        (["b.csv", "--to", "http://127.0.0.1:1", "--tenant", "acme"], "a served or a deployed one has them"),
        (["b.csv", "--to", "http://127.0.0.1:1", "--bucket", "x"], "give one of them"),
        (["b.csv", "--to", "http://127.0.0.1:1"], "nothing answers at http://127.0.0.1:1; start it"),
        (["b.rejected.csv"], "not in .rejected.csv"),
    ],
)
def test_what_cannot_be_imported_is_wrong_usage(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", *(str(folder / word) if word.endswith(("csv", "xlsx")) else word for word in words)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com:8000",
        "https://127.0.0.1:8000",
        "http://127.0.0.1@evil.example:8000",
        "http://127.0.0.1:8000/path",
        "http://127.0.0.1:port",
        "127.0.0.1:8000",
        "",
    ],
)
def test_a_file_goes_to_no_other_machine(address: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["import", str(folder / "b.csv"), f"--to={address}"])
    assert ended.value.code == 2
    assert "a served stack is on this machine" in capsys.readouterr().err


def test_another_server_at_the_address_is_told_apart_and_gets_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        assert main(["import", str(folder / "b.csv"), "--to", f"http://127.0.0.1:{other.server_port}"]) == 2
        other.shutdown()
    assert "is no `predue serve`" in capsys.readouterr().err


def test_a_bucket_must_be_there_and_an_import_that_nothing_goes_on_with_is_waited_for_no_longer_than_the_patience(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "operator")
    with aws_server() as server:
        there = ["--bucket", "books", "--endpoint", server.endpoint, "--patience", "0.01"]
        assert main(["import", str(folder / "b.csv"), *there]) == 2
        assert "NoSuchBucket" in capsys.readouterr().err
        boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1").create_bucket(Bucket="books")
        assert main(["import", str(folder / "b.csv"), *there]) == 2
    said = capsys.readouterr().err
    assert "books/core/b.csv: its import has not moved for 0.01 minutes" in said
    assert "docs/operations.md" in said
