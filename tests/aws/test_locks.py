from datetime import UTC, datetime, timedelta

import pytest

from predue.aws import clients
from predue.aws.table import Table
from predue.errors import LoanBusy
from tests.aws.line import Storage

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
UNTIL = NOW + timedelta(seconds=60)


def test_one_at_a_time_has_the_turn_at_a_loan(table: Table) -> None:
    table.lock_loan("L-1", "one", NOW, UNTIL)
    with pytest.raises(LoanBusy):
        table.lock_loan("L-1", "other", NOW, UNTIL)
    table.lock_loan("L-2", "other", NOW, UNTIL)
    table.release_loan("L-1", "one")
    table.lock_loan("L-1", "other", NOW, UNTIL)


def test_a_turn_ends_by_itself_at_its_instant_and_not_before(table: Table) -> None:
    table.lock_loan("L-1", "dead", NOW, UNTIL)
    with pytest.raises(LoanBusy):
        table.lock_loan("L-1", "next", UNTIL - timedelta(milliseconds=1), UNTIL)
    table.lock_loan("L-1", "next", UNTIL, UNTIL + timedelta(seconds=60))


def test_a_write_of_the_turn_that_the_sdk_repeats_finds_its_own(table: Table) -> None:
    table.lock_loan("L-1", "one", NOW, UNTIL)
    table.lock_loan("L-1", "one", NOW, UNTIL)


def test_whoever_lost_the_turn_takes_nothing_from_who_has_it(table: Table) -> None:
    table.lock_loan("L-1", "slow", NOW, UNTIL)
    table.lock_loan("L-1", "next", UNTIL, UNTIL + timedelta(seconds=60))
    table.release_loan("L-1", "slow")
    with pytest.raises(LoanBusy):
        table.lock_loan("L-1", "third", UNTIL, UNTIL + timedelta(seconds=60))


def test_a_turn_is_no_installment_of_its_loan_and_goes_by_itself(table: Table, storage: Storage) -> None:
    table.lock_loan("L-1", "one", NOW, UNTIL)
    assert table.installments("L-1") == {}
    key = {"pk": {"S": "L#L-1"}, "sk": {"S": "T"}}
    (item,) = [clients.client("dynamodb").get_item(TableName=storage.table, Key=key)["Item"]]
    assert int(item["expires_at"]["N"]) > UNTIL.timestamp()
