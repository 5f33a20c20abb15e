import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.dynamodb.models import DynamoDBBackend

from predue.aws import items
from predue.aws.table import Table
from predue.domain.ledger import Contact, Ledger, Mark, Settled, Stated
from predue.domain.policy import Cap
from predue.domain.record import Answer, Attempt
from predue.domain.stage import StageKey
from predue.errors import LedgerMoved, PredueError, Unreachable
from tests.aws.line import DAY, Line, Storage

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
KEY = StageKey("loan-1", 3, DAY, "T-3")


def contact(
    token: str = "t1",  # noqa: S107 - no password
    key: StageKey = KEY,
    at: datetime = NOW,
) -> Contact:
    return Contact(at, key.day(), "sms", (key,), token, f"reminder-{token}", "en-US/sms/before@1", "addressr")


@pytest.fixture
def one_write_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB orders the writes of an item; moto may let a thread in between a condition and its write."""
    lock, put = threading.Lock(), DynamoDBBackend.put_item

    def put_item(self: DynamoDBBackend, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return put(self, *args, **kwargs)

    monkeypatch.setattr(DynamoDBBackend, "put_item", put_item)


def test_a_ledger_that_was_never_written_has_version_zero(table: Table) -> None:
    assert table.ledger("b-1") == Ledger("b-1", version=0)


def test_a_write_raises_the_version_by_one_and_is_read_back_whole(table: Table) -> None:
    tries = (Attempt(NOW, "sms", Answer.read("refused_channel:SPENDING_LIMIT_REACHED")),)
    ledger = Ledger(
        "b-1",
        contacts=(
            contact(),
            contact("t2", at=NOW + timedelta(hours=1))._replace(state="refused", tries=tries),
            contact("t3", at=NOW + timedelta(hours=2))._replace(state="refused", tries=tries, text=""),
            contact("t4", at=NOW + timedelta(hours=3))._replace(channel="email", address="mailboxr"),
        ),
        settled=(Settled(NOW, (KEY,), "suppressed", "paid"), Settled(NOW, (KEY,), "failed", "refused_address", tries)),
        opt_outs={("sms", "core"): Stated(4, 17), ("sms", "crm"): Stated(5, 18, 16)},
        opt_ins={("all", "core"): Stated(6, 20, 19)},
        holds={("hardship", "core"): Mark(2, on=True), ("a|b", "crm"): Mark(3, on=True, at=9, until=NOW.date())},
        holds_ended={"core": Mark(0, on=False, at=4)},
        suppressed={"email": ("abc", "def")},
    )
    written = table.write_ledger(ledger)
    assert written == ledger._replace(version=1)
    assert table.ledger("b-1") == written


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_an_instant_survives_the_table_to_the_millisecond(ms: int, other: int) -> None:
    at, later = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=one) for one in (ms, other))
    ledger = Ledger("b-1", version=1, contacts=(contact(at=at),), settled=(Settled(later, (KEY,), "expired", "x"),))
    assert items.read_ledger(items.plain(items.wire(items.ledger_item(ledger)))) == ledger


def test_of_two_writes_over_the_same_read_the_second_is_told_that_the_ledger_moved(table: Table) -> None:
    read = table.write_ledger(Ledger("b-1"))
    table.write_ledger(read.with_contact(contact("first")))
    with pytest.raises(LedgerMoved):
        table.write_ledger(read.with_contact(contact("second")))
    assert [one.token for one in table.ledger("b-1").contacts] == ["first"]


def test_of_two_first_writes_only_one_succeeds(table: Table) -> None:
    table.write_ledger(Ledger("b-1").with_contact(contact("first")))
    with pytest.raises(LedgerMoved):
        table.write_ledger(Ledger("b-1").with_contact(contact("second")))


def test_a_bump_makes_every_claim_that_read_before_it_lose(table: Table) -> None:
    read = table.write_ledger(Ledger("b-1", opt_outs={("sms", "core"): Stated(1)}))
    table.bump("b-1")
    with pytest.raises(LedgerMoved):
        table.write_ledger(read.with_contact(contact()))
    now = table.ledger("b-1")
    assert now.version == 2
    assert now.opt_outs == read.opt_outs


def test_a_bump_of_a_borrower_without_ledger_is_seen_by_a_first_claim(table: Table) -> None:
    table.bump("b-1")
    with pytest.raises(LedgerMoved):
        table.write_ledger(Ledger("b-1").with_contact(contact()))


@pytest.mark.usefixtures("one_write_at_a_time")
def test_a_cap_holds_exactly_under_eight_threads_that_claim_at_once(table: Table) -> None:
    cap, room = Cap(count=4, per="7 days"), 4
    together = threading.Barrier(8)

    def claim(thread: int) -> int:
        together.wait()
        won = 0
        for number in range(2):
            key = StageKey(f"loan-{thread}", number + 1, DAY, "T-3")
            while True:
                ledger = table.ledger("b-1")
                if ledger.full_until(cap, NOW, DAY) is not None:
                    break
                try:
                    table.write_ledger(ledger.with_contact(contact(f"{thread}-{number}", key)))
                except LedgerMoved:
                    continue
                won += 1
                break
        return won

    with ThreadPoolExecutor(8) as pool:
        won = sum(pool.map(claim, range(8)))
    stored = table.ledger("b-1")
    assert won == room
    assert len(stored.contacts) == room
    assert stored.version == room


@pytest.mark.usefixtures("one_write_at_a_time")
def test_of_eight_claims_over_one_read_exactly_one_wins(table: Table) -> None:
    read = table.write_ledger(Ledger("b-1"))
    together = threading.Barrier(8)

    def claim(thread: int) -> bool:
        together.wait()
        try:
            table.write_ledger(read.with_contact(contact(f"t{thread}")))
        except LedgerMoved:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert won.count(True) == 1
    assert [one.token for one in table.ledger("b-1").contacts] == [f"t{won.index(True)}"]


@pytest.mark.parametrize("version", [0, 1])
def test_a_write_whose_answer_was_lost_is_known_as_our_own_when_the_sdk_repeats_it(
    version: int, table: Table, line: Line
) -> None:
    read = Ledger("b-1") if version == 0 else table.write_ledger(Ledger("b-1"))
    before = len(line.of("dynamodb.PutItem"))
    line.lose_answer("dynamodb.PutItem")
    written = table.write_ledger(read.with_contact(contact()))
    assert len(line.of("dynamodb.PutItem")) == before + 2
    assert written.version == version + 1
    assert table.ledger("b-1") == written


def test_a_write_that_lost_its_answer_twice_is_still_known(table: Table, line: Line) -> None:
    line.lose_answer("dynamodb.PutItem", times=2)
    assert table.write_ledger(Ledger("b-1").with_contact(contact())).version == 1
    assert len(line.of("dynamodb.PutItem")) == 3


def test_somebody_elses_equal_write_is_not_taken_for_our_own(table: Table, line: Line) -> None:
    ledger = Ledger("b-1").with_contact(contact())
    Table(table._name, lambda: 4).write_ledger(ledger)
    line.no_answer("dynamodb.PutItem")
    with pytest.raises(LedgerMoved):
        table.write_ledger(ledger)


def test_a_lost_answer_after_which_somebody_else_wrote_is_a_lost_race(table: Table, line: Line) -> None:
    line.lose_answer("dynamodb.PutItem", times=4)
    with pytest.raises(Unreachable):
        table.write_ledger(Ledger("b-1").with_contact(contact("ours")))
    table.write_ledger(table.ledger("b-1").with_contact(contact("theirs")))
    with pytest.raises(LedgerMoved):
        table.write_ledger(Ledger("b-1").with_contact(contact("ours")))


@pytest.mark.parametrize(
    "code",
    ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "InternalServerError"],
)
def test_throttling_and_failures_of_the_service_are_unreachable_after_the_sdks_own_retries(
    code: str, table: Table, line: Line
) -> None:
    line.say("dynamodb.PutItem", code, status=500 if "Internal" in code else 400, times=10)
    with pytest.raises(Unreachable, match=code):
        table.write_ledger(Ledger("b-1"))
    assert len(line.of("dynamodb.PutItem")) == 4
    assert Unreachable.retry


def test_an_error_that_time_does_not_heal_is_not_called_retryable(table: Table, line: Line) -> None:
    line.say("dynamodb.PutItem", "AccessDeniedException", times=10)
    with pytest.raises(PredueError, match="AccessDeniedException") as caught:
        table.write_ledger(Ledger("b-1"))
    assert not caught.value.retry
    assert len(line.of("dynamodb.PutItem")) == 1


def test_a_database_that_does_not_answer_is_unreachable(table: Table, line: Line) -> None:
    line.no_answer("dynamodb.GetItem", times=10)
    with pytest.raises(Unreachable, match="ReadTimeoutError"):
        table.ledger("b-1")


def test_a_claim_asks_the_database_to_show_what_stood_in_its_way(table: Table, line: Line, storage: Storage) -> None:
    with pytest.raises(LedgerMoved):
        table.write_ledger(Ledger("b-1", version=3))
    request = line.of("dynamodb.PutItem")[0]
    assert request["TableName"] == storage.table
    assert request["ConditionExpression"] == "version = :read"
    assert request["ExpressionAttributeValues"] == {":read": {"N": "3"}}
    assert request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
