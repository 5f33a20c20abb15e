from dataclasses import replace
from datetime import date, timedelta

import pytest

from predue.borrowers.ports import IndexEntry
from predue.domain.channel import Switches
from predue.domain.policy import Policy
from predue.domain.record import most_urgent
from predue.reminders import planner
from tests.unit.world import SLOT, World, key, moving, ready, utc

QUARTER = timedelta(minutes=15)


def jobs(world: World) -> list[tuple[str, str, list[str]]]:
    """Channel, borrower and stages of the queued jobs."""
    return [
        (sent.channel, sent.job.borrower_id, [f"{one.loan_id} {one.stage}" for one in sent.job.keys])
        for sent in world.queues.sent
    ]


def test_a_slot_queues_one_job_for_its_borrower() -> None:
    world = ready()
    tally = world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3"])]
    assert world.queues.sent[0].job == world.job()
    assert (tally.queued, tally.settled, tally.dropped) == (1, 0, 0)


def test_nothing_is_queued_before_the_slot() -> None:
    world = ready()
    world.now = SLOT - timedelta(seconds=1)
    world.plan()
    assert jobs(world) == []


def test_the_stages_and_loans_that_meet_in_a_slot_share_one_job() -> None:
    world = ready()
    world.installment("L-2", date(2026, 6, 13))
    world.installment("L-3", date(2026, 6, 15))
    world.installment("L-4", date(2026, 6, 19))
    world.installment("L-5", date(2026, 6, 20))
    world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3", "L-2 T-1", "L-3 T-3", "L-4 T-7"])]


def test_each_borrower_has_a_job_of_their_own() -> None:
    world = ready()
    for number in range(2, 130):
        world.borrower(f"b-{number}", channels="email")
        world.installment(f"L-{number}", borrower_id=f"b-{number}")
    tally = world.plan()
    assert tally.queued == 129
    assert sorted(borrower for _, borrower, _ in jobs(world)) == sorted(f"b-{number}" for number in range(1, 130))


def test_the_job_goes_to_the_first_channel_that_can_carry_it() -> None:
    world = ready(phone="555")
    world.plan()
    assert jobs(world) == [("email", "b-1", ["L-1 T-3"])]


def test_a_job_on_a_channel_that_was_stopped_finds_the_way_to_the_next() -> None:
    world = ready()
    world.tell("borrower.opted_out", channel="sms")
    world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3"])]
    assert world.deliver(world.queues.sent[0].job) == "forwarded"
    assert jobs(world)[1:] == [("email", "b-1", ["L-1 T-3"])]


def test_an_email_only_stage_goes_to_the_queue_of_email() -> None:
    world = ready()
    world.now = utc("06-08 14:00")
    world.plan()
    assert jobs(world) == [("email", "b-1", ["L-1 T-7"])]


def test_a_preferred_time_has_a_slot_of_its_own() -> None:
    world = ready(preferred_time="18:20")
    world.plan()
    assert jobs(world) == []
    world.now = utc("06-12 22:30")
    world.plan()
    assert [sent.job.slot for sent in world.queues.sent] == [world.now]


def test_a_run_that_was_missed_is_covered_by_the_next() -> None:
    world = ready()
    world.now = SLOT - QUARTER
    world.plan()
    world.now = SLOT + timedelta(hours=2)
    world.plan()
    assert [sent.job.slot for sent in world.queues.sent] == [SLOT]


def test_runs_that_were_missed_for_days_leave_no_stage_out() -> None:
    world = ready()
    world.now = SLOT - QUARTER
    world.plan()
    world.close()
    world.now = utc("06-14 18:00")
    world.plan()
    assert [names for _, _, names in jobs(world)] == [["L-1 T-1"]]
    world.close()
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}


def lately(world: World) -> None:
    """Have the usual loan written again, moments before its slot."""
    world.now = SLOT - timedelta(seconds=30)
    world.tell("installment.paid", amount="1.00")
    world.now = SLOT


def test_a_run_covers_the_quarter_hour_before_again_because_the_index_lags() -> None:
    world = ready()
    lately(world)
    lagging = dict(world.store.index)
    world.store.index.clear()
    world.plan()
    assert jobs(world) == []
    world.store.index.update(lagging)
    world.now = SLOT + QUARTER - timedelta(seconds=1)
    world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3"])]


def test_a_run_that_is_repeated_does_no_harm() -> None:
    world = ready()
    lately(world)
    world.plan()
    world.plan()
    assert len(world.queues.sent) == 2
    for sent in world.queues.sent:
        world.deliver(sent.job)
    assert len(world.provider.calls) == 1
    world.plan()
    assert len(world.queues.sent) == 2
    world.store.checkpoints.clear()
    world.plan()
    assert len(world.queues.sent) == 3
    assert world.deliver(world.queues.sent[2].job) == "nothing"
    assert len(world.provider.calls) == 1


def test_a_run_out_of_time_goes_on_where_it_stopped() -> None:
    world = ready()
    for number in range(2, 221):
        world.borrower(f"b-{number:03}", channels="email")
        world.installment(f"L-{number}", borrower_id=f"b-{number:03}")
    times = iter([600.0, 600.0, 5.0, 600.0, 600.0, 600.0])
    services = replace(world.planner_services(), time_left=lambda: next(times))
    tally, finished = planner.plan(0, world.now, services)
    assert (tally.queued, finished) == (200, False)
    assert world.store.checkpoints["plan", 0].covered < world.now
    tally, finished = planner.plan(0, world.now, services)
    assert (tally.queued, finished) == (20, True)
    assert world.store.checkpoints["plan", 0].covered == world.now
    assert len({sent.job.borrower_id for sent in world.queues.sent}) == 220


def test_a_run_that_never_went_on_is_made_good_by_the_next() -> None:
    world = ready()
    _, finished = planner.plan(0, world.now, replace(world.planner_services(), time_left=lambda: 5.0))
    assert not finished
    world.now += QUARTER
    world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3"])]


def test_the_checkpoint_never_moves_back() -> None:
    world = ready()
    world.plan()
    planner.plan(0, world.now - timedelta(hours=5), world.planner_services())
    assert world.store.checkpoints["plan", 0].covered == world.now


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channels": ""}, "no_channel"),
        ({"consent": ""}, "no_consent"),
        ({"phone": "555", "email": ""}, "no_address"),
        ({"channels": "voice", "consent": "voice"}, "channel_unavailable"),
    ],
)
def test_a_borrower_whom_nothing_can_reach_is_settled_at_once(fields: dict[str, str], reason: str) -> None:
    world = World()
    world.borrower("b-1", **fields)
    world.installment()
    tally = world.plan()
    assert jobs(world) == []
    assert (tally.queued, tally.settled) == (0, 1)
    assert world.outcomes() == {"L-1 T-3": ("suppressed", reason)}


def test_a_hold_or_a_stop_is_left_to_the_gate() -> None:
    for kind, fields, reason in (
        ("borrower.hold_started", {"reason": "hardship"}, "hold"),
        ("borrower.opted_out", {"channel": "all"}, "opted_out"),
    ):
        world = ready()
        world.tell(kind, None, **fields)
        world.plan()
        assert world.deliver(world.queues.sent[0].job) == "settled"
        assert world.outcomes() == {"L-1 T-3": ("suppressed", reason)}


def test_a_borrower_who_became_reachable_meanwhile_is_queued_after_all() -> None:
    world = ready(phone="555", email="")

    def before(call: str) -> None:
        if call == "load":
            world.hook(lambda _call: None)
            world.tell("borrower.updated", phone="+12015550100")

    world.hook(before)
    world.plan()
    assert jobs(world) == [("sms", "b-1", ["L-1 T-3"])]


def test_a_lagging_index_entry_of_another_place_is_dropped() -> None:
    world = ready()
    lagging = dict(world.store.index)
    world.tell("borrower.updated", time_zone="America/Chicago")
    world.store.index.update(lagging)
    tally = world.plan()
    assert (jobs(world), tally.dropped) == ([], 1)


def test_a_lagging_index_entry_of_a_place_with_the_same_clock_makes_no_second_job() -> None:
    world = ready()
    lagging = dict(world.store.index)
    world.tell("borrower.updated", time_zone="America/Detroit")
    world.store.index.update({(who, at._replace(loan_id="left")): entry for (who, at), entry in lagging.items()})
    tally = world.plan()
    assert (len(jobs(world)), tally.dropped) == (1, 1)


def test_a_lagging_index_entry_of_a_paid_installment_ends_in_nothing_sent() -> None:
    world = ready()
    world.now -= timedelta(hours=1)
    lagging = dict(world.store.index)
    world.tell("installment.paid", amount="100.00")
    world.store.index.update(lagging)
    world.now = SLOT
    world.plan()
    assert world.deliver(world.queues.sent[0].job) == "nothing"
    assert (world.provider.calls, set(world.outcomes())) == ([], {"L-1 T-7"})


def test_an_entry_of_an_unknown_borrower_is_dropped() -> None:
    world = ready()
    at, (day, slot_key, entry) = next(iter(world.store.index.items()))
    other = IndexEntry("b-9", entry.loan_id, 1, entry.due_date, entry.send_time, entry.written_at)
    world.store.index["b-9", at[1]] = (day, slot_key.replace("b-1", "b-9"), other)
    assert world.plan().dropped == 1
    assert len(jobs(world)) == 1


def test_what_has_its_outcome_is_not_queued_again() -> None:
    world = ready()
    lately(world)
    world.plan()
    world.deliver(world.queues.sent[0].job)
    world.now += QUARTER - timedelta(seconds=1)
    world.plan()
    assert len(jobs(world)) == 1


def test_what_was_written_long_before_its_slot_is_not_even_read_again() -> None:
    world = ready()
    world.plan()
    world.now += QUARTER - timedelta(seconds=1)
    world.store.calls.clear()
    world.plan()
    assert "ledgers_of" not in world.store.calls
    assert "profiles_of" not in world.store.calls
    assert len(jobs(world)) == 1


def test_what_was_written_just_so_long_before_as_the_index_may_lag_is_not_read_again() -> None:
    for seconds, reads in ((1, True), (0, False)):
        world = ready()
        world.now = SLOT - planner.LONGEST_LAG + timedelta(seconds=seconds)
        world.tell("installment.paid", amount="1.00")
        world.now = SLOT
        world.plan()
        world.now += QUARTER - timedelta(seconds=1)
        world.store.calls.clear()
        world.plan()
        assert ("ledgers_of" in world.store.calls) is reads


def test_days_outside_the_policys_bounds_are_not_planned() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(last_day=date(2026, 6, 11)))
    world.plan()
    assert jobs(world) == []


def test_a_quarter_hour_in_which_nothing_can_be_due_costs_one_read() -> None:
    world = ready()
    world.plan()
    world.now = SLOT + timedelta(hours=3)
    world.plan()
    world.now += QUARTER
    world.store.calls.clear()
    world.plan()
    assert world.store.calls == ["start"]


def test_the_kill_switch_does_not_stop_the_planner() -> None:
    world = ready()
    world.switches = Switches(frozenset({"all"}))
    world.plan()
    assert len(jobs(world)) == 1


def test_the_most_urgent_key_is_the_one_furthest_along() -> None:
    keys = [key("T-7", "L-4"), key("T-1", "L-2"), key("T-3", "L-1")]
    assert most_urgent(keys) == key("T-1", "L-2") == most_urgent(keys[::-1])


@pytest.mark.parametrize(("channels", "queue"), [("voice|sms", "sms"), ("voice", "email"), ("", "email")])
def test_a_borrower_whose_ledger_moves_while_the_planner_settles_is_queued_where_there_is_a_queue(
    channels: str, queue: str
) -> None:
    world = ready(phone="", email="", channels=channels)
    world.hook(moving(world, "write_ledger", 1))
    tally = world.plan()
    assert (jobs(world), tally.settled) == ([(queue, "b-1", ["L-1 T-3"])], 0)


def test_an_evening_slot_in_the_americas_which_is_the_next_day_in_utc_is_found_by_a_run_each_quarter_hour() -> None:
    world = ready(time_zone="America/Los_Angeles", preferred_time="18:30")
    world.borrower("b-2", time_zone="America/Los_Angeles", preferred_time="18:15")
    world.installment("L-2", borrower_id="b-2")
    for world.now in (utc("06-13 01:15"), utc("06-13 01:30")):
        world.plan()
    assert [sent.job.slot for sent in world.queues.sent] == [utc("06-13 01:15"), utc("06-13 01:30")]


def test_who_is_left_out_keeps_nobody_after_him_from_a_job() -> None:
    world = ready()
    world.borrower("b-2")
    world.installment("L-2", borrower_id="b-2")
    lagging = dict(world.store.index)
    world.tell("borrower.updated", time_zone="America/Chicago")
    world.store.index.update(lagging)
    assert (world.plan().dropped, [borrower for _, borrower, _ in jobs(world)]) == (1, ["b-2"])


def test_who_is_settled_at_once_keeps_nobody_after_him_from_a_job() -> None:
    world = ready(phone="555", email="")
    world.borrower("b-2")
    world.installment("L-2", borrower_id="b-2")
    tally = world.plan()
    assert (tally.settled, [borrower for _, borrower, _ in jobs(world)]) == (1, ["b-2"])


def test_one_installment_that_the_index_showed_too_late_is_found_beside_others_that_it_showed() -> None:
    world = ready()
    world.installment("L-2")
    lately(world)
    late = {name: row for name, row in world.store.index.items() if row[2].loan_id == "L-1"}
    for name in late:
        del world.store.index[name]
    world.plan()
    world.store.index.update(late)
    world.now = SLOT + QUARTER - timedelta(seconds=1)
    world.plan()
    assert [names for _, _, names in jobs(world)] == [["L-2 T-3"], ["L-1 T-3", "L-2 T-3"]]
