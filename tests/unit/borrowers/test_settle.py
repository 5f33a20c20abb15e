from collections.abc import Callable

import pytest

from predue.borrowers import settle
from predue.domain.ledger import Settled
from predue.errors import LedgerMoved
from tests.unit.world import SLOT, World, key, ready


def stop() -> Settled:
    return Settled(SLOT, (key(), key(loan_id="L-2")), "suppressed", "hold")


def bumped_at(world: World, call: str, times: int) -> Callable[[str], None]:
    """A hook by which somebody else changes the ledger ahead of the first calls by that name."""
    left = [times]

    def before(name: str) -> None:
        if name == call and left[0]:
            left[0] -= 1
            world.hook(lambda _call: None)
            world.store.bump("b-1")
            world.hook(before)

    return before


def test_an_outcome_stands_in_the_ledger_before_it_stands_in_a_record() -> None:
    world = ready()
    world.store.calls.clear()
    settle.settle(world.view(), [stop()], SLOT, world.store, {"seen": "all"})
    assert world.store.calls == ["write_ledger", "write_record"]
    assert world.record().inputs == {"seen": "all"}
    assert world.outcomes() == {"L-1 T-3": ("suppressed", "hold"), "L-2 T-3": ("suppressed", "hold")}


def test_nothing_to_settle_writes_nothing() -> None:
    world = ready()
    world.store.calls.clear()
    settle.settle(world.view(), [], SLOT, world.store, {})
    assert world.store.calls == []


def test_an_outcome_decided_on_a_view_that_is_no_longer_true_is_not_stored() -> None:
    world = ready()
    view = world.view()
    world.store.bump("b-1")
    with pytest.raises(LedgerMoved):
        settle.settle(view, [stop()], SLOT, world.store, {})
    assert world.records() == []
    assert world.ledger().settled == ()


def test_the_first_final_record_stands() -> None:
    world = ready()
    settle.record_known(world.view(), [stop()], world.store, {})
    other = Settled(SLOT, (key(), key(loan_id="L-2")), "expired", "no_run")
    settle.record_known(world.view(), [other], world.store, {})
    assert world.record().reason == "hold"


def test_a_suppressed_address_is_noted_even_while_the_ledger_moves() -> None:
    world = ready()
    ref = world.profile().address_refs["sms"]
    world.hook(bumped_at(world, "write_ledger", 3))
    settle.suppress_address(ref, "sms", "bounced", SLOT, world.store, world.store)
    assert world.ledger().suppressed == {"sms": (ref,)}


def test_an_address_is_suppressed_before_its_borrowers_are_told() -> None:
    world = ready()
    world.store.calls.clear()
    settle.suppress_address(world.profile().address_refs["sms"], "sms", "bounced", SLOT, world.store, world.store)
    assert world.store.calls[:2] == ["suppress", "linked"]


def test_a_suppression_gives_up_on_a_ledger_that_never_stands_still() -> None:
    world = ready()
    world.hook(bumped_at(world, "write_ledger", 99))
    with pytest.raises(LedgerMoved):
        settle.suppress_for("b-1", "sms", "ref", world.store)
