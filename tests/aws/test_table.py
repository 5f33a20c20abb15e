from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from predue.aws import clients
from predue.aws.plans import TablePlans
from predue.aws.table import Table, shard_of
from predue.domain.due import Change, Due
from predue.domain.ledger import Ledger, Mark
from predue.domain.profile import Profile
from predue.errors import EventConflict, LedgerMoved
from tests.aws.line import DAY, Line, Storage

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
PROFILE = Profile(
    "b-1",
    "refrefrefrefrefr",
    name="Zoë Nguyen",
    locale="en-US",
    time_zone="America/New_York",
    jurisdiction="US-NY",
    channels=("sms", "email"),
    consent=("email",),
    preferred_time=time(18, 15),
    addresses={"sms": "+12125550100", "email": "zoe@example.com"},
    address_refs={"sms": "s1", "email": "e1"},
    bad_addresses=("wechat_openid",),
    sequences={"name": 3},
)


def due(loan: str = "loan-1", number: int = 1, on: date = DAY, borrower: str = "b-1", **more: Any) -> Due:
    return Due(borrower, loan, number, on, 12345, "USD", 2, (Change(NOW, open=True),), **more)


def write(
    table: Table, *dues: Due, indexed: bool = True, zone_key: str = "America/New_York", send_time: str = "--:--"
) -> None:
    for one in dues:
        table.write_due(one, zone_key, send_time, NOW, indexed=indexed)


def raw(storage: Storage, pk: str, sk: str) -> dict[str, Any]:
    found = clients.client("dynamodb").get_item(TableName=storage.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    return dict(found.get("Item", {}))


def test_a_borrowers_live_state_is_read_in_one_strongly_consistent_query(table: Table, line: Line) -> None:
    table.write_profile(PROFILE)
    ledger = table.write_ledger(Ledger("b-1"))
    write(table, due("loan-1"), due("loan-2"))
    line.sent.clear()
    state = table.load("b-1", until=DAY)
    assert line.counts() == {"dynamodb.Query": 1}
    (request,) = line.of("dynamodb.Query")
    assert request["ConsistentRead"] is True
    assert "IndexName" not in request
    assert state.profile == replace(PROFILE, version=1)
    assert state.ledger == ledger
    assert [one.loan_id for one in state.dues] == ["loan-1", "loan-2"]


def test_a_live_state_holds_every_due_up_to_its_date_and_none_after(table: Table) -> None:
    dates = [DAY + timedelta(days=days) for days in (-40, -1, 0, 1, 30)]
    write(table, *(due(loan, on=on) for on in dates for loan in ("a", "zzz", "~", "Ωmega")))
    loaded = table.load("b-1", until=DAY).dues
    assert {one.due_date for one in loaded} == set(dates[:3])
    assert len(loaded) == 12
    assert len(table.all_dues("b-1")) == 20


def test_a_live_state_leaves_out_records_and_consents_and_other_borrowers(table: Table) -> None:
    write(table, due(), due(borrower="b-10"), due(borrower="b"))
    table.write_consent("b-1", NOW, "crm#e1", {"type": "borrower.opted_out", "sequence": 1})
    state = table.load("b-1", until=DAY)
    assert [one.borrower_id for one in state.dues] == ["b-1"]


def test_a_live_state_of_several_pages_is_read_to_the_end(table: Table, line: Line) -> None:
    table.write_profile(PROFILE)
    write(table, *(due(f"loan-{number:02}") for number in range(7)))
    clients.client("dynamodb").meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: {**params, "Limit": 3}
    )
    line.sent.clear()
    assert len(table.load("b-1", until=DAY).dues) == 7
    assert line.counts() == {"dynamodb.Query": 3}


def test_a_borrower_nobody_knows_has_no_profile_and_an_empty_ledger(table: Table) -> None:
    assert table.load("nobody", until=DAY) == (None, Ledger("nobody"), ())
    assert table.profile("nobody") is None


def test_a_due_is_read_back_as_it_was_written(table: Table) -> None:
    whole = due(
        payments={"core#p1": 5000, "core#p2": -5000},
        sequences={"amount": 3, "cancelled": 9},
        cancelled=True,
        cancels={"crm": Mark(4, on=True, at=5)},
        disputes={"crm": Mark(4, on=False, at=5), "core": Mark(7, on=True, at=8)},
        arrivals={"amount": 17},
        moved_to=DAY + timedelta(days=5),
        handed_over_at=NOW,
    )
    write(table, whole, indexed=False)
    assert table.due("b-1", DAY, "loan-1", 1) == replace(whole, version=1)


def test_of_two_writes_of_a_due_over_the_same_read_the_second_fails(table: Table) -> None:
    write(table, due())
    read = table.due("b-1", DAY, "loan-1", 1)
    assert read is not None
    write(table, replace(read, payments={"core#p1": 100}))
    with pytest.raises(LedgerMoved):
        write(table, replace(read, payments={"core#p2": 200}))
    with pytest.raises(LedgerMoved):
        write(table, due())


def test_of_two_writes_of_a_profile_over_the_same_read_the_second_fails(table: Table) -> None:
    table.write_profile(PROFILE)
    read = replace(PROFILE, version=1)
    table.write_profile(replace(read, name="A"))
    with pytest.raises(LedgerMoved):
        table.write_profile(replace(read, name="B"))
    assert table.profile("b-1") == replace(read, name="A", version=2)


def test_a_due_goes_sixty_days_after_the_end_of_its_grace(table: Table, storage: Storage) -> None:
    write(table, due())
    expires = int(raw(storage, "B#b-1", f"D#{DAY}#loan-1#1")["expires_at"]["N"])
    assert datetime.fromtimestamp(expires, UTC).date() == DAY + timedelta(days=2 + 60)


def test_a_due_stands_in_the_shard_of_its_borrower() -> None:
    shards = {shard_of(f"b-{number}", 16) for number in range(400)}
    assert shards == set(range(16))
    assert shard_of("b-1", 16) == shard_of("b-1", 16)
    assert {shard_of(f"b-{number}", 1) for number in range(9)} == {0}


def test_a_pointer_moves_only_from_where_it_was_thought_to_stand(table: Table) -> None:
    later = DAY + timedelta(days=7)
    assert table.pointer("loan-1", 1) is None
    table.point("loan-1", 1, "b-1", DAY, None)
    assert table.pointer("loan-1", 1) == ("b-1", DAY)
    table.point("loan-1", 1, "b-1", later, DAY)
    assert table.pointer("loan-1", 1) == ("b-1", later)
    with pytest.raises(LedgerMoved):
        table.point("loan-1", 1, "b-1", DAY + timedelta(days=9), DAY)
    assert table.pointer("loan-1", 1) == ("b-1", later)


def test_a_loans_installments_are_read_by_its_pointers(table: Table) -> None:
    later = DAY + timedelta(days=7)
    write(table, due(), due(number=10, on=later), due("loan-10"))
    for number, day in ((1, DAY), (10, later), (11, later)):
        table.point("loan-1", number, "b-1", day, None)
    table.point("loan-10", 1, "b-1", DAY, None)
    found = table.installments("loan-1")
    assert {number: day for number, (day, _) in found.items()} == {1: DAY, 10: later, 11: later}
    assert [None if one is None else one.installment_no for _, one in found.values()] == [1, 10, None]
    assert table.installments("loan-2") == {}


def test_a_pointer_that_stands_there_already_may_be_set_again(table: Table) -> None:
    table.point("loan-1", 1, "b-1", DAY, None)
    table.point("loan-1", 1, "b-1", DAY, None)
    table.point("loan-1", 1, "b-1", DAY, DAY - timedelta(days=30))
    assert table.pointer("loan-1", 1) == ("b-1", DAY)


def test_a_pointer_is_never_taken_over_by_another_borrower(table: Table) -> None:
    table.point("loan-1", 1, "b-1", DAY, None)
    for before in (None, DAY):
        with pytest.raises(LedgerMoved):
            table.point("loan-1", 1, "b-2", DAY, before)


def test_events_parked_come_back_in_the_order_of_their_sequences_until_they_are_dropped(table: Table) -> None:
    for event, sequence in (("core#e-a", 10), ("core#e-b", 9), ("core#e-c", 100)):
        table.park("installment#loan-1#1", event, {"event_id": event, "sequence": sequence}, NOW, awaited=True)
    table.park("installment#loan-1#10", "core#other", {"sequence": 1}, NOW, awaited=True)
    assert [body["sequence"] for body in table.parked("installment#loan-1#1")] == [9, 10, 100]
    table.drop_parked("installment#loan-1#1", "core#e-b")
    table.drop_parked("installment#loan-1#1", "core#e-b")
    assert [body["sequence"] for body in table.parked("installment#loan-1#1")] == [10, 100]


def test_an_applied_event_is_known_by_the_hash_of_its_body_and_forgotten_after_ninety_days(
    table: Table, storage: Storage
) -> None:
    assert table.begin("core#e-1", "hash", NOW) == "new"
    table.mark_applied("core#e-1", "hash", NOW)
    assert table.begin("core#e-1", "hash", NOW) == "applied"
    expires = int(raw(storage, "E#core#e-1", "E")["expires_at"]["N"])
    assert datetime.fromtimestamp(expires, UTC) == NOW + timedelta(days=90)


def test_an_id_that_was_taken_for_one_body_is_refused_to_another_until_the_first_is_given_back(table: Table) -> None:
    assert table.begin("core#e-1", "one", NOW) == "new"
    assert table.begin("core#e-1", "one", NOW) == "begun"
    with pytest.raises(EventConflict):
        table.begin("core#e-1", "other", NOW)
    table.release("core#e-1", "one", NOW)
    assert table.begin("core#e-1", "other", NOW) == "new"
    with pytest.raises(EventConflict):
        table.mark_applied("core#e-1", "one", NOW)
    table.mark_applied("core#e-1", "other", NOW)
    table.release("core#e-1", "other", NOW)
    with pytest.raises(EventConflict):
        table.begin("core#e-1", "one", NOW)


def test_an_id_whose_taking_was_answered_by_nobody_is_still_the_same_bodys(table: Table, line: Line) -> None:
    line.lose_answer("dynamodb.PutItem")
    assert table.begin("core#e-1", "one", NOW) == "begun"
    line.lose_answer("dynamodb.PutItem")
    table.mark_applied("core#e-1", "one", NOW)
    assert table.begin("core#e-1", "one", NOW) == "applied"


def test_the_oldest_of_what_is_awaited_is_found_until_it_is_dropped(table: Table, plans: TablePlans) -> None:
    assert plans.oldest_parked() is None
    table.park("installment#loan-0#1", "core#e-0", {"sequence": 1}, NOW - timedelta(days=9), awaited=False)
    table.park("installment#loan-1#1", "core#e-1", {"sequence": 1}, NOW, awaited=True)
    table.park("installment#loan-2#1", "core#e-2", {"sequence": 1}, NOW - timedelta(days=2), awaited=True)
    assert plans.oldest_parked() == NOW - timedelta(days=2)
    table.drop_parked("installment#loan-2#1", "core#e-2")
    assert plans.oldest_parked() == NOW


def test_a_consent_event_is_appended_once_and_keeps_only_what_was_said(table: Table, storage: Storage) -> None:
    body = {"type": "borrower.updated", "consent": ["sms"], "phone": "+12125550100", "sequence": 4}
    table.write_consent("b-1", NOW, "crm#e-1", body)
    table.write_consent("b-1", NOW + timedelta(days=1), "crm#e-1", body)
    table.write_consent("b-1", NOW, "crm#e-2", body)
    found = clients.client("dynamodb").scan(TableName=storage.table)["Items"]
    assert len(found) == 2
    assert {item["source"]["S"] for item in found} == {"crm"}
    assert all("+1212" not in str(item) for item in found)
    assert {int(item["at"]["N"]) for item in found} == {int(NOW.timestamp() * 1000)}


def test_a_suppressed_address_is_seen_at_once_and_leads_to_all_whom_it_belongs_to(table: Table, line: Line) -> None:
    table.link("hash-1", "b-1")
    table.link("hash-1", "b-2")
    table.link("hash-2", "b-3")
    assert not table.suppressed("hash-1")
    table.suppress("hash-1", "bounced", NOW)
    assert table.suppressed("hash-1")
    assert not table.suppressed("hash-2")
    assert table.linked("hash-1") == ["b-1", "b-2"]
    assert all(request["ConsistentRead"] for request in line.of("dynamodb.GetItem") + line.of("dynamodb.Query"))


def test_an_opaque_name_leads_back_to_its_borrower(table: Table) -> None:
    assert table.borrower_of("refrefrefrefrefr") is None
    table.name_borrower("refrefrefrefrefr", "b-1")
    assert table.borrower_of("refrefrefrefrefr") == "b-1"


def test_an_event_that_was_cut_short_keeps_the_instant_of_its_first_try(table: Table) -> None:
    table.begin("core#e-1", "one", NOW)
    assert table.begin("core#e-1", "one", NOW + timedelta(hours=1)) == "begun"
    assert table.first_came("core#e-1") == NOW
