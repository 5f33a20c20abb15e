from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from predue.aws import clients
from predue.aws.plans import TablePlans
from predue.aws.table import Table, shard_of
from predue.borrowers.ports import Checkpoint
from predue.domain.due import Change, Due
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.errors import Unreachable
from tests.aws.line import DAY, Line, Storage

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
PLACE, SEND_TIME = "America/New_York", "--:--"


@pytest.fixture
def table(storage: Storage) -> Table:
    return Table(storage.table, lambda: 1)


def due(borrower: str, loan: str = "loan-1", on: date = DAY) -> Due:
    return Due(borrower, loan, 1, on, 100, "USD", 0, (Change(NOW, open=True),))


def entries(
    plans: TablePlans, after: str = "", send_time: str = SEND_TIME, zone_key: str = PLACE, on: date = DAY
) -> list[str]:
    return [entry.borrower_id for entry in plans.entries(on, 0, zone_key, send_time, after)]


def reached(plans: TablePlans, run: str = "plan", shard: int = 0) -> Checkpoint | None:
    return plans.start(run, shard)[1]


def add(table: Table, *borrowers: str, zone_key: str = PLACE, send_time: str = SEND_TIME, on: date = DAY) -> None:
    for borrower in borrowers:
        table.write_due(due(borrower, f"loan-of-{borrower}", on), zone_key, send_time, NOW, indexed=True)


def test_the_index_shows_open_dues_only(table: Table, plans: TablePlans) -> None:
    add(table, "b-1", "b-2")
    read = table.due("b-1", DAY, "loan-of-b-1", 1)
    assert read is not None
    table.write_due(read, PLACE, SEND_TIME, NOW, indexed=False)
    assert entries(plans) == ["b-2"]
    (entry,) = plans.entries(DAY, 0, PLACE, SEND_TIME)
    assert entry == ("b-2", "loan-of-b-2", 1, DAY, SEND_TIME, NOW)


def test_the_index_parts_dates_places_times_and_shards(table: Table, plans: TablePlans) -> None:
    add(table, "here")
    add(table, "other-place", zone_key="America/New_York_Other")
    add(table, "other-time", send_time="18:15")
    add(table, "other-date", on=DAY + timedelta(days=1))
    add(table, "unknown-zone", zone_key="*US-NY")
    assert entries(plans) == ["here"]
    assert entries(plans, send_time="18:15") == ["other-time"]
    assert entries(plans, zone_key="*US-NY") == ["unknown-zone"]
    assert entries(plans, on=DAY + timedelta(days=1)) == ["other-date"]
    assert list(plans.entries(DAY, 1, PLACE, SEND_TIME)) == []


def test_every_send_time_of_a_place_comes_together_when_none_is_named(table: Table, plans: TablePlans) -> None:
    add(table, "b-2", "b-1", send_time="18:15")
    add(table, "b-4", "b-3")
    add(table, "elsewhere", zone_key="America/New_York_Other")
    found = list(plans.entries(DAY, 0, PLACE, ""))
    assert [(entry.send_time, entry.borrower_id) for entry in found] == sorted(
        [("18:15", "b-1"), ("18:15", "b-2"), (SEND_TIME, "b-3"), (SEND_TIME, "b-4")]
    )


def test_a_due_stands_in_the_shard_of_its_borrower(storage: Storage) -> None:
    sharded = Table(storage.table, lambda: 4)
    plans = TablePlans(storage.table, "due_index")
    borrowers = [f"b-{number}" for number in range(12)]
    add(sharded, *borrowers)
    for shard in range(4):
        expected = sorted(one for one in borrowers if shard_of(one, 4) == shard)
        assert [entry.borrower_id for entry in plans.entries(DAY, shard, PLACE, SEND_TIME)] == expected


def test_borrowers_come_sorted_and_a_run_resumes_after_one(table: Table, plans: TablePlans) -> None:
    add(table, "b-3", "b-1", "b-10", "b-2")
    table.write_due(due("b-1", "another-loan"), PLACE, SEND_TIME, NOW, indexed=True)
    assert entries(plans) == ["b-1", "b-1", "b-10", "b-2", "b-3"]
    assert entries(plans, after=f"{SEND_TIME}#b-1") == ["b-10", "b-2", "b-3"]
    assert entries(plans, after=f"{SEND_TIME}#b-2") == ["b-3"]
    assert entries(plans, after=f"{SEND_TIME}#b-3") == []


@pytest.mark.parametrize("other", ["b-1$", "b-1%", "b-1'", "b-10", "b-1~", "b-1é", "B-1"])
def test_the_order_of_the_index_is_the_order_of_the_ids(other: str, table: Table, plans: TablePlans) -> None:
    add(table, "b-1", other)
    assert entries(plans) == sorted(["b-1", other])


@pytest.mark.parametrize("other", ["b-1 x", "b-1!", "b-1$", "b-10", "b-1~"])
def test_a_run_that_resumes_misses_no_borrower_and_repeats_none(other: str, table: Table, plans: TablePlans) -> None:
    add(table, "b-0", "b-1", other, "b-2")
    order = entries(plans)
    for zone_key, borrower in enumerate(order):
        assert entries(plans, after=f"{SEND_TIME}#{borrower}") == order[zone_key + 1 :]


def test_an_index_of_several_pages_is_walked_to_the_end(table: Table, plans: TablePlans, line: Line) -> None:
    borrowers = [f"b-{number:02}" for number in range(7)]
    add(table, *borrowers)
    clients.client("dynamodb").meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: {**params, "Limit": 3}
    )
    line.sent.clear()
    assert entries(plans) == borrowers
    assert line.counts() == {"dynamodb.Query": 3}


def test_dues_already_past_their_window_are_found_apart(table: Table, plans: TablePlans) -> None:
    table.write_due(due("b-late"), PLACE, SEND_TIME, NOW, indexed=True, overdue=True)
    add(table, "b-1")
    assert [entry.borrower_id for entry in plans.overdue(0)] == ["b-late"]
    assert entries(plans) == ["b-1"]


def test_profiles_and_ledgers_of_many_come_in_batches_of_a_hundred(table: Table, plans: TablePlans, line: Line) -> None:
    for number in range(101):
        table.write_profile(Profile(f"b-{number}", f"ref-{number}"))
    ledger = table.write_ledger(Ledger("b-7"))
    line.sent.clear()
    names = [f"b-{number}" for number in range(110)]
    profiles = plans.profiles_of(names)
    assert len(profiles) == 101
    assert profiles["b-7"] == Profile("b-7", "ref-7", version=1)
    assert line.counts() == {"dynamodb.BatchGetItem": 2}
    assert plans.ledgers_of(names) == {"b-7": ledger}
    assert line.counts() == {"dynamodb.BatchGetItem": 4}


def test_keys_that_the_database_left_over_are_asked_for_again(
    table: Table, plans: TablePlans, line: Line, storage: Storage
) -> None:
    for name in ("b-1", "b-2"):
        table.write_profile(Profile(name, f"ref-{name}"))
    left = {storage.table: {"Keys": [{"pk": {"S": "B#b-2"}, "sk": {"S": "A#profile"}}]}}
    here = [{"pk": {"S": "B#b-1"}, "sk": {"S": "A#profile"}, "ref": {"S": "ref-b-1"}, "version": {"N": "1"}}]
    line.reply("dynamodb.BatchGetItem", {"Responses": {storage.table: here}, "UnprocessedKeys": left})
    assert set(plans.profiles_of(["b-1", "b-2"])) == {"b-1", "b-2"}
    assert line.of("dynamodb.BatchGetItem")[1]["RequestItems"] == left


def test_keys_that_stay_unprocessed_are_an_error_and_no_silence(
    plans: TablePlans, line: Line, storage: Storage
) -> None:
    left = {storage.table: {"Keys": [{"pk": {"S": "B#b-2"}, "sk": {"S": "A#profile"}}]}}
    line.reply("dynamodb.BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, times=50)
    with pytest.raises(Unreachable):
        plans.profiles_of(["b-2"])


def test_what_is_in_use_and_how_far_a_run_came_is_one_strongly_consistent_read(
    table: Table, plans: TablePlans, line: Line
) -> None:
    table.use(PLACE, SEND_TIME, 0)
    plans.save_checkpoint("plan", 0, Checkpoint(NOW))
    line.sent.clear()
    assert plans.start("plan", 0) == ((frozenset({(PLACE, SEND_TIME)}), frozenset({0})), Checkpoint(NOW))
    (request,) = line.of("dynamodb.BatchGetItem")
    (keys,) = request["RequestItems"].values()
    assert keys["ConsistentRead"] is True
    assert len(line.sent) == 1


def test_places_in_use_only_ever_grow(table: Table, plans: TablePlans) -> None:
    assert plans.start("plan", 0)[0] == (frozenset(), frozenset())
    table.use(PLACE, SEND_TIME, 0)
    table.use("*US-CA", "18:15", 5)
    table.use(PLACE, SEND_TIME, 0)
    in_use, _ = plans.start("plan", 0)
    assert in_use == (frozenset({(PLACE, SEND_TIME), ("*US-CA", "18:15")}), frozenset({0, 5}))


def test_a_checkpoint_is_kept_by_run_and_shard(plans: TablePlans) -> None:
    assert reached(plans) is None
    unfinished = Checkpoint(NOW, NOW + timedelta(minutes=15), "position")
    plans.save_checkpoint("plan", 0, unfinished)
    plans.save_checkpoint("plan", 1, Checkpoint(NOW - timedelta(days=1)))
    assert reached(plans) == unfinished
    assert reached(plans, shard=1) == Checkpoint(NOW - timedelta(days=1))
    assert reached(plans, run="close") is None


def test_a_checkpoint_never_moves_back(plans: TablePlans) -> None:
    plans.save_checkpoint("plan", 0, Checkpoint(NOW))
    plans.save_checkpoint("plan", 0, Checkpoint(NOW - timedelta(minutes=15)))
    assert reached(plans) == Checkpoint(NOW)
    plans.save_checkpoint("plan", 0, Checkpoint(NOW + timedelta(minutes=15)))
    assert reached(plans) == Checkpoint(NOW + timedelta(minutes=15))


def test_a_finished_run_forgets_where_it_had_stopped(plans: TablePlans) -> None:
    target = NOW + timedelta(minutes=15)
    plans.save_checkpoint("plan", 0, Checkpoint(NOW, target, "position"))
    plans.save_checkpoint("plan", 0, Checkpoint(target))
    assert reached(plans) == Checkpoint(target)


def test_a_profile_that_moves_takes_its_open_dues_to_the_new_place(table: Table, plans: TablePlans) -> None:
    add(table, "b-1")
    read = table.due("b-1", DAY, "loan-of-b-1", 1)
    assert read is not None
    table.write_due(replace(read, amount=200), "Asia/Tokyo", "08:00", NOW, indexed=True)
    assert entries(plans) == []
    assert entries(plans, zone_key="Asia/Tokyo", send_time="08:00") == ["b-1"]


def test_a_checkpoint_is_read_back_whole(plans: TablePlans) -> None:
    whole = Checkpoint(NOW, NOW + timedelta(minutes=15), "place", NOW - timedelta(hours=1), 7, True, "a@1", True)
    assert all(whole)
    plans.save_checkpoint("plan", 0, whole)
    assert reached(plans) == whole
