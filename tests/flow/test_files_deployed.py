"""`predue import --bucket --endpoint` over HTTP, in a process of its own, with the import behind the bucket."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws import engine
from infrastructure.local.aws.aws_server import aws_server
from predue import wiring
from tests.depot import borrowers, installments
from tests.flow.deployed import Deployed, deployed, imported


@pytest.fixture(scope="module")
def stand() -> Iterator[Deployed]:
    with aws_server() as server, engine.over(server.endpoint), deployed(server.endpoint) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.csv").write_text(borrowers("b-1", "b-2"))
    # The functions tell the time by this machine's clock, and what is long over is not created any more.
    soon = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    (tmp_path / "i.csv").write_text(installments("L-1", "L-2", due_date=soon))
    (tmp_path / "bad.csv").write_text(installments("L-1", due_date=soon) + "nonsense\n")
    return tmp_path


def report(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / f"{name}.report.json").read_text())
    return found


def test_files_reach_the_import_of_a_deployed_stack_and_their_reports_come_back(stand: Deployed, folder: Path) -> None:
    # More than one request takes, so that it is known by its tag.
    (folder / "large.csv").write_text("no,book\n" + "x" * 9_000_000)
    status, said = imported(stand, folder, "b.csv", "i.csv", "bad.csv", "large.csv")
    assert status == 2, said
    assert "large.csv: refused" in said
    assert "missing columns" in said
    assert "i.csv: done; 2 rows: 2 applied" in said
    assert (report(folder, "bad.csv")["known_already"], report(folder, "bad.csv")["rejected"]) == (1, 1)
    assert (folder / "out" / "bad.csv.rejected.csv").read_text().splitlines()[1].startswith("bad.csv,3,")
    assert [due.loan_id for due in wiring.table().all_dues("b-2")] == ["L-2"]


def test_a_file_of_a_source_that_is_not_named_there_is_refused_with_what_to_do(stand: Deployed, folder: Path) -> None:
    status, said = imported(stand, folder, "b.csv", "--source", "nobody")
    assert status == 2
    assert "name it in the secret of sources" in said
