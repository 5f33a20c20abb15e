"""The volume breaker: what a mistake that makes everything due at once can reach."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predue.domain.policy import Policy, Rulebook
from predue.reminders import planner, slot_sweep
from predue.reminders.volume import Volume
from tests.unit.world import SLOT, World, ready

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


def crowd(size: int, limit: int | None, zone: str = "America/New_York") -> World:
    """Borrowers who all have a reminder at the one slot."""
    world = World(policy=Policy(max_reminders_per_day=limit))
    for number in range(size):
        world.borrower(f"b-{number:03}", time_zone=zone)
        world.installment(f"L-{number}", borrower_id=f"b-{number:03}")
    return world


def reached(world: World) -> set[str]:
    return {sent.job.borrower_id for sent in world.queues.sent}


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_sweep, "PAGE", 2)


@pytest.mark.usefixtures("small_pages")
def test_the_planner_stops_at_the_limit_and_a_run_later_that_day_queues_nothing_more() -> None:
    world = crowd(9, 4)
    assert world.plan().held
    assert len(reached(world)) == 4
    for _ in range(3):
        world.now += QUARTER
        assert world.plan().held
    assert len(world.queues.sent) == 4


@pytest.mark.usefixtures("small_pages")
def test_a_raised_limit_lets_the_next_run_go_on_where_the_one_before_was_held() -> None:
    world = crowd(9, 4)
    world.plan()
    world.rulebook = Rulebook(Policy(max_reminders_per_day=100))
    world.now += QUARTER
    assert not world.plan().held
    assert len(reached(world)) == len(world.queues.sent) == 9


@pytest.mark.usefixtures("small_pages")
def test_what_is_held_until_its_day_is_over_expires_and_takes_nothing_of_the_next_days_volume() -> None:
    world = crowd(9, 4)
    world.plan()
    while world.now < SLOT + DAY - QUARTER:
        world.now += QUARTER
        world.plan()
        world.close()
    assert sorted(set(world.outcomes().values())) == [("expired", "no_run")]
    world.borrower("new")
    world.installment("L-new", borrower_id="new", due_date=(SLOT + 4 * DAY).date())
    sent = len(world.queues.sent)
    world.now += QUARTER
    assert not world.plan().held
    assert [one.job.borrower_id for one in world.queues.sent[sent:]] == ["new"]


def test_a_day_that_ends_just_at_its_limit_is_not_held() -> None:
    world = crowd(4, 4)
    assert not world.plan().held


def test_without_a_limit_nothing_is_held() -> None:
    world = crowd(250, None)
    assert not world.plan().held
    assert len(reached(world)) == 250


def test_the_count_costs_no_call() -> None:
    with_limit, without = ready(), ready()
    with_limit.rulebook = Rulebook(Policy(max_reminders_per_day=1000))
    for world in (with_limit, without):
        world.store.calls.clear()
        world.plan()
    assert with_limit.store.calls == without.store.calls


def test_a_limit_does_not_change_what_records_name_as_the_policy() -> None:
    assert Policy(max_reminders_per_day=7).label == Policy().label


@pytest.mark.usefixtures("small_pages")
def test_a_run_that_goes_on_after_its_time_ran_out_goes_on_counting() -> None:
    world = crowd(9, 4)
    ends = iter([100.0, 0.0])
    services = world.planner_services()
    timed = planner.PlannerServices(
        services.plans,
        services.borrowers,
        services.queues,
        services.rulebook,
        services.switches,
        lambda: next(ends, 100.0),
    )
    assert planner.plan(0, world.now, timed)[1] is False
    tally, finished = planner.plan(0, world.now, timed)
    assert (finished, tally.held) == (True, True)
    assert len(reached(world)) == 4


class _Died(Exception):
    """The function died at a call."""


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), limit=st.integers(1, 12), sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4))
@pytest.mark.usefixtures("small_pages")
def test_whatever_shards_run_die_or_run_twice_a_day_reaches_at_most_the_limit_and_a_page_for_each_shard(
    data: st.DataObject, limit: int, sizes: list[int]
) -> None:
    """Each shard is a world of its own, as it is on AWS but for the table, of which no two touch the same items."""
    shards = [crowd(size, limit) for size in sizes]
    for moment in range(data.draw(st.integers(1, 6))):
        for number in data.draw(st.permutations([*range(len(shards))] * 2)):
            world, left = shards[number], data.draw(st.integers(0, 12))

            def step(_call: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise _Died

            world.now = SLOT + moment * QUARTER
            world.hook(step)
            services = world.planner_services()
            split = planner.PlannerServices(
                services.plans,
                services.borrowers,
                services.queues,
                services.rulebook,
                services.switches,
                services.time_left,
                len(shards),
            )
            with suppress(_Died):
                planner.plan(0, world.now, split)
    everybody = sum(len(reached(world)) for world in shards)
    assert everybody < limit + len(shards) * (1 + slot_sweep.PAGE)


@pytest.mark.usefixtures("small_pages")
def test_a_day_is_counted_from_its_first_job_on_and_not_by_the_calendar() -> None:
    world = crowd(3, 2)
    world.plan()
    assert world.store.checkpoints["plan", 0].since == SLOT
    for late in (timedelta(hours=10), DAY - QUARTER):
        world.now = SLOT + late
        assert world.plan().held
    world.now = SLOT + DAY
    assert not world.plan().held
    assert len(reached(world)) == 2


@pytest.mark.parametrize(("limit", "shards", "share"), [(10, 4, 3), (8, 4, 2), (1, 4, 1), (0, 4, 0), (None, 4, None)])
def test_each_shard_has_its_part_of_the_days_limit_rounded_up(limit: int | None, shards: int, share: int) -> None:
    assert Volume.of(limit, shards, SLOT).share == share
