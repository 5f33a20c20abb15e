from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from predue.borrowers import own_stop, settle
from predue.domain.due import KEEP
from predue.domain.ledger import MOST_HOLDS
from predue.errors import EventConflict, InvalidEvent, LedgerMoved
from predue.events import applying
from predue.events.due_changes import MOST_PAYMENTS
from predue.events.models import read_event
from tests.fakes import state_of
from tests.unit.world import DUE_DATE, SLOT, World, moving, ready, utc

LATER = date(2026, 6, 25)


def test_an_event_counts_once() -> None:
    world = ready()
    paid = world.body("installment.paid", amount="40.00")
    assert world.apply(paid) == "applied"
    assert world.apply(paid) == "duplicate"
    assert world.due().outstanding == 6000


def test_an_event_sent_again_at_another_time_is_still_the_same() -> None:
    world = ready()
    paid = world.body("installment.paid", amount="40.00", at="2026-06-01T00:00:00Z")
    world.apply(paid)
    assert world.apply(paid | {"at": "2026-06-02T00:00:00Z"}) == "duplicate"


def test_another_body_under_the_same_id_is_refused() -> None:
    world = ready()
    paid = world.body("installment.paid", amount="40.00")
    world.apply(paid)
    with pytest.raises(InvalidEvent, match="event_id"):
        world.apply(paid | {"amount": "41.00"})
    assert world.due().outstanding == 6000


def test_the_same_id_of_another_source_is_another_event() -> None:
    world = ready()
    paid = world.body("installment.paid", amount="40.00")
    world.apply(paid)
    assert world.apply(paid | {"source": "bank"}) == "applied"
    assert world.due().outstanding == 2000


def test_a_borrower_who_does_not_match_the_installment_is_refused() -> None:
    world = ready()
    world.borrower("b-2")
    with pytest.raises(InvalidEvent, match="borrower_id"):
        world.tell("installment.paid", amount="40.00", borrower_id="b-2")
    with pytest.raises(InvalidEvent, match="borrower_id"):
        world.installment(borrower_id="b-2")
    assert world.due().outstanding == 10000


def test_a_payment_in_another_currency_is_refused() -> None:
    world = ready()
    with pytest.raises(InvalidEvent, match="currency"):
        world.tell("installment.paid", amount="40.00", currency="EUR")


def test_a_payment_finer_than_the_currency_is_refused() -> None:
    world = ready()
    with pytest.raises(InvalidEvent, match="amount"):
        world.tell("installment.paid", amount="40.001")


def test_a_move_with_an_amount_finer_than_the_currency_is_refused() -> None:
    world = ready()
    with pytest.raises(InvalidEvent, match="amount"):
        world.tell("installment.rescheduled", due_date=LATER.isoformat(), amount="40.001")
    assert world.due().moved_to is None


def test_an_event_that_was_refused_may_come_again_mended_and_then_counts_once() -> None:
    world = ready()
    paid = world.body("installment.paid", amount="40.00", currency="EUR")
    with pytest.raises(InvalidEvent):
        world.apply(paid)
    assert world.apply(paid | {"currency": "USD"}) == "applied"
    with pytest.raises(EventConflict):
        world.apply(paid)
    assert world.due().outstanding == 6000


def test_payments_add_up_and_close_the_installment() -> None:
    world = ready()
    world.tell("installment.paid", amount="60.00")
    assert world.due().closed_by is None
    world.tell("installment.paid", amount="40.00")
    assert world.due().closed_by == "paid"
    assert world.store.index == {}


def test_an_overpayment_leaves_nothing_owed_and_counts_against_a_reversal() -> None:
    world = ready()
    world.tell("installment.paid", amount="150.00")
    assert world.due().outstanding == 0
    world.tell("installment.payment_reversed", amount="40.00")
    assert world.due().closed_by == "paid"
    world.tell("installment.payment_reversed", amount="20.00")
    assert world.due().outstanding == 1000
    assert len(world.store.index) == 1


def test_a_payment_counts_whatever_its_sequence() -> None:
    world = ready()
    world.tell("installment.paid", sequence=9, amount="10.00")
    world.tell("installment.paid", sequence=1, amount="10.00")
    world.tell("installment.paid", sequence=1, amount="10.00")
    assert world.due().outstanding == 7000


def test_older_events_of_the_same_aspect_changes_nothing() -> None:
    world = ready()
    world.tell("installment.disputed", sequence=9)
    world.tell("installment.dispute_ended", sequence=8)
    assert world.due().disputed
    world.tell("borrower.updated", sequence=9, preferred_time="12:00")
    world.tell("borrower.updated", sequence=8, preferred_time="13:00", locale="es-US")
    assert f"{world.profile().preferred_time:%H:%M}" == "12:00"
    assert world.profile().locale == "es-US"


def test_older_events_of_another_aspect_still_counts() -> None:
    world = ready()
    world.tell("installment.disputed", sequence=9)
    world.tell("installment.cancelled", sequence=8)
    assert world.due().closed_by == "cancelled"


def test_a_newer_schedule_revives_a_cancelled_installment() -> None:
    world = ready()
    world.tell("installment.cancelled")
    world.installment()
    assert world.due().closed_by is None


def test_a_reschedule_moves_the_installment_with_its_payments() -> None:
    world = ready()
    world.tell("installment.paid", amount="40.00")
    world.tell("installment.rescheduled", due_date=LATER.isoformat())
    assert world.due().closed_by == "rescheduled"
    assert world.due(due_date=LATER).outstanding == 6000
    assert world.store.pointers["L-1", 1] == ("b-1", LATER)
    assert [entry.due_date for _, _, entry in world.store.index.values()] == [LATER]


def test_a_reschedule_there_and_back_leaves_the_installment_where_it_was() -> None:
    world = ready()
    before = state_of(world.store)["indexed"]
    world.tell("installment.rescheduled", due_date=LATER.isoformat())
    world.tell("installment.paid", amount="40.00")
    world.tell("installment.rescheduled", due_date=DUE_DATE.isoformat())
    assert world.due().closed_by is None
    assert world.due().outstanding == 6000
    assert world.due(due_date=LATER).closed_by == "rescheduled"
    assert state_of(world.store)["indexed"] == before


def test_a_move_that_stalls_undoes_no_move_back_that_was_told_meanwhile() -> None:
    world = ready()
    away = world.body("installment.rescheduled", due_date=LATER.isoformat())
    back = world.body("installment.rescheduled", due_date=DUE_DATE.isoformat())
    calls: list[str] = []

    def meanwhile(call: str) -> None:
        calls.append(call)
        # Between the write at the old date and the look at the new one.
        if call == "due" and calls.count("write_due") == 1:
            world.hook(lambda _call: None)
            for body in (away, back):
                world.apply(body)

    world.hook(meanwhile)
    world.apply(away)
    assert world.store.pointers["L-1", 1] == ("b-1", DUE_DATE)
    assert world.due().closed_by is None
    assert world.due(due_date=LATER).closed_by == "rescheduled"


def test_events_of_an_unknown_installment_waits_for_it() -> None:
    world = World()
    world.borrower()
    assert world.tell("installment.paid", amount="40.00") == "parked"
    assert world.tell("installment.paid", amount="10.00") == "parked"
    world.installment()
    assert world.due().outstanding == 5000
    assert state_of(world.store)["aside"] == {}


@pytest.mark.parametrize("call", ["pointer", "point", "parked", "park", "write_due", "drop_aside"])
@pytest.mark.parametrize("first", ["paid", "scheduled"])
def test_a_payment_that_comes_while_its_installment_arrives_is_never_lost(first: str, call: str) -> None:
    world = World()
    world.borrower()
    paid = world.body("installment.paid", amount="40.00")
    scheduled = world.body(
        "installment.scheduled", borrower_id="b-1", due_date=DUE_DATE.isoformat(), amount="100.00", currency="USD"
    )
    told, meanwhile = (paid, scheduled) if first == "paid" else (scheduled, paid)

    def before(name: str) -> None:
        if name == call:
            world.hook(lambda _call: None)
            world.apply(meanwhile)

    world.hook(before)
    world.apply(told)
    world.apply(meanwhile)
    assert world.due().outstanding == 6000


@pytest.mark.parametrize("call", ["point", "parked", "use", "write_due"])
def test_a_due_that_is_added_while_its_borrower_moves_stands_at_the_new_place(call: str) -> None:
    world = World()
    world.borrower()

    def before(name: str) -> None:
        if name == call:
            world.hook(lambda _call: None)
            world.tell("borrower.updated", time_zone="America/Chicago")

    world.hook(before)
    world.installment()
    assert [slot.partition("#")[0] for _, slot, _ in world.store.index.values()] == ["America/Chicago"]


def test_an_installment_of_an_unknown_borrower_waits_for_the_borrower() -> None:
    world = World()
    world.installment()
    assert world.tell("installment.paid", amount="40.00") == "parked"
    assert world.store.dues == {}
    world.borrower()
    assert world.due().outstanding == 6000
    assert state_of(world.store)["aside"] == {}


def test_what_waited_and_turns_out_wrong_is_dropped_and_somebody_hears_of_it() -> None:
    world = World()
    world.borrower()
    world.tell("installment.paid", amount="40.00", currency="EUR")
    response: list[InvalidEvent] = []
    services = replace(world.event_services(), dropped=response.append)
    fields: dict[str, Any] = {"borrower_id": "b-1", "due_date": "2026-06-15", "amount": "100.00", "currency": "USD"}
    applying.apply(read_event(world.body("installment.scheduled", **fields)), world.now, services)
    assert world.due().outstanding == 10000
    assert state_of(world.store)["aside"] == {}
    assert [field for error in response for field, _ in error.fields] == ["currency"]


def test_sequences_written_as_texts_and_as_numbers_wait_together() -> None:
    world = World()
    world.borrower()
    for sequence in (12, "9"):
        body = world.body("installment.disputed") | {"sequence": sequence}
        assert world.apply(body) == "parked"
    world.installment()
    assert world.due().disputed


def long_gone() -> World:
    """A world whose installment has gone from the table, as dues do some weeks after their window."""
    world = ready()
    world.tell("installment.paid", amount="40.00")
    world.now += timedelta(days=100)
    world.store.dues.clear()
    world.store.index.clear()
    return world


def test_events_of_an_installment_that_has_gone_is_taken_and_nobody_waits_for_it() -> None:
    world = long_gone()
    assert world.tell("installment.paid", amount="60.00") == "parked"
    assert world.store.awaited == set()
    assert world.store.dues == {}


def test_an_installment_that_has_gone_is_not_told_anew_as_if_nothing_had_been_paid() -> None:
    world = long_gone()
    world.installment()
    assert world.store.dues == {}
    assert world.store.index == {}


def test_an_installment_that_has_gone_and_is_owed_again_later_is_known_at_its_new_date() -> None:
    world = long_gone()
    world.installment(due_date=date(2026, 10, 15))
    assert world.due(due_date=date(2026, 10, 15)).outstanding == 10000


def test_what_is_parked_for_what_should_come_is_awaited_until_it_comes() -> None:
    world = World()
    world.borrower()
    world.tell("installment.paid", amount="40.00")
    assert world.store.awaited == {("installment#L-1#1", "core#e-2")}
    world.installment()
    assert world.store.awaited == set()


def test_a_stop_of_a_borrower_who_is_not_known_yet_holds() -> None:
    world = World()
    world.tell("borrower.opted_out")
    world.borrower()
    assert world.ledger().stopped_all()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("installment.rescheduled", {"due_date": "2026-06-25"}),
        ("installment.paid", {"amount": "100.00"}),
        ("installment.payment_reversed", {"amount": "30.00"}),
        ("installment.disputed", {}),
        ("installment.cancelled", {}),
        ("borrower.updated", {"time_zone": "America/Chicago", "phone": "+12015550101"}),
        ("borrower.updated", {"consent": "email"}),
        ("borrower.opted_out", {"channel": "sms"}),
        ("borrower.hold_started", {"reason": "hardship"}),
    ],
)
def test_events_moves_the_ledger_after_its_last_change_and_before_it_is_applied(
    kind: str, fields: dict[str, Any]
) -> None:
    world = ready()
    version = world.ledger().version
    world.store.calls.clear()
    world.tell(kind, **fields)
    calls = world.store.calls
    last = max((index for index, call in enumerate(calls) if call in {"bump", "write_ledger"}), default=-1)
    assert world.ledger().version > version
    assert calls[-1] == "mark_applied"
    assert not {"write_due", "write_profile", "point"} & set(calls[last:])


def test_a_change_of_place_or_time_puts_the_open_installments_elsewhere_in_the_index() -> None:
    world = ready()
    world.installment("L-2")
    world.tell("borrower.updated", time_zone="America/Chicago", preferred_time="18:30")
    assert all(slot.startswith("America/Chicago#18:30#") for _, slot, _ in world.store.index.values())
    assert len(world.store.index) == 2
    assert ("America/Chicago", "18:30") in world.store.zone_keys


def test_an_installment_that_closes_after_its_slot_settles_what_was_planned() -> None:
    world = ready()
    world.now = SLOT + timedelta(hours=1)
    world.tell("installment.paid", amount="100.00")
    assert world.outcomes() == {"L-1 T-7": ("expired", "no_run"), "L-1 T-3": ("suppressed", "paid")}


def test_an_installment_that_closes_when_the_hours_of_its_stage_end_settles_it_as_expired() -> None:
    world = ready()
    world.now = utc("06-13 00:00")
    world.tell("installment.paid", amount="100.00")
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}


@pytest.mark.parametrize("seconds", [0, 1])
def test_an_installment_that_closes_before_or_at_a_slot_leaves_nothing_of_that_stage_to_settle(seconds: int) -> None:
    world = ready()
    world.now = SLOT - timedelta(seconds=seconds)
    world.tell("installment.paid", amount="100.00")
    assert world.outcomes() == {"L-1 T-7": ("expired", "no_run")}


def test_a_shorter_grace_settles_the_stages_that_it_cuts_off() -> None:
    world = ready()
    world.now = utc("06-16 14:30")
    world.tell("installment.rescheduled", due_date=DUE_DATE.isoformat(), grace_days=0)
    assert world.outcomes() == {"L-1 T+1": ("suppressed", "rescheduled")}


def test_a_suppressed_contact_point_is_noted_for_a_new_borrower_who_has_it() -> None:
    world = ready()
    ref = world.profile().address_refs["sms"]
    world.store.suppress(ref, "bounced", world.now)
    world.borrower("b-2")
    assert world.ledger("b-2").suppressed == {"sms": (ref,)}


@pytest.mark.parametrize("call", ["link", "suppressed", "write_profile"])
def test_a_contact_point_that_fails_while_a_borrower_takes_it_up_is_suppressed_for_that_borrower(call: str) -> None:
    world = ready(channels="sms", email="")
    ref = world.profile().address_refs["sms"]

    def before(name: str) -> None:
        if name == call:
            world.hook(lambda _call: None)
            settle.suppress_address(ref, "sms", "bounced", world.now, world.store, world.store)

    world.hook(before)
    world.borrower("b-2", email="")
    assert world.ledger("b-2").suppressed == {"sms": (ref,)}


def test_consent_is_kept_as_it_was_said() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="sms")
    said = [body["type"] for body in world.store.consents.values()]
    assert said == ["borrower.updated", "borrower.opted_out"]


def test_a_stop_counts_at_once_and_no_older_opt_in_lifts_it() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="email")
    own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)
    assert world.tell("borrower.opted_in", sequence=2, channel="email") == "no_change"
    assert world.ledger().opted_out("email")
    world.now += timedelta(minutes=5)
    world.tell("borrower.opted_in", channel="email")
    assert not world.ledger().opted_out("email")


def test_an_opt_in_that_was_said_before_a_stop_by_link_and_comes_after_it_lifts_nothing() -> None:
    world = ready()
    own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)
    said = (world.now - timedelta(hours=1)).isoformat()
    assert world.tell("borrower.opted_in", channel="email", occurred_at=said) == "no_change"
    assert world.ledger().opted_out("email")
    world.now += timedelta(minutes=5)
    world.tell("borrower.opted_in", channel="email")
    assert not world.ledger().opted_out("email")


def test_an_opt_in_that_does_not_say_when_is_refused_by_the_name_of_the_field() -> None:
    world = ready()
    with pytest.raises(InvalidEvent) as refused:
        world.tell("borrower.opted_in", channel="email", occurred_at=None)
    assert [field for field, _ in refused.value.fields] == ["occurred_at"]


@pytest.mark.parametrize("kind", ["borrower.opted_in", "borrower.opted_out"])
def test_what_occurred_more_than_five_minutes_after_its_arrival_is_refused(kind: str) -> None:
    world = ready()
    limit = world.now + timedelta(minutes=5)
    world.tell(kind, channel="email", occurred_at=limit.isoformat())
    with pytest.raises(InvalidEvent, match="occurred_at"):
        world.tell(kind, channel="email", occurred_at=(limit + timedelta(seconds=1)).isoformat())


def test_a_stop_by_link_counts_though_an_opt_in_came_before_it() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="email")
    world.tell("borrower.opted_in", channel="email")
    own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)
    assert world.ledger().opted_out("email")


def test_an_opt_in_lifts_only_the_very_stop_that_was_set() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="all")
    world.tell("borrower.opted_in", channel="sms")
    assert world.ledger().opted_out("sms")


def test_a_state_that_never_stands_still_leaves_the_event_for_a_repeat() -> None:
    world = ready()

    def before(call: str) -> None:
        if call == "write_due":
            raise LedgerMoved("due")

    world.hook(before)
    with pytest.raises(LedgerMoved):
        world.tell("installment.paid", amount="40.00")


def test_an_events_digest_leaves_out_only_the_time_of_arrival() -> None:
    told = World().body("installment.paid", amount="40.00", teller="Ann")

    def digest(**fields: str) -> str:
        return read_event(told | fields).digest

    assert digest() == digest(at="2026-06-01T00:00:00Z") == digest(amount="40.0")
    assert len({digest(), digest(amount="41.00"), digest(teller="Ben")}) == 3


def test_an_installment_takes_so_many_payments_each_once_and_refuses_one_more() -> None:
    world = ready()
    for number in range(MOST_PAYMENTS):
        world.tell("installment.paid", event_id=f"p-{number}", amount="0.01")
    with pytest.raises(InvalidEvent, match="payments already"):
        world.tell("installment.paid", event_id="more", amount="0.01")
    assert world.due().outstanding == 10000 - MOST_PAYMENTS


def test_a_borrower_has_holds_of_so_many_reasons_and_each_may_end_and_start_again() -> None:
    world = ready()
    for number in range(MOST_HOLDS):
        world.tell("borrower.hold_started", reason=f"r-{number}")
    with pytest.raises(InvalidEvent, match="other reasons"):
        world.tell("borrower.hold_started", reason="more")
    assert world.tell("borrower.hold_ended", reason="r-7") == "applied"
    assert world.tell("borrower.hold_started", reason="r-7") == "applied"
    assert len(world.ledger().holds) == MOST_HOLDS


def test_what_was_parked_about_another_borrower_is_not_taken_into_an_installment() -> None:
    world = World()
    world.borrower()
    assert world.tell("installment.paid", amount="40.00", borrower_id="b-2") == "parked"
    world.installment()
    assert world.due().outstanding == 10000


def test_a_stop_that_meets_other_writes_counts_all_the_same() -> None:
    world = ready()
    world.hook(moving(world, "write_ledger", 3))
    own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)
    assert world.ledger().opted_out("email")


def test_a_stop_that_cannot_be_written_is_no_success() -> None:
    world = ready()
    world.hook(moving(world, "write_ledger", 99))
    with pytest.raises(LedgerMoved):
        own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)


def test_a_due_that_is_not_there_may_have_gone_only_when_it_was_kept_long_enough() -> None:
    for days, gone in ((0, False), (1, True)):
        world = ready()
        world.now = utc("06-15 12:00") + KEEP + timedelta(days=days)
        world.store.dues.clear()
        with nullcontext() if gone else pytest.raises(LedgerMoved):
            assert world.tell("installment.paid", amount="60.00") == "parked"


@pytest.mark.parametrize(("grace", "known"), [({}, False), ({"grace_days": 0}, False), ({"grace_days": 30}, True)])
def test_an_installment_is_told_anew_when_its_grace_has_not_gone_with_it(grace: dict[str, int], known: bool) -> None:  # noqa: FBT001 - a table
    world = ready()
    world.now = utc("06-15 12:00") + KEEP + timedelta(days=1)
    world.store.dues.clear()
    about: dict[str, Any] = {
        "borrower_id": "b-1",
        "due_date": DUE_DATE.isoformat(),
        "amount": "100.00",
        "currency": "USD",
    }
    world.tell("installment.scheduled", **about, **grace)
    assert bool(world.store.dues) is known


@pytest.mark.parametrize(("kind", "effect"), [("installment.paid", "parked"), ("borrower.updated", "applied")])
def test_an_event_that_died_ahead_of_its_mark_has_the_same_effect_when_it_is_repeated(kind: str, effect: str) -> None:
    world = World()
    fields: dict[str, Any] = {"amount": "1.00"} if kind == "installment.paid" else {"name": "Ann"}
    event = read_event(world.body(kind, **fields))

    def dies(call: str) -> None:
        if call == "mark_applied":
            raise KeyboardInterrupt

    world.hook(dies)
    with pytest.raises(KeyboardInterrupt):
        applying.apply(event, world.now, world.event_services())
    world.hook(lambda _call: None)
    assert applying.apply(event, world.now, world.event_services()) == effect


def test_an_ordinary_event_looks_for_nothing_that_was_parked() -> None:
    world = ready()
    world.store.calls.clear()
    world.tell("installment.paid", amount="1.00")
    assert not {"drop_aside", "parked", "load"} & set(world.store.calls)


def test_a_first_sequence_of_zero_counts() -> None:
    world = ready()
    world.tell("installment.disputed", sequence=0)
    assert world.due().disputed


def test_events_of_an_installment_whose_borrower_has_no_profile_is_refused_and_changes_nothing() -> None:
    world = ready()
    world.store.profiles.clear()
    with pytest.raises(InvalidEvent, match="no profile"):
        world.tell("installment.paid", amount="40.00")
    assert world.due().outstanding == 10000


@pytest.mark.parametrize(("zone", "over"), [("America/Los_Angeles", False), ("Europe/Berlin", True)])
def test_a_move_settles_a_day_that_it_ends_and_no_other(zone: str, over: bool) -> None:  # noqa: FBT001 - a table
    world = ready(preferred_time="09:00")
    world.now = utc("06-12 18:00")  # 14:00 in New York, 20:00 in Berlin, and 11:00 in Los Angeles
    world.tell("borrower.updated", time_zone=zone)
    assert ("L-1 T-3" in world.outcomes()) is over


def test_a_claim_without_a_record_is_recorded_when_its_installment_closes() -> None:
    world = ready()

    def dies(call: str) -> None:
        if call == "write_record":
            raise KeyboardInterrupt

    world.hook(dies)
    with pytest.raises(KeyboardInterrupt):
        world.deliver()
    world.hook(lambda _call: None)
    world.now += timedelta(hours=1)
    world.tell("installment.paid", amount="100.00")
    assert world.outcomes()["L-1 T-3"] == ("unknown", "no_answer")


def test_the_first_opt_in_lifts_a_stop_of_a_borrower_of_whom_nothing_was_known() -> None:
    world = World()
    own_stop.stop("b-1", "email", "link-1", "page", world.now, world.store)
    world.now += timedelta(minutes=5)
    world.tell("borrower.opted_in", sequence=1, channel="email")
    assert not world.ledger().opted_out("email")
