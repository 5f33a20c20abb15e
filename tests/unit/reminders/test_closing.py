from collections.abc import Callable
from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from predue.borrowers.ports import Refused
from predue.domain.ledger import Contact
from predue.domain.policy import HoursSetting, Policy, Rulebook
from predue.domain.record import reminder_id
from predue.domain.stage import StageKey
from predue.errors import LedgerMoved, Unreachable
from predue.reminders import closing
from tests.unit.world import SLOT, World, key, ready, utc

CLOSING = utc("06-13 00:10")
"""Ten minutes after the hours of the day of T-3."""
OVER = utc("06-19 00:10")
"""Ten minutes after the hours of the last day of grace."""


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


def crash_at(call: str) -> Callable[[str], None]:
    def before(name: str) -> None:
        if name == call:
            raise Crash

    return before


def crashed(world: World, call: str) -> None:
    """Let a closing run die ahead of a call."""
    world.hook(crash_at(call))
    with pytest.raises(Crash):
        world.close()
    world.hook(lambda _call: None)


def day_is_over() -> World:
    world = ready()
    world.close()
    world.now = CLOSING
    return world


def window_is_over() -> World:
    """The grace ended; all that was planned has been closed but the last day."""
    world = ready()
    for day in range(12, 18):
        world.now = utc(f"06-{day} 00:10")
        world.close()
    world.now = utc("06-18 00:10")
    world.close()
    world.now = OVER
    return world


def test_a_planned_stage_without_an_outcome_expires() -> None:
    world = day_is_over()
    assert world.close().expired == 1
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}


def test_nothing_expires_before_the_run_may_look() -> None:
    world = day_is_over()
    world.now -= timedelta(seconds=1)
    assert world.close().expired == 0


def test_a_stage_that_has_its_outcome_keeps_it() -> None:
    world = day_is_over()
    world.now = SLOT
    world.deliver()
    world.now = CLOSING
    assert world.close().expired == 0
    assert world.outcomes() == {"L-1 T-3": ("sent", "")}


def test_a_claim_that_never_got_its_record_is_unknown() -> None:
    world = day_is_over()
    world.now = SLOT
    world.hook(crash_at("write_record"))
    with pytest.raises(Crash):
        world.deliver()
    world.hook(lambda _call: None)
    world.now = CLOSING
    assert world.close().unknown == 1
    assert world.outcomes() == {"L-1 T-3": ("unknown", "no_answer")}


def test_a_settled_stage_that_never_got_its_record_gets_it() -> None:
    world = day_is_over()
    world.tell("borrower.opted_out", channel="all")
    world.now = SLOT
    world.hook(crash_at("write_record"))
    with pytest.raises(Crash):
        world.deliver()
    world.hook(lambda _call: None)
    world.now = CLOSING
    world.close()
    assert world.outcomes() == {"L-1 T-3": ("suppressed", "opted_out")}


def test_refusals_without_an_end_are_told_when_the_stage_expires() -> None:
    world = ready(channels="sms")
    world.close()
    world.hook(crash_at("queue"))
    world.provider.answers = [Refused("refused_busy", "THROTTLED")]
    with pytest.raises(Crash):
        world.deliver()
    world.hook(lambda _call: None)
    world.now = CLOSING
    world.close()
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}
    assert [attempt.answer.text for attempt in world.record().attempts] == ["refused_busy:THROTTLED"]


def test_a_run_that_dies_at_any_write_is_completed_by_the_next() -> None:
    for call in ("write_ledger", "write_record", "save_checkpoint"):
        world = day_is_over()
        crashed(world, call)
        world.now += timedelta(minutes=15)
        world.close()
        assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}


def test_a_run_that_is_repeated_changes_nothing() -> None:
    world = day_is_over()
    world.close()
    world.store.checkpoints.clear()
    assert world.close().expired == 0
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run")}


def test_a_run_that_was_missed_is_covered_by_the_next() -> None:
    world = day_is_over()
    world.now += timedelta(days=2)
    world.close()
    assert world.outcomes() == {"L-1 T-3": ("expired", "no_run"), "L-1 T-1": ("expired", "no_run")}


def test_a_run_out_of_time_goes_on_where_it_stopped() -> None:
    world = ready()
    for number in range(2, 221):
        world.borrower(f"b-{number:03}", preferred_time="18:00" if number % 2 else "")
        world.installment(f"L-{number}", borrower_id=f"b-{number:03}")
    world.close()
    world.now = CLOSING
    times = iter([600.0, 600.0, 5.0, 600.0, 600.0, 600.0])
    services = replace(world.closing_services(), time_left=lambda: next(times))
    tally, finished = closing.close(0, world.now, services)
    assert (tally.expired, finished) == (200, False)
    tally, finished = closing.close(0, world.now, services)
    assert (tally.expired, finished) == (20, True)
    assert len(world.outcomes()) == 220


def test_an_installment_that_leaves_its_grace_unpaid_is_handed_over_once() -> None:
    world = window_is_over()
    assert world.close().handed_over == 1
    ((identity, due, at),) = world.bus.events
    assert (due.loan_id, due.installment_no, at) == ("L-1", 1, OVER)
    assert identity == closing.overdue_id(due)
    assert world.due().handed_over_at == OVER
    assert world.store.index == {}
    world.now += timedelta(days=1)
    world.close()
    assert len(world.bus.events) == 1


def test_a_hand_over_that_dies_before_it_is_stored_is_repeated_with_the_same_id() -> None:
    world = window_is_over()
    crashed(world, "write_due")
    world.now += timedelta(minutes=15)
    world.close()
    assert len(world.bus.events) == 2
    assert len({identity for identity, _, _ in world.bus.events}) == 1
    assert world.due().handed_over_at == world.now


def test_a_stage_whose_record_failed_on_the_last_day_has_it_before_its_due_is_handed_over() -> None:
    world = World()
    world.borrower()
    world.installment(grace_days=0)
    world.now = utc("06-16 00:10")
    failing = ["write_record"]

    def before(name: str) -> None:
        if failing and name == failing[0]:
            failing.pop()
            raise Unreachable("the table is away for a moment")

    world.hook(before)
    tally = world.close()
    assert (tally.failed, tally.handed_over) == (1, 1)
    assert world.outcomes().get("L-1 T0") == ("expired", "no_run")


def test_a_claim_that_the_last_day_left_without_a_record_is_unknown_before_its_due_is_handed_over() -> None:
    world = World()
    world.borrower()
    world.installment(grace_days=0)
    world.now = utc("06-15 14:00")
    world.hook(crash_at("write_record"))
    with pytest.raises(Crash):
        world.deliver(world.job(StageKey("L-1", 1, date(2026, 6, 15), "T0")))
    world.now = utc("06-16 00:10")
    failing = ["record"]

    def before(name: str) -> None:
        if failing and name == failing[0]:
            failing.pop()
            raise Unreachable("the table is away for a moment")

    world.hook(before)
    tally = world.close()
    assert (tally.failed, tally.handed_over) == (1, 1)
    assert world.outcomes().get("L-1 T0") == ("unknown", "no_answer")


def test_what_was_paid_in_the_grace_is_not_handed_over() -> None:
    world = window_is_over()
    world.now -= timedelta(hours=12)
    world.tell("installment.paid", amount="100.00")
    world.now = OVER
    world.close()
    assert world.bus.events == []


def test_what_moved_in_the_grace_is_not_handed_over() -> None:
    world = window_is_over()
    world.now -= timedelta(hours=12)
    world.tell("installment.rescheduled", due_date="2026-07-15")
    world.now = OVER
    world.close()
    assert world.bus.events == []


def test_the_shorter_grace_of_another_installment_hands_nothing_over() -> None:
    world = ready()
    world.installment("L-2", grace_days=0)
    for day in range(12, 19):
        world.now = utc(f"06-{day} 00:10")
        world.close()
    assert [due.loan_id for _, due, _ in world.bus.events] == ["L-2"]
    world.now = OVER
    world.close()
    assert [due.loan_id for _, due, _ in world.bus.events] == ["L-2", "L-1"]


@pytest.mark.parametrize("end", ["handed over", "paid"])
def test_a_lagging_index_entry_hands_nothing_over_that_is_paid_or_handed_over_already(end: str) -> None:
    world = window_is_over()
    lagging, before = dict(world.store.index), world.store.checkpoints.copy()
    if end == "paid":
        world.tell("installment.paid", amount="100.00")
    else:
        world.close()
    emitted = len(world.bus.events)
    world.store.index.update(lagging)
    world.store.checkpoints = before
    world.close()
    assert len(world.bus.events) == emitted


def test_the_id_of_a_hand_over_names_the_installment_and_its_due_date() -> None:
    world = ready()
    world.installment("L-2")
    due, other = world.due(), world.due("L-2")
    moved = replace(due, due_date=date(2026, 7, 15))
    assert len({closing.overdue_id(one) for one in (due, other, moved)}) == 3
    assert closing.overdue_id(replace(due, amount=1, version=9)) == closing.overdue_id(due)


def test_an_installment_that_became_known_after_its_window_is_handed_over_by_the_next_run() -> None:
    world = World(now=utc("06-30 12:00"))
    world.borrower()
    world.tell(
        "installment.scheduled",
        loan_id="L-1",
        due_date="2026-06-15",
        amount="100.00",
        currency="USD",
        borrower_id="b-1",
    )
    assert world.close().handed_over == 1
    assert world.outcomes() == {}


def test_a_partial_payment_between_the_hours_and_the_run_leaves_no_stage_without_an_outcome() -> None:
    world = World(now=utc("06-15 13:00"))
    world.borrower()
    world.installment(grace_days=0)
    world.close()
    world.now = utc("06-16 00:05")
    world.tell("installment.paid", amount="40.00")
    world.now = utc("06-16 00:10")
    world.close()
    assert world.outcomes().get("L-1 T0") == ("expired", "no_run")
    assert len(world.bus.events) == 1


def test_a_move_to_a_zone_whose_day_is_closed_already_leaves_no_stage_without_an_outcome() -> None:
    world = ready(time_zone="America/Los_Angeles")
    world.now = utc("06-12 17:00")
    world.plan()  # whose job ends in the dead letters
    world.now = utc("06-13 01:00")  # 18:00 there, and 21:00 in New York
    world.close()
    world.tell("borrower.updated", time_zone="America/New_York")
    for hours in range(1, 30):
        world.now = utc("06-13 01:00") + timedelta(hours=hours)
        world.close()
    assert world.outcomes().get("L-1 T-3") == ("expired", "no_run")


def test_a_closing_run_between_the_two_halves_of_a_move_leaves_no_stage_without_an_outcome() -> None:
    world = day_is_over()
    world.now = SLOT + timedelta(hours=1)
    moved = world.body("borrower.updated", time_zone="America/Chicago")
    world.hook(crash_at("write_due"))
    with pytest.raises(Crash):
        world.apply(moved)
    world.hook(lambda _call: None)
    world.now = CLOSING + timedelta(hours=2)
    world.close()
    world.apply(moved)
    for _ in range(30):
        world.now += timedelta(hours=1)
        world.close()
    assert world.outcomes().get("L-1 T-3") == ("expired", "no_run")


def test_a_move_cut_short_twice_around_a_closing_run_leaves_no_stage_without_an_outcome() -> None:
    world = day_is_over()
    world.now = SLOT + timedelta(hours=1)
    moved = world.body("borrower.updated", time_zone="America/Chicago")
    for call in ("write_due", "write_record"):
        world.hook(crash_at(call))
        with pytest.raises(Crash):
            world.apply(moved)
        world.hook(lambda _call: None)
        world.now = CLOSING + timedelta(hours=2)
        world.close()
    world.apply(moved)
    for _ in range(30):
        world.now += timedelta(hours=1)
        world.close()
    assert world.outcomes().get("L-1 T-3") == ("expired", "no_run")


def test_a_borrower_whom_a_crash_left_under_two_send_times_is_closed_whole() -> None:
    world = day_is_over()
    world.installment("L-2")
    world.borrower("b-2")
    world.installment("L-9", borrower_id="b-2")
    world.now = SLOT - timedelta(hours=3)
    written: list[str] = []

    def at_the_second(call: str) -> None:
        written.append(call)
        if written.count("write_due") == 2:
            raise Crash

    world.hook(at_the_second)
    with pytest.raises(Crash):
        world.tell("borrower.updated", preferred_time="09:15")
    world.hook(lambda _call: None)
    assert len({entry.send_time for _, _, entry in world.store.index.values() if entry.borrower_id == "b-1"}) == 2
    # The half that stands at the new time gets its reminder, the other one is planned by nobody.
    world.now = utc("06-12 13:15")
    world.plan()
    for sent in world.queues.sent:
        world.deliver(sent.job, sent.channel)
    world.now = CLOSING
    world.close()
    assert {name for name in world.outcomes() if name.endswith("T-3")} == {
        f"{loan} T-3" for loan in ("L-1", "L-2", "L-9")
    }


def test_what_was_paid_after_the_closing_run_was_away_for_days_leaves_no_stage_without_an_outcome() -> None:
    world = day_is_over()
    world.now = CLOSING + timedelta(days=3)
    world.tell("installment.paid", amount="100.00")
    world.close()
    assert set(world.outcomes()) == {"L-1 T-3", "L-1 T-1", "L-1 T0"}


def many_at_closing() -> World:
    """More borrowers than two pages hold, whose day is over."""
    world = day_is_over()
    for number in range(2, 250):
        world.borrower(f"b-{number:03}")
        world.installment(f"L-{number:03}", borrower_id=f"b-{number:03}")
    return world


def west_and_east() -> World:
    """A borrower whose day ends late, and one elsewhere whose closing moves the run's checkpoint on."""
    world = World()
    world.borrower(time_zone="America/Los_Angeles", preferred_time="19:00")
    world.installment()
    world.borrower("b-2", time_zone="America/Chicago")
    world.installment("L-2", borrower_id="b-2")
    return world


def quarter_hours(world: World, first: str, last: str) -> None:
    world.now = utc(first)
    while world.now < utc(last):
        world.plan()
        world.close()
        world.now += timedelta(minutes=15)


def narrowed(world: World) -> None:
    """The lender lets the hours end at six from now on."""
    world.policy = Policy(hours=HoursSetting(end=time(18)))
    world.rulebook = Rulebook(world.policy)


def test_hours_that_are_narrowed_in_the_evening_leave_no_stage_without_an_outcome() -> None:
    world = west_and_east()
    quarter_hours(world, "06-12 14:05", "06-13 01:30")
    narrowed(world)
    quarter_hours(world, "06-13 01:35", "06-13 04:00")
    assert world.outcomes().get("L-1 T-3") == ("expired", "no_run")


def test_hours_that_are_narrowed_in_the_evening_keep_no_due_from_its_hand_over() -> None:
    world = west_and_east()
    quarter_hours(world, "06-18 14:05", "06-19 01:30")
    narrowed(world)
    quarter_hours(world, "06-19 01:35", "06-19 04:00")
    assert {due.loan_id for _, due, _ in world.bus.events} == {"L-1", "L-2"}


def test_a_run_of_changed_rules_that_is_out_of_time_begins_anew_and_gets_through() -> None:
    world = west_and_east()
    quarter_hours(world, "06-12 14:05", "06-13 01:30")
    narrowed(world)
    world.now = utc("06-13 01:35")
    world.seconds_left = 0
    assert not closing.close(0, world.now, world.closing_services())[1]
    world.seconds_left = 600
    world.close()
    assert world.outcomes().get("L-1 T-3") == ("expired", "no_run")


def test_a_run_whose_rules_change_half_way_goes_on_from_no_place_of_the_old_ones() -> None:
    world = many_at_closing()
    left = iter([600, 0])
    assert not closing.close(0, world.now, replace(world.closing_services(), time_left=lambda: next(left)))[1]
    narrowed(world)
    world.close()
    assert len(world.outcomes()) == 249


@pytest.mark.parametrize("away", ["write_ledger", "write_record"])
def test_a_borrower_whose_state_cannot_be_written_keeps_no_other_from_an_outcome_and_comes_again(away: str) -> None:
    world = day_is_over()
    for number in (2, 3):
        world.borrower(f"b-{number}")
        world.installment(f"L-{number}", borrower_id=f"b-{number}")
    world.now = SLOT
    world.close()
    world.now = CLOSING
    failing = iter([True])

    def before(call: str) -> None:
        if call == away and next(failing, False):
            raise Unreachable("a write timed out")

    world.hook(before)
    assert world.close().failed == 1
    assert len(world.outcomes()) == 2
    world.now += timedelta(minutes=15)
    assert world.close().failed == 0
    assert world.outcomes() == {f"L-{number} T-3": ("expired", "no_run") for number in (1, 2, 3)}


def test_who_was_left_out_before_the_time_ran_out_is_not_forgotten_by_the_call_that_goes_on() -> None:
    world = many_at_closing()
    failing = iter([True])

    def before(call: str) -> None:
        if call == "write_ledger" and next(failing, False):
            raise Unreachable("a write timed out")

    world.hook(before)
    left = iter([600, 0])
    services = replace(world.closing_services(), time_left=lambda: next(left))
    tally, finished = closing.close(0, world.now, services)
    assert (tally.failed, finished) == (1, False)
    world.close()
    world.now += timedelta(minutes=15)
    world.close()
    assert len(world.outcomes()) == 249


def test_a_claim_without_a_record_is_unknown_even_if_its_installment_closes_before_the_run() -> None:
    world = day_is_over()
    world.now = SLOT
    world.hook(crash_at("write_record"))
    with pytest.raises(Crash):
        world.deliver()  # whose job ends in the dead letters
    world.hook(lambda _call: None)
    world.now = SLOT + timedelta(hours=1)
    world.tell("installment.paid", amount="100.00")
    world.now = CLOSING
    world.close()
    assert world.outcomes()["L-1 T-3"] == ("unknown", "no_answer")


def test_the_old_entry_of_a_borrower_who_moved_west_settles_nothing_while_the_hours_there_last() -> None:
    world = ready(time_zone="Asia/Tokyo")
    world.now = utc("06-12 00:00")
    world.close()
    lagging = dict(world.store.index)
    world.tell("borrower.updated", time_zone="America/Los_Angeles")
    world.store.index.update({(who, at._replace(loan_id="left")): entry for (who, at), entry in lagging.items()})
    world.now = utc("06-12 18:00")  # 11:00 in Los Angeles, an hour after the slot; the day in Tokyo is over
    world.close()
    assert "L-1 T-3" not in world.outcomes()
    assert world.deliver() == "sent"


@pytest.mark.parametrize(("call", "world"), [("write_ledger", day_is_over), ("write_due", window_is_over)])
def test_a_borrower_whose_state_moves_under_the_closing_run_is_read_again(
    call: str, world: Callable[[], World]
) -> None:
    made, left = world(), [3]

    def before(name: str) -> None:
        left[0] -= name == call
        if name == call and left[0] >= 0:
            raise LedgerMoved("somebody else wrote")

    made.hook(before)
    tally = made.close()
    assert (tally.failed, tally.expired + tally.handed_over) == (0, 1)
    assert len({identity for identity, _, _ in made.bus.events}) == tally.handed_over


@pytest.mark.parametrize(("call", "world"), [("write_ledger", day_is_over), ("write_due", window_is_over)])
def test_a_borrower_whose_state_never_stands_still_is_left_to_the_next_run(
    call: str, world: Callable[[], World]
) -> None:
    made = world()

    def before(name: str) -> None:
        if name == call:
            raise LedgerMoved("somebody else wrote")

    made.hook(before)
    tally = made.close()
    assert (tally.failed, tally.expired, tally.handed_over) == (1, 0, 0)
    made.hook(lambda _call: None)
    # The same instant again: what was left out is no place to go on from.
    tally = made.close()
    assert (tally.failed, tally.expired + tally.handed_over) == (0, 1)


def test_a_day_that_was_closed_is_not_looked_at_again() -> None:
    world = day_is_over()
    world.close()
    world.now += timedelta(minutes=15)
    world.store.calls.clear()
    world.close()
    assert set(world.store.calls) == {"overdue", "start"}


def test_a_claim_that_may_still_be_calling_is_not_recorded_as_unknown() -> None:
    world = day_is_over()
    at = CLOSING - closing.WAIT + timedelta(seconds=1)
    claim = Contact(at, key().day(), "sms", (key(),), "t", reminder_id(world.profile().ref, (key(),)))
    world.store.write_ledger(world.ledger().with_contact(claim))
    assert (world.close().unknown, world.records()) == (0, [])


def test_somebody_hears_of_a_borrower_who_is_left_to_the_next_run() -> None:
    world, response = day_is_over(), list[Exception]()

    def away(call: str) -> None:
        if call == "write_ledger":
            raise Unreachable("a write timed out")

    world.hook(away)
    closing.close(0, world.now, replace(world.closing_services(), failed=response.append))
    assert [type(error) for error in response] == [Unreachable]
