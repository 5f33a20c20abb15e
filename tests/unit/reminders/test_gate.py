from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from predue.domain.channel import Switches
from predue.domain.ledger import Contact
from predue.domain.policy import Cap, Policy
from predue.domain.record import Answer, Attempt
from predue.domain.stage import StageKey
from predue.reminders.gate import Decision, Defer, Send, decide
from tests.unit.world import SLOT, World, key, ready, utc

LATE = utc("06-12 23:59")  # 19:59 in New York


def decision(world: World, *keys: StageKey) -> Decision:
    return decide(world.view(), world.job(*keys), world.now, world.switches)


def refusal(world: World, *keys: StageKey) -> tuple[str, str]:
    """The outcome and reason with which everything was settled at once."""
    found = decision(world, *keys)
    assert found.action is None
    (one,) = found.settled
    return one.outcome, one.reason


def contact(world: World, *ages: timedelta, channel: str = "email") -> None:
    """Let the borrower have been contacted so long before now, about something else."""
    made = tuple(
        Contact(
            at=world.now - age,
            day=(world.now - age).date(),
            channel=channel,
            keys=(key(loan_id=f"other-{number}"),),
            token=f"t-{number}",
            reminder_id=f"r-{number}",
        )
        for number, age in enumerate(ages)
    )
    world.store.write_ledger(world.ledger()._replace(contacts=made))


def test_an_open_installment_is_reminded_on_the_first_channel() -> None:
    assert decision(ready()).action == Send("sms", (key(),), utc("06-13 00:00"))


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("installment.paid", {"amount": "100.00"}, "paid"),
        ("installment.cancelled", {}, "cancelled"),
        ("installment.rescheduled", {"due_date": "2026-07-15"}, "rescheduled"),
    ],
)
def test_an_installment_that_closes_after_its_slot_is_settled_with_the_reason(
    kind: str, fields: dict[str, Any], reason: str
) -> None:
    world = ready()
    world.now += timedelta(minutes=1)
    world.tell(kind, **fields)
    assert world.outcomes()["L-1 T-3"] == ("suppressed", reason)
    assert decision(world).action is None


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("installment.disputed", {}, "disputed"),
        ("borrower.hold_started", {"reason": "hardship"}, "hold"),
        ("borrower.opted_out", {}, "opted_out"),
        ("borrower.opted_out", {"channel": "all"}, "opted_out"),
        ("borrower.updated", {"consent": ""}, "no_consent"),
        ("borrower.updated", {"consent": "email", "channels": "sms"}, "no_consent"),
        ("borrower.updated", {"channels": ""}, "no_channel"),
        ("borrower.updated", {"phone": "", "email": ""}, "no_address"),
        ("borrower.updated", {"phone": "555", "email": "nobody"}, "no_address"),
        ("borrower.updated", {"channels": "voice", "consent": "voice"}, "channel_unavailable"),
        ("borrower.updated", {"time_zone": "", "jurisdiction": "UM"}, "zone_unknown"),
        ("borrower.updated", {"time_zone": "Mars/Olympus", "jurisdiction": "XX"}, "zone_unknown"),
    ],
)
def test_what_bars_a_reminder_is_its_reason(kind: str, fields: dict[str, Any], reason: str) -> None:
    world = ready()
    world.tell(kind, **fields)
    world.now = max(world.now, world.view().slot(date(2026, 6, 12)))
    assert refusal(world) == ("suppressed", reason)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cancelled": True}, "cancelled"),
        ({"payments": {"core#p": 10000}}, "paid"),
        ({"moved_to": date(2026, 7, 15)}, "rescheduled"),
    ],
)
def test_a_due_that_is_closed_is_not_reminded_even_if_nobody_settled_its_stage(
    change: dict[str, Any], reason: str
) -> None:
    world = ready()
    at, due = next(iter(world.store.dues["b-1"].items()))
    world.store.dues["b-1"][at] = replace(due, **change)
    assert refusal(world) == ("suppressed", reason)


def test_the_end_of_a_dispute_a_hold_or_a_stop_lets_reminders_go_out_again() -> None:
    world = ready()
    world.tell("installment.disputed")
    world.tell("installment.dispute_ended")
    world.tell("borrower.hold_started", reason="hardship")
    world.tell("borrower.hold_ended", reason="hardship")
    world.tell("borrower.opted_out", channel="all")
    world.tell("borrower.opted_in", channel="all")
    assert isinstance(decision(world).action, Send)


def test_a_hold_ended_without_a_reason_ends_all_of_them() -> None:
    world = ready()
    world.tell("borrower.hold_started", reason="hardship")
    world.tell("borrower.hold_started", reason="bereavement")
    world.tell("borrower.hold_ended")
    assert isinstance(decision(world).action, Send)


def test_a_changed_order_of_channels_grants_no_consent() -> None:
    world = ready(consent="email")
    world.tell("borrower.updated", channels="sms")
    assert refusal(world) == ("suppressed", "no_consent")


def test_a_stopped_channel_makes_way_for_the_next() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="sms")
    action = decision(world).action
    assert isinstance(action, Send)
    assert action.channel == "email"


def test_a_suppressed_address_makes_way_for_the_next_channel_and_then_is_the_reason() -> None:
    world = ready()
    ledger = world.ledger().with_suppressed("sms", world.profile().address_refs["sms"])
    assert ledger
    world.store.write_ledger(ledger)
    action = decision(world).action
    assert isinstance(action, Send)
    assert action.channel == "email"
    both = world.ledger().with_suppressed("email", world.profile().address_refs["email"])
    assert both
    world.store.write_ledger(both)
    assert refusal(world) == ("suppressed", "address_suppressed")


def test_a_stage_for_email_alone_is_suppressed_for_a_borrower_with_only_a_phone() -> None:
    world = ready(channels="sms")
    world.now = utc("06-08 14:00")
    assert refusal(world, key("T-7")) == ("suppressed", "stage_channel")


def test_a_stage_for_email_alone_skips_the_phone() -> None:
    world = ready()
    world.now = utc("06-08 14:00")
    action = decision(world, key("T-7")).action
    assert isinstance(action, Send)
    assert action.channel == "email"


def meeting() -> tuple[World, tuple[StageKey, StageKey]]:
    """A T-3 and a T-7 of two loans that meet on one day."""
    world = ready()
    world.installment("L-2", date(2026, 6, 19))
    return world, (key(), key("T-7", "L-2", date(2026, 6, 19)))


def test_an_email_only_stage_stays_behind_when_the_most_urgent_goes_by_text_message() -> None:
    world, keys = meeting()
    found = decision(world, *keys)
    assert isinstance(found.action, Send)
    assert (found.action.channel, found.action.keys) == ("sms", keys[:1])
    assert [(one.keys, one.reason) for one in found.settled] == [(keys[1:], "stage_channel")]


def test_an_email_only_stage_joins_an_email() -> None:
    world, keys = meeting()
    world.tell("borrower.updated", channels="email|sms")
    found = decision(world, *keys)
    assert isinstance(found.action, Send)
    assert (found.action.channel, found.action.keys, found.settled) == ("email", keys, ())


def test_installments_that_meet_share_one_reminder() -> None:
    world = ready()
    world.installment("L-2")
    keys = (key(), key(loan_id="L-2"))
    action = decision(world, *keys).action
    assert isinstance(action, Send)
    assert action.keys == keys


@pytest.mark.parametrize(
    ("ages", "reason"),
    [
        ([timedelta(minutes=10)], "cap_day"),
        ([timedelta(days=day, hours=1) for day in (1, 2, 3, 4)], "cap_7_days"),
        ([timedelta(days=day, hours=1) for day in (2, 4, 6, 8, 10, 12, 14, 16, 18, 20)], "cap_30_days"),
    ],
)
def test_a_full_cap_suppresses(ages: list[timedelta], reason: str) -> None:
    world = ready()
    contact(world, *ages)
    assert refusal(world) == ("suppressed", reason)


def test_a_full_cap_of_one_channel_makes_way_for_the_next() -> None:
    world = ready()
    contact(world, *(timedelta(days=day) for day in (4, 5, 6)), channel="sms")
    action = decision(world).action
    assert isinstance(action, Send)
    assert action.channel == "email"


def test_a_full_cap_of_the_only_channel_suppresses() -> None:
    world = ready(channels="sms")
    contact(world, *(timedelta(days=day) for day in (1, 2, 3)), channel="sms")
    assert refusal(world) == ("suppressed", "cap_sms_7_days")


def test_a_cap_that_frees_before_the_hours_end_defers_until_then() -> None:
    world = ready()
    oldest = timedelta(days=6, hours=23)
    contact(world, *(timedelta(days=day) for day in (1, 2, 3)), oldest)
    assert decision(world).action == Defer(world.now - oldest + timedelta(days=7))


def test_a_refused_contact_takes_no_cap_slot() -> None:
    world = ready()
    contact(world, timedelta(minutes=10))
    refused = world.ledger().refused("t-0", Attempt(world.now, "email", Answer.read("refused_channel:x")))
    assert refused
    world.store.write_ledger(refused)
    assert isinstance(decision(world).action, Send)


def test_nothing_is_started_in_the_last_seconds_of_the_hours() -> None:
    world = ready()
    world.now = LATE + timedelta(seconds=49)
    assert isinstance(decision(world).action, Send)
    world.now = LATE + timedelta(seconds=50)
    assert refusal(world) == ("expired", "hours_over")


def test_a_job_of_another_day_expires() -> None:
    world = ready()
    world.now = SLOT + timedelta(days=1)
    assert refusal(world) == ("expired", "hours_over")


def test_a_stage_that_the_ledger_may_have_forgotten_is_left_alone() -> None:
    world = ready()
    world.now = SLOT + timedelta(days=28)
    assert decision(world) == Decision(inputs=decision(world).inputs)


def test_an_early_job_waits_for_its_slot() -> None:
    world = ready()
    world.now = SLOT - timedelta(minutes=20)
    assert decision(world) == Decision(action=Defer(SLOT), inputs=decision(world).inputs)


def test_a_stage_that_was_not_planned_gets_no_outcome() -> None:
    world = ready()
    assert decision(world, key(loan_id="L-9")).settled == ()
    world.now = utc("06-19 14:00")
    found = decision(world, StageKey("L-1", 1, date(2026, 6, 15), "T+4"))
    assert (found.settled, found.action) == ((), None)


def test_a_stage_outside_the_grace_is_not_planned() -> None:
    world = World(now=utc("06-16 14:00"))
    world.borrower()
    world.installment(grace_days=0)
    assert decision(world, key("T+1")) == Decision(inputs=decision(world).inputs)


def test_an_installment_that_became_known_after_its_slot_is_not_planned() -> None:
    world = World()
    world.borrower()
    world.now = SLOT + timedelta(days=20, seconds=1)  # `installment` tells of it 20 days before
    world.installment()
    world.now = SLOT + timedelta(hours=1)
    assert decision(world).action is None
    assert decision(world).settled == ()


def test_an_installment_that_became_known_at_the_very_instant_of_its_slot_is_planned() -> None:
    world = World()
    world.borrower()
    world.now = SLOT + timedelta(days=20)
    world.installment()
    world.now = SLOT
    assert isinstance(decision(world).action, Send)


def test_the_allow_list_holds_back_what_it_does_not_name() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(allow_list=("+12015550199",)))
    assert refusal(world) == ("suppressed", "allow_list")


@pytest.mark.parametrize("listed", ["+12015550100", "*@example.com"])
def test_the_allow_list_lets_through_what_it_names(listed: str) -> None:
    world = ready(channels="sms" if listed.startswith("+") else "email")
    world.rulebook = replace(world.rulebook, policy=Policy(allow_list=(listed,)))
    assert isinstance(decision(world).action, Send)


def test_outside_production_no_list_means_nobody() -> None:
    world = ready()
    world.switches = Switches(production=False)
    assert refusal(world) == ("suppressed", "allow_list")


def test_shadow_mode_marks_the_reminder() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(shadow=True))
    action = decision(world).action
    assert isinstance(action, Send)
    assert action.shadow


def test_the_kill_switch_of_everything_defers() -> None:
    world = ready()
    world.switches = Switches(frozenset({"all"}))
    assert decision(world).action == Defer(world.now + timedelta(minutes=15))


def test_a_full_cap_is_the_reason_although_the_kill_switch_holds_the_channel_too() -> None:
    world = ready()
    contact(world, timedelta(minutes=10))
    world.switches = Switches(frozenset({"all"}))
    assert refusal(world) == ("suppressed", "cap_day")


def test_the_kill_switch_of_one_channel_lets_the_next_go() -> None:
    world = ready()
    world.switches = Switches(frozenset({"sms"}))
    action = decision(world).action
    assert isinstance(action, Send)
    assert action.channel == "email"


def test_what_the_kill_switch_holds_until_the_hours_end_expires() -> None:
    world = ready()
    world.switches = Switches(frozenset({"all"}))
    world.now = LATE
    assert refusal(world) == ("expired", "paused")


def test_a_claim_of_the_same_stage_is_named_and_nothing_more_is_decided() -> None:
    world = ready()
    made = Contact(SLOT, date(2026, 6, 12), "sms", (key(),), "t", "r")
    world.store.write_ledger(world.ledger().with_contact(made))
    found = decision(world)
    assert (found.calling, found.action, found.settled) == ((made,), None, ())


def test_after_the_last_refusal_the_stage_has_failed_with_what_the_provider_said() -> None:
    world = ready(channels="sms")
    tries = (
        Attempt(SLOT, "sms", Answer.read("refused_busy:throttled")),
        Attempt(SLOT, "sms", Answer.read("refused_channel:opted-out")),
    )
    refused = Contact(SLOT, date(2026, 6, 12), "sms", (key(),), "t", "r", state="refused", tries=tries)
    world.store.write_ledger(world.ledger().with_contact(refused))
    found = decision(world)
    assert found.action is None
    assert [(one.outcome, one.reason, one.tries) for one in found.settled] == [
        ("failed", "refused_channel", tries),
    ]


def test_a_busy_refusal_may_be_tried_again_on_the_same_channel() -> None:
    world = ready(channels="sms")
    tried = Attempt(SLOT, "sms", Answer.read("refused_busy:throttled"))
    refused = Contact(SLOT, date(2026, 6, 12), "sms", (key(),), "t", "r", state="refused", tries=(tried,))
    world.store.write_ledger(world.ledger().with_contact(refused))
    assert isinstance(decision(world).action, Send)


def test_a_cap_of_none_at_all_suppresses_everything() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(caps=(Cap(count=0, per="7 days"),)))
    assert refusal(world) == ("suppressed", "cap_7_days")


def test_the_inputs_tell_what_the_gate_saw() -> None:
    world = ready()
    contact(world, *(timedelta(days=days) for days in (1, 7, 10, 30)))
    inputs = decision(world).inputs
    assert inputs["consent"] == ["sms", "email"]
    assert inputs["hours"] == "09:00-20:00"
    assert inputs["zones"] == ["America/New_York"]
    assert inputs["channels"] == {"sms": "able", "email": "able"}
    assert (inputs["contacts_7_days"], inputs["contacts_30_days"]) == (1, 3)
    assert not {"name", "phone", "email"} & set(inputs)


def test_a_borrower_who_stopped_everything_and_has_no_channel_besides_is_one_who_stopped() -> None:
    world = ready(channels="")
    world.tell("borrower.opted_out", channel="all")
    assert refusal(world) == ("suppressed", "opted_out")


def test_of_many_possible_zones_the_inputs_name_four() -> None:
    zones = decision(ready(time_zone="")).inputs["zones"]
    assert (len(zones), zones[4:]) == (5, ["..."])
