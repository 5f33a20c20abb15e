"""A case in the table: made once, added to by whoever comes, and read back as it was."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from predue.aws import clients, items
from predue.aws.case_items import case_item, read_case
from predue.aws.table import Table
from predue.domain import instant
from predue.domain.case import Case, Hold, asked_for_help, at_risk
from predue.domain.ledger import Ledger, Mark
from predue.errors import Unreachable
from tests.aws.line import Line, Storage
from tests.aws.test_table import due

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
UPDATE = "dynamodb.UpdateItem"
WARNED = at_risk(due(), "unreachable", NOW)


def helped(reason: str = "hardship", sequence: int = 0) -> Case:
    ledger = Ledger("b-1", holds={(reason, "core"): Mark(sequence, on=True)})
    asked = asked_for_help("b-1", Hold(reason, sequence, "core"), ledger, NOW)
    assert asked is not None
    return asked


def stored(storage: Storage, case: Case = WARNED) -> items.Item:
    key = {"pk": {"S": "B#b-1"}, "sk": {"S": f"K#{case.case_id}"}}
    return items.plain(clients.client("dynamodb").get_item(TableName=storage.table, Key=key)["Item"])


@pytest.mark.parametrize("case", [WARNED, helped(), helped("HARDSHIP", 7)], ids=["at_risk", "help", "in capitals"])
def test_a_case_is_read_back_as_it_was_written(case: Case, table: Table, storage: Storage) -> None:
    assert table.write_case(case) is True
    assert read_case(stored(storage, case)) == case


def test_a_case_is_written_by_one_request_that_reads_nothing(table: Table, line: Line) -> None:
    table.write_case(WARNED)
    assert line.counts() == {UPDATE: 1}


def test_the_same_early_warning_seen_again_changes_nothing(table: Table, storage: Storage) -> None:
    table.write_case(WARNED)
    before = stored(storage)
    later = at_risk(due(), "unreachable", NOW + timedelta(days=1))
    assert table.write_case(later) is False
    assert stored(storage) == before


def test_a_hold_told_again_changes_nothing(table: Table, storage: Storage) -> None:
    table.write_case(helped())
    before = stored(storage, helped())
    assert table.write_case(replace(helped(), opened_at=NOW + timedelta(days=1))) is False
    assert stored(storage, helped()) == before


def test_another_early_warning_is_added_and_what_opened_the_case_stays(table: Table, storage: Storage) -> None:
    table.write_case(WARNED)
    assert table.write_case(at_risk(due(), "payment_reversed", NOW + timedelta(days=1))) is False
    found = read_case(stored(storage))
    assert found.signals == {"unreachable": NOW, "payment_reversed": NOW + timedelta(days=1)}
    assert (found.opened_at, found.reason) == (NOW, "unreachable")


def test_a_write_whose_answer_was_lost_has_made_the_case_all_the_same(
    table: Table, storage: Storage, line: Line
) -> None:
    line.lose_answer(UPDATE)
    table.write_case(WARNED)
    assert read_case(stored(storage)) == WARNED


def test_a_table_that_does_not_answer_is_an_error_to_come_again_for(table: Table, line: Line) -> None:
    line.say(UPDATE, "InternalServerError", status=500, times=9)
    with pytest.raises(Unreachable):
        table.write_case(WARNED)


def test_a_case_goes_with_its_due_and_one_about_a_hold_stays(table: Table, storage: Storage) -> None:
    table.write_case(WARNED)
    table.write_case(helped())
    gone = datetime(2026, 12, 7, tzinfo=UTC) + timedelta(days=60)
    assert stored(storage).get("expires_at") == instant.to_epoch(gone)
    assert "expires_at" not in stored(storage, helped())


def test_what_the_gate_reads_of_a_borrower_holds_no_case(table: Table) -> None:
    table.write_case(WARNED)
    assert table.load("b-1", until=date.max).dues == ()


def test_the_item_of_a_case_holds_ids_dates_and_codes_only() -> None:
    assert dict[str, Any](case_item(WARNED)) == {
        "pk": "B#b-1",
        "sk": f"K#{WARNED.case_id}",
        "opened_at": instant.to_ms(NOW),
        "unreachable": instant.to_ms(NOW),
        "about": "loan-1#1#2026-12-05#2",
        "expires_at": instant.to_epoch(datetime(2027, 2, 5, tzinfo=UTC)),
    }
