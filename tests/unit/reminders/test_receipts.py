from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, permutations

import pytest

from predue.borrowers.ports import NoAnswer
from predue.domain.record import REF_LENGTH, Outcome, ref_of
from predue.errors import LedgerMoved, NotRecordedYet, Unusable
from predue.reminders import receipts
from predue.reminders.receipts import Receipt, merged, read_receipt
from tests.unit.world import World, ready

STATUSES = ("accepted", "delayed", "expired", "blocked", "undelivered", "bounced", "delivered", "complained")


def sent(**fields: str) -> World:
    world = ready(**fields)
    world.deliver(channel="email" if fields else "sms")
    return world


def unknown() -> World:
    world = ready()
    world.provider.answers = [NoAnswer("timeout")]
    world.deliver()
    return world


def note(world: World, status: str, *, permanent: bool = False) -> None:
    reminder = world.ledger().contacts[0].reminder_id
    said = Receipt(reminder, "from-the-provider", status, permanent)
    receipts.note(said, world.now, world.store, world.store, world.store)


@pytest.mark.parametrize("order", [*permutations(["accepted", "undelivered", "delivered"])])
def test_a_status_only_ever_rises_whatever_the_order(order: tuple[str, ...]) -> None:
    world = sent()
    for status in order:
        note(world, status)
    assert world.record().receipt == "delivered"


@pytest.mark.parametrize(("lower", "higher"), [*pairwise(STATUSES)])
def test_the_lattice_ranks_every_status(lower: str, higher: str) -> None:
    record = sent().record()
    assert "" not in receipts._below(higher)
    assert lower in receipts._below(higher)
    one = merged(merged(record, Receipt("r", "m", lower)), Receipt("r", "m", higher))
    other = merged(merged(record, Receipt("r", "m", higher)), Receipt("r", "m", lower))
    assert one.receipt == other.receipt == higher


def test_the_same_receipt_again_writes_nothing() -> None:
    world = sent()
    note(world, "delivered")
    world.store.calls.clear()
    note(world, "delivered")
    assert "settle_record" not in world.store.calls
    assert world.record().receipt == "delivered"


def test_an_ordinary_receipt_costs_one_write_and_no_read() -> None:
    world = sent()
    world.store.calls.clear()
    note(world, "delivered")
    assert world.store.calls == ["raise_receipt"]


def test_an_unknown_outcome_is_settled_by_the_providers_event() -> None:
    world = unknown()
    note(world, "delivered")
    record = world.record()
    assert (record.outcome, record.reason, record.receipt) == ("sent", "", "delivered")
    assert record.provider_message_id == "from-the-provider"
    assert [attempt.answer.text for attempt in record.attempts] == ["accepted"]


def test_a_receipt_before_its_record_is_kept_for_later() -> None:
    world = sent()
    world.store.records.clear()
    with pytest.raises(NotRecordedYet) as caught:
        note(world, "delivered")
    assert caught.value.retry


def test_a_record_that_moves_under_the_receipt_is_read_again() -> None:
    world = unknown()

    def before(call: str) -> None:
        if call == "settle_record":
            world.hook(lambda _call: None)
            note(world, "delivered")

    world.hook(before)
    note(world, "accepted")
    assert world.record().receipt == "delivered"


def test_a_record_that_never_stands_still_leaves_the_receipt_for_later() -> None:
    world = unknown()

    def before(call: str) -> None:
        if call == "settle_record":
            raise LedgerMoved("record")

    world.hook(before)
    with pytest.raises(LedgerMoved):
        note(world, "delivered")


def test_a_permanent_bounce_takes_the_address_from_every_borrower_who_has_it() -> None:
    world = sent(channels="email")
    world.borrower("b-2")
    note(world, "bounced", permanent=True)
    ref = world.profile().address_refs["email"]
    assert world.store.bad == {ref: "bounced"}
    assert world.ledger("b-1").suppressed == {"email": (ref,)}
    assert world.ledger("b-2").suppressed == {"email": (ref,)}


@pytest.mark.parametrize("before", ["delivered", "complained"])
def test_a_permanent_bounce_takes_the_address_though_the_message_was_delivered_before(before: str) -> None:
    world = sent(channels="email")
    note(world, before)
    note(world, "bounced", permanent=True)
    ref = world.profile().address_refs["email"]
    assert world.record().receipt == before
    assert world.store.bad == {ref: "bounced"}
    assert world.ledger().suppressed == {"email": (ref,)}


def test_a_bounce_of_an_unknown_call_takes_the_address_too() -> None:
    world = ready()
    world.hook(lambda call: (_ for _ in ()).throw(KeyboardInterrupt()) if call == "write_record" else None)
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.hook(lambda _call: None)
    world.now += timedelta(minutes=3)
    world.deliver()
    note(world, "bounced", permanent=True)
    assert world.record().outcome == "sent"
    assert world.store.bad == {world.profile().address_refs["sms"]: "bounced"}


def test_a_bounce_of_an_interrupted_call_never_takes_the_address_that_came_after_it() -> None:
    world = ready()
    world.hook(lambda call: (_ for _ in ()).throw(KeyboardInterrupt()) if call == "write_record" else None)
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.hook(lambda _call: None)
    world.tell("borrower.updated", phone="+12015550101")
    world.now += timedelta(minutes=3)
    world.deliver()
    note(world, "bounced", permanent=True)
    assert world.record().outcome == "sent"
    assert world.ledger().suppressed == {}


def test_a_passing_bounce_leaves_the_address_in_use() -> None:
    world = sent(channels="email")
    note(world, "undelivered")
    assert world.store.bad == {}


def test_a_complaint_stops_the_channel_until_a_later_opt_in() -> None:
    world = sent(channels="email")
    note(world, "complained")
    assert world.ledger().opted_out("email")
    assert not world.ledger().stopped_all()
    world.now += timedelta(minutes=5)
    world.tell("borrower.opted_in", channel="email")
    assert not world.ledger().opted_out("email")


def test_a_complaint_told_twice_stops_once() -> None:
    world = sent(channels="email")
    note(world, "complained")
    note(world, "complained")
    assert len([body for body in world.store.consents.values() if body["type"] == "borrower.opted_out"]) == 1


@pytest.mark.parametrize("status", ["complained", "bounced"])
@pytest.mark.parametrize("answer", ["accepted", "nothing"])
def test_a_receipt_that_dies_at_any_call_is_completed_by_its_repeat(answer: str, status: str) -> None:
    for crash in range(1, 12):
        world = sent(channels="email") if answer == "accepted" else unknown()
        left = [crash]

        def before(_call: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        world.hook(before)
        with suppress(KeyboardInterrupt):
            note(world, status, permanent=status == "bounced")
        world.hook(lambda _call: None)
        note(world, status, permanent=status == "bounced")
        record = world.record()
        assert (record.outcome, record.receipt) == ("sent", status)
        ref = world.profile().address_refs[record.channel]
        assert world.ledger().opted_out(record.channel) is (status == "complained"), f"call {crash}"
        assert world.ledger().suppressed == ({record.channel: (ref,)} if status == "bounced" else {}), f"call {crash}"


def test_a_complaint_told_again_does_not_undo_a_later_opt_in() -> None:
    world = sent(channels="email")
    note(world, "complained")
    world.now += timedelta(minutes=5)
    world.tell("borrower.opted_in", channel="email")
    note(world, "complained")
    assert not world.ledger().opted_out("email")


@pytest.mark.parametrize(
    ("event", "status", "permanent"),
    [
        ({"eventType": "Send"}, "accepted", False),
        ({"eventType": "Delivery"}, "delivered", False),
        ({"eventType": "Complaint"}, "complained", False),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Permanent"}}, "bounced", True),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Transient"}}, "undelivered", False),
    ],
)
def test_an_event_of_ses_is_read(event: dict[str, object], status: str, permanent: bool) -> None:  # noqa: FBT001 - a table's column
    mail = {"messageId": "m-1", "tags": {"reminder_id": ["r-1"]}}
    assert read_receipt({**event, "mail": mail}) == Receipt("r-1", "m-1", status, permanent)


@pytest.mark.parametrize(
    ("kind", "status", "permanent"),
    [
        ("TEXT_SENT", "accepted", False),
        ("TEXT_DELIVERED", "delivered", False),
        ("TEXT_TTL_EXPIRED", "expired", False),
        ("TEXT_BLOCKED", "blocked", False),
        ("TEXT_INVALID", "bounced", True),
    ],
)
def test_an_event_of_the_sms_service_is_read(kind: str, status: str, permanent: bool) -> None:  # noqa: FBT001 - a table's column
    event = {"eventType": kind, "messageId": "m-1", "context": {"reminder_id": "r-1"}}
    assert read_receipt(event) == Receipt("r-1", "m-1", status, permanent)


def test_an_event_about_something_else_is_no_receipt() -> None:
    assert read_receipt({"eventType": "Open", "mail": {}}) is None


@pytest.mark.parametrize("event", [{}, {"eventType": "Delivery"}, {"eventType": "TEXT_SENT", "context": None}])
def test_what_is_no_event_is_unusable(event: dict[str, object]) -> None:
    with pytest.raises(Unusable):
        read_receipt(event)


def test_a_reminder_id_leads_back_to_its_borrower() -> None:
    world = sent()
    assert ref_of(world.record().reminder_id) == world.profile().ref
    assert world.store.names[world.profile().ref] == "b-1"
    assert len(world.profile().ref) == REF_LENGTH


@pytest.mark.parametrize("outcome", ["failed", "suppressed", "expired", "sent"])
def test_a_receipt_changes_no_outcome_but_an_unknown_one(outcome: Outcome) -> None:
    record = replace(sent().record(), outcome=outcome, reason="as it was")
    told = merged(record, Receipt("r", "m", "delivered"))
    assert (told.outcome, told.reason, told.receipt) == (outcome, "as it was", "delivered")
    assert told.attempts == record.attempts
