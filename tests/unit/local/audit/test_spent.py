from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from infrastructure.local.audit.terms import CapTerm, Terms
from tests.unit.local.audit.test_promises import DUE, Json, World

TWO = Terms(caps=(CapTerm(2, 7),))
OTHER = replace(DUE, loan_id="L-2", due_date=DUE.due_date - timedelta(days=1))


def capped(sent: Sequence[str], lost: str = "T0", reason: str = "cap_7_days") -> World:
    """A borrower who was sent some stages, and lost another to a cap."""
    world = World()
    for stage in ("T-7", "T-3", "T-1", "T0", "T+1"):
        if stage in sent:
            world.outcome(stage)
        else:
            world.outcome(stage, "suppressed", reason=reason if stage == lost else "stage_channel")
    return world


def test_a_due_day_that_lost_its_room_to_an_early_reminder_breaks_the_promise_of_the_caps() -> None:
    broken = capped(["T-3", "T-1"]).audit(TWO).broken
    assert [text[:10] for text in broken] == ["promise 1:"]
    assert "its room went to stage T-1 of loan L-1 at 2026-12-09T15:00:00Z" in broken[0]


def test_a_due_day_that_nobody_knew_of_yet_could_not_be_foreseen() -> None:
    world = capped(["T-3", "T-1"])
    world.tell("2026-12-07T16:00:00Z", "installment.cancelled")
    world.tell("2026-12-09T16:00:00Z", "installment.scheduled", 2, due_date=str(DUE.due_date), amount="120.50")
    assert not [text for text in world.audit(TWO).broken if "its room" in text]


def test_what_lost_its_room_to_other_due_days_lost_it_rightly() -> None:
    world = capped(["T-3"])
    world.dues.append(OTHER)
    one = Terms(caps=(CapTerm(1, 7),))
    world.move("T-3", "2026-12-02T15:00:00Z")
    assert not [text for text in world.audit(one).broken if "its room" in text]


def test_an_empty_urgency_spends_the_caps_on_who_comes_first() -> None:
    assert capped(["T-3", "T-1"]).audit(replace(TWO, urgency=())).broken == ()


def gave_way(world: World, stage: str) -> Json:
    line = world.line(stage)
    line |= {"outcome": "suppressed", "reason": "gave_way", "provider_message_id": "", "attempts": []}
    world.wire.remove(world.wired(stage))
    return line


def test_a_stage_may_give_way_to_a_more_urgent_one_ahead_and_to_nothing_else() -> None:
    world = capped(["T-3", "T-1", "T0"])
    gave_way(world, "T-3")
    assert world.audit(TWO).broken == ()
    gave_way(world, "T0")
    (broken,) = world.audit(TWO).broken
    assert broken.endswith("nothing more urgent was ahead")


def test_what_is_paid_is_nothing_to_give_way_to() -> None:
    world = capped(["T-3"], lost="T-1", reason="paid")
    gave_way(world, "T-3")
    world.tell("2026-12-07T14:00:00Z", "installment.paid", amount="120.50")
    assert any("nothing more urgent was ahead" in text for text in world.audit(TWO).broken)


def test_the_urgency_of_a_policy_is_read() -> None:
    assert Terms.read({"urgency": ["T-1"]}).urgency == ("T-1",)
    assert Terms.read({}).urgency == ("T0", "T-1")
