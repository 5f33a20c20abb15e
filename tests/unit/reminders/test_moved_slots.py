from collections import Counter
from datetime import date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from predue.domain.policy import HoursSetting, Policy, Rulebook, StageSetting
from tests.unit.world import World, key, utc

DAY = date(2026, 6, 12)


def many(policy: Policy, at: str, count: int = 20, **fields: str) -> World:
    """Borrowers with a T-3 today, of whom an hour ago nobody had to be reminded yet."""
    world = World(policy=policy, now=utc(at) - timedelta(minutes=60))
    for number in range(count):
        world.borrower(f"b-{number}", **fields)
        world.installment(f"L-{number}", borrower_id=f"b-{number}")
    world.plan()
    world.now = utc(at)
    world.plan()
    return world


def change(world: World, policy: Policy) -> None:
    world.policy, world.rulebook = policy, Rulebook(policy)


def rest_of_day(world: World) -> Counter[tuple[str, str]]:
    """Let the day go on in quarter hours until it is closed, and count the outcomes of T-3."""
    while world.now < utc("06-13 00:30"):
        world.now += timedelta(minutes=15)
        world.plan()
        queued, world.queues.sent[:] = list(world.queues.sent), []
        due = [one for one in world.later.planned if one[0] <= world.now]
        for one in due:
            del world.later.planned[one]
        for job, channel in [(one.job, one.channel) for one in queued] + [(job, channel) for _, channel, job in due]:
            world.deliver(job, channel)
    world.close()
    records = [one for one in world.records() if any(found.day() == DAY for found in one.keys)]
    return Counter((one.outcome, one.reason) for one in records)


def sent_at(world: World) -> list[datetime]:
    return sorted(one.at for one in world.records() if one.outcome == "sent")


def test_a_send_time_that_moves_into_the_past_costs_nobody_the_day_and_spreads_over_what_is_left_of_it() -> None:
    world = many(Policy(default_time=time(18)), "06-12 16:00")
    change(world, Policy(default_time=time(10)))
    assert rest_of_day(world) == {("sent", ""): 20}
    times = sent_at(world)
    assert utc("06-12 16:15") <= times[0]
    assert times[-1] < utc("06-13 00:00")
    assert len({moment.hour for moment in times}) >= 5


def test_hours_that_end_sooner_move_the_slots_after_them_into_what_is_left() -> None:
    world = many(Policy(), "06-12 21:00", preferred_time="19:00")
    change(world, Policy(hours=HoursSetting(start=time(9), end=time(17, 45))))
    assert rest_of_day(world) == {("sent", ""): 20}
    assert sent_at(world)[-1] < utc("06-12 21:45")


def test_who_was_reminded_before_the_change_is_not_reminded_again() -> None:
    world = many(Policy(), "06-12 14:00")
    for one in list(world.queues.sent):
        world.deliver(one.job, one.channel)
    change(world, Policy(default_time=time(9, 30)))
    assert rest_of_day(world) == {("sent", ""): 20}
    assert len(world.provider.calls) == 20


BEFORE = Policy(stages=tuple(StageSetting(name=name) for name in ("T-7", "T-1", "T0")))


def test_a_stage_that_is_added_after_its_slot_is_sent_to_nobody_on_that_day() -> None:
    world = many(BEFORE, "06-12 19:00")
    change(world, Policy())
    rest_of_day(world)
    assert world.provider.calls == []


def test_a_job_whose_stage_was_taken_out_while_it_waited_gets_its_outcome() -> None:
    world = many(Policy(), "06-12 14:00")
    jobs = list(world.queues.sent)
    assert len(jobs) == 20
    change(world, BEFORE)
    assert {world.deliver(one.job, one.channel) for one in jobs} == {"settled"}
    assert {world.deliver(one.job, one.channel) for one in jobs} == {"nothing"}
    assert Counter(one.reason for one in world.records()) == {"stage_removed": 20}
    assert world.provider.calls == []


def test_a_stage_that_was_never_planned_gets_no_outcome_when_it_is_taken_out() -> None:
    world = many(Policy(), "06-12 14:00", 1)
    change(world, BEFORE)
    assert world.deliver(world.job(key("T+1", "L-0"), borrower_id="b-0")) == "nothing"
    assert world.deliver(world.job(key("T-3", "L-9"), borrower_id="b-0")) == "nothing"


@settings(max_examples=25)
@given(
    st.times(time(9), time(19, 45)), st.times(time(9), time(19, 45)), st.integers(0, 36), st.sampled_from([20, 18, 14])
)
def test_whatever_the_policy_changes_to_nobody_loses_the_day_while_its_hours_last(
    before: time, after: time, quarters: int, ends: int
) -> None:
    world = many(Policy(default_time=before), "06-12 13:00", 3)
    for _ in range(quarters):
        world.now += timedelta(minutes=15)
        world.plan()
    change(world, Policy(default_time=after, hours=HoursSetting(start=time(9), end=time(ends))))
    left = utc("06-12 13:00").replace(hour=ends + 4 if ends < 20 else 23) - world.now
    outcomes = rest_of_day(world)
    assert sum(outcomes.values()) == 3
    if left > timedelta(minutes=30):
        assert outcomes == {("sent", ""): 3}
