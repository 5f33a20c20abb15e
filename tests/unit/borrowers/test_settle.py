import pytest

from predue.borrowers import settle
from predue.domain.ledger import Contact, Settled
from predue.domain.record import reminder_id
from predue.errors import LedgerMoved
from tests.unit.world import SLOT, key, moving, ready


def stop() -> Settled:
    return Settled(SLOT, (key(), key(loan_id="L-2")), "suppressed", "hold")


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
    world.hook(moving(world, "write_ledger", 3))
    settle.suppress_address(ref, "sms", "bounced", SLOT, world.store, world.store)
    assert world.ledger().suppressed == {"sms": (ref,)}


def test_an_address_is_suppressed_before_its_borrowers_are_told() -> None:
    world = ready()
    world.store.calls.clear()
    settle.suppress_address(world.profile().address_refs["sms"], "sms", "bounced", SLOT, world.store, world.store)
    assert world.store.calls[:2] == ["suppress", "linked"]


def test_a_suppression_gives_up_on_a_ledger_that_never_stands_still() -> None:
    world = ready()
    world.hook(moving(world, "write_ledger", 99))
    with pytest.raises(LedgerMoved):
        settle.suppress_for("b-1", "sms", "ref", world.store)


def test_a_claim_is_recorded_as_unknown_once_and_told_as_such_once() -> None:
    world = ready()
    claim = Contact(SLOT, SLOT.date(), "sms", (key(),), "t", reminder_id(world.profile().ref, (key(),)))
    world.store.write_ledger(world.ledger().with_contact(claim))
    world.hook(moving(world, "write_ledger", 3))
    assert settle.record_unknown(world.view(), claim, world.store)
    assert world.ledger().contacts[0].state == "unknown"
    assert not settle.record_unknown(world.view(), claim, world.store)
    assert world.outcomes() == {"L-1 T-3": ("unknown", "no_answer")}


def test_a_claim_that_was_given_back_is_no_unknown_outcome() -> None:
    world = ready()
    claim = Contact(SLOT, SLOT.date(), "sms", (key(),), "t", "r", state="refused")
    world.store.write_ledger(world.ledger().with_contact(claim))
    assert not settle.record_unknown(world.view(), claim, world.store)
    assert world.records() == []


def test_a_claim_is_not_given_up_on_a_ledger_that_never_stands_still() -> None:
    world = ready()
    claim = Contact(SLOT, SLOT.date(), "sms", (key(),), "t", "r")
    world.store.write_ledger(world.ledger().with_contact(claim))
    world.hook(moving(world, "write_ledger", 99))
    with pytest.raises(LedgerMoved):
        settle.record_unknown(world.view(), claim, world.store)
    assert world.records() == []
