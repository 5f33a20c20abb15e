from datetime import date, timedelta

from predue.borrowers.view import View
from predue.domain.policy import Policy, Rulebook
from tests.unit.world import SLOT, key, ready, utc


def unanswered(view: View, since: date = date(2026, 6, 1)) -> list[str]:
    (due,) = view.dues.values()
    return [found.stage for found, _ in view.unanswered(due, utc("06-30 00:00"), since)]


def test_every_stage_of_an_installment_known_early_is_planned() -> None:
    assert unanswered(ready().view()) == ["T-7", "T-3", "T-1", "T0", "T+1"]


def test_days_before_the_first_that_matters_are_left_alone() -> None:
    assert unanswered(ready().view(), date(2026, 6, 14)) == ["T-1", "T0", "T+1"]


def test_a_stage_whose_slot_has_not_come_is_not_asked_for() -> None:
    world = ready()
    view = world.view()
    asked = [found.stage for found, _ in view.unanswered(world.due(), SLOT, date(2026, 6, 1))]
    assert asked == ["T-7", "T-3"]


def test_a_stage_with_an_outcome_is_answered() -> None:
    world = ready()
    world.deliver()
    assert "T-3" not in unanswered(world.view())


def test_an_installment_closed_at_its_slot_was_not_planned_for_it() -> None:
    world = ready()
    world.now -= timedelta(hours=1)
    world.tell("installment.paid", amount="100.00")
    assert unanswered(world.view()) == []
    world.now += timedelta(hours=2)
    world.tell("installment.payment_reversed", amount="100.00")
    assert unanswered(world.view()) == ["T-1", "T0", "T+1"]


def test_a_slot_follows_the_wish_and_the_current_zone() -> None:
    world = ready()
    assert world.view().slot(date(2026, 6, 12)) == SLOT
    world.tell("borrower.updated", time_zone="Asia/Kolkata", preferred_time="18:20")
    assert world.view().slot(date(2026, 6, 12)) == utc("06-12 13:00")
    assert world.view().local_time(SLOT) == "2026-06-12T19:30:00+05:30"


def test_an_unknown_zone_is_every_zone_of_the_country() -> None:
    world = ready(time_zone="")
    found = world.view().window(date(2026, 6, 12))
    assert found is not None
    assert (found.start, found.end) == (utc("06-12 19:00"), utc("06-13 00:00"))  # 09:00 in Honolulu, 20:00 in New York


def test_a_stage_that_the_policy_does_not_know_is_not_planned() -> None:
    assert not ready().view().planned(key("T-2"))


def test_a_day_outside_the_bounds_of_the_policy_has_no_planned_stage() -> None:
    world = ready()
    world.rulebook = Rulebook(Policy(first_day=date(2026, 6, 13)))
    assert unanswered(world.view()) == ["T-1", "T0", "T+1"]
