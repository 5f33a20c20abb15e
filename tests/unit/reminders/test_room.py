from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predue.domain.policy import Cap, Policy, StageSetting
from predue.reminders.gate import Defer, decide
from tests.unit.world import World, key, utc

SENT = ("sent", "")


def lived(world: World, first: date, last: date) -> None:
    """Let every quarter hour of some days pass: plan, deliver, what was put off, and close."""
    world.now = datetime.combine(first, time(), UTC)
    while world.now < datetime.combine(last + timedelta(days=1), time(6), UTC):
        world.plan()
        queued, world.queues.sent[:] = list(world.queues.sent), []
        for sent in queued:
            world.deliver(sent.job, sent.channel)
        for later in [one for one in world.later.planned if one[0] <= world.now]:
            del world.later.planned[later]
            world.deliver(later[2], later[1])
        world.close()
        world.now += timedelta(minutes=15)


def owing(*due_dates: date, policy: Policy | None = None, **fields: str) -> World:
    """A borrower with a loan for each due date, known for long."""
    world = World(policy=policy or Policy())
    world.borrower(**fields)
    for number, due_date in enumerate(due_dates, 1):
        world.installment(f"L-{number}", due_date, grace_days=0)
    return world


def test_each_of_several_loans_gets_the_reminder_of_its_due_day_and_the_earlier_ones_give_way() -> None:
    world = owing(date(2026, 6, 15), date(2026, 6, 17), date(2026, 6, 18), channels="email", consent="email")
    lived(world, date(2026, 6, 8), date(2026, 6, 18))
    outcomes = world.outcomes()
    assert {outcomes[f"L-{number} T0"] for number in (1, 2, 3)} == {SENT}
    assert outcomes["L-1 T-3"] == ("suppressed", "gave_way")
    record = next(one for one in world.records() if key(due_date=date(2026, 6, 15)) in one.keys)
    assert "L-1#1#2026-06-15#T0" in record.inputs["gave_way"]


def test_one_loan_on_sms_alone_still_gets_three_days_before_the_day_before_and_the_due_day() -> None:
    world = owing(date(2026, 6, 15), channels="sms", consent="sms")
    lived(world, date(2026, 6, 8), date(2026, 6, 15))
    assert [world.outcomes()[f"L-1 {stage}"] for stage in ("T-3", "T-1", "T0")] == [SENT] * 3


def test_one_loan_by_email_gets_every_stage() -> None:
    world = owing(date(2026, 6, 15), channels="email", consent="email")
    lived(world, date(2026, 6, 8), date(2026, 6, 15))
    assert set(world.outcomes().values()) == {SENT}


TIGHT = Policy(caps=(Cap(count=1, per="7 days"),))
DUE_DAYS = Policy(caps=(Cap(count=2, per="7 days"),), urgency=("T0",))


def waiting(policy: Policy = TIGHT, **fields: str) -> World:
    """A T-3 of one loan, and the due day of another two days later, under a cap with room for one of them."""
    world = owing(date(2026, 6, 15), date(2026, 6, 14), policy=policy, **fields)
    world.now = utc("06-12 14:00")
    return world


def test_what_gives_way_is_put_off_to_the_last_quarter_hour_of_its_day_and_then_settled() -> None:
    world = waiting()
    assert decide(world.view(), world.job(), world.now, world.switches).action == Defer(utc("06-12 23:45"))
    world.now = utc("06-12 23:45")
    found = decide(world.view(), world.job(), world.now, world.switches)
    assert found.action is None
    assert [(one.outcome, one.reason) for one in found.settled] == [("suppressed", "gave_way")]
    assert found.inputs["gave_way"] == ["L-1#1#2026-06-15#T-1", "L-2#1#2026-06-14#T0"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("installment.paid", {"amount": "100.00"}),
        ("installment.cancelled", {}),
        ("installment.disputed", {}),
        ("installment.rescheduled", {"due_date": "2026-08-14"}),
    ],
)
def test_a_more_urgent_stage_that_will_not_go_out_frees_its_room(kind: str, fields: dict[str, Any]) -> None:
    world = waiting(DUE_DAYS)
    assert world.deliver() == "deferred"
    world.tell(kind, loan_id="L-2", **fields)
    world.now = utc("06-12 23:45")
    assert world.deliver() == "sent"


def test_room_is_kept_for_no_stage_that_no_channel_could_carry() -> None:
    stages = (StageSetting(name="T-3"), StageSetting(name="T0", channels=("email",)))
    world = waiting(TIGHT.model_copy(update={"stages": stages}), channels="sms", consent="sms")
    assert world.deliver() == "sent"


def test_the_room_of_one_channel_is_not_kept_for_what_may_go_out_on_another() -> None:
    caps = (Cap(count=1, per="7 days", channel="sms"),)
    assert waiting(Policy(caps=caps)).deliver() == "sent"
    assert waiting(Policy(caps=caps), channels="sms").deliver() == "deferred"


def test_room_is_kept_for_a_loan_that_falls_due_later_than_the_one_in_hand() -> None:
    world = owing(date(2026, 6, 15), date(2026, 6, 17), policy=DUE_DAYS)
    world.now = utc("06-12 14:00")
    assert world.deliver() == "deferred"


def test_an_empty_urgency_keeps_no_room() -> None:
    assert waiting(TIGHT.model_copy(update={"urgency": ()})).deliver() == "sent"


def test_the_due_day_takes_the_room_that_the_day_before_may_not() -> None:
    world = owing(date(2026, 6, 13), date(2026, 6, 14), policy=TIGHT)
    world.now = utc("06-12 14:00")
    assert world.deliver(world.job(key("T-1", due_date=date(2026, 6, 13)))) == "deferred"
    world.now = utc("06-13 14:00")
    assert world.deliver(world.job(key("T0", due_date=date(2026, 6, 13)))) == "sent"


def test_several_that_meet_on_one_day_need_the_room_of_one() -> None:
    world = owing(date(2026, 6, 15), *[date(2026, 6, 14)] * 4, policy=Policy(caps=(Cap(count=4, per="7 days"),)))
    world.now = utc("06-12 14:00")
    assert world.deliver() == "sent"


DUE_DATES = st.lists(st.dates(date(2026, 6, 14), date(2026, 6, 24)), min_size=1, max_size=4)


@settings(max_examples=20)
@given(DUE_DATES, st.integers(1, 3), st.sampled_from(["sms", "email", "sms|email"]))
def test_no_due_day_is_lost_to_what_is_less_urgent(due_dates: list[date], count: int, channels: str) -> None:
    policy = Policy(caps=(Cap(count=1, per="day"), Cap(count=count, per="7 days")))
    world = owing(*due_dates, policy=policy, channels=channels, consent=channels)
    lived(world, date(2026, 6, 7), date(2026, 6, 24))
    contacts = [one for one in world.records() if one.outcome == "sent"]
    for record in world.records():
        if record.reason.startswith("cap_") and any(one.stage == "T0" for one in record.keys):
            window = [one for one in contacts if record.at - timedelta(days=7) < one.at <= record.at]
            assert all(any(one.stage == "T0" for one in contact.keys) for contact in window)
