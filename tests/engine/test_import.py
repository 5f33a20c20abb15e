"""`predue import --bucket --endpoint` over another engine, which tells the queue of the file itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infrastructure.local.aws import engine
from predue import wiring
from tests.depot import borrowers, installments
from tests.flow.deployed import Deployed, deployed, imported

pytestmark = pytest.mark.engine


@pytest.fixture
def stand(endpoint: str) -> Iterator[Deployed]:
    with engine.over(endpoint), deployed(endpoint) as made:
        yield made


def test_files_reach_the_import_and_their_reports_come_back(stand: Deployed, tmp_path: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    (tmp_path / "b.csv").write_text(borrowers("b-1", "b-2"))
    (tmp_path / "i.csv").write_text(installments("L-1", "L-2", due_date=soon) + "nonsense\n")
    status, said = imported(stand, tmp_path, "b.csv", "i.csv")
    assert status == 3, said
    assert "i.csv: done; 3 rows: 2 applied, 0 known already, 0 parked, 1 rejected" in said
    assert [due.loan_id for due in wiring.table().all_dues("b-2")] == ["L-2"]
