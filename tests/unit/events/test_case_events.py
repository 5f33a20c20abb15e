"""Cases those events opens: a payment that is taken back, and a borrower who asks for help."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from predue.domain.case import About, Case, Hold
from predue.events import applying
from predue.events.models import read_event
from tests.unit.domain.test_case import LAST_CLOSING, Crash, cases, dies_at, waits
from tests.unit.world import World, utc

# A payment is taken back


def test_a_payment_that_is_taken_back_warns_of_the_due_that_it_opens_again() -> None:
    world = waits()
    world.tell("installment.paid", amount="100.00")
    assert cases(world) == {}
    world.tell("installment.payment_reversed", amount="100.00")
    assert cases(world) == {"L-1 2026-06-15": {"payment_reversed": "05-30 12:00"}}
    assert len(world.store.open_cases()) == 1


def test_a_part_that_is_taken_back_warns_too() -> None:
    world = waits()
    world.tell("installment.paid", amount="40.00")
    world.tell("installment.payment_reversed", amount="40.00")
    assert list(cases(world)) == ["L-1 2026-06-15"]


def test_what_was_paid_twice_and_taken_back_once_warns_of_nothing() -> None:
    world = waits()
    world.tell("installment.paid", amount="100.00")
    world.tell("installment.paid", amount="100.00")
    world.tell("installment.payment_reversed", amount="100.00")
    assert cases(world) == {}


def test_a_payment_taken_back_before_its_installment_is_known_warns_once_it_is() -> None:
    world = World(now=utc("05-30 12:00"))
    world.borrower()
    world.tell("installment.paid", amount="100.00")
    world.tell("installment.payment_reversed", amount="100.00")
    assert cases(world) == {}
    world.installment()
    assert list(cases(world)) == ["L-1 2026-06-15"]


def test_a_payment_taken_back_of_an_installment_that_moves_then_warns_at_its_new_date() -> None:
    world = waits()
    world.tell("installment.payment_reversed", amount="10.00")
    world.tell("installment.rescheduled", due_date="2026-06-25")
    assert list(cases(world)) == ["L-1 2026-06-15", "L-1 2026-06-25"]
    assert [one.about[2] for one in world.store.open_cases() if isinstance(one.about, About)] == [date(2026, 6, 25)]


def test_a_payment_taken_back_after_the_window_is_for_collections() -> None:
    world = waits()
    world.tell("installment.paid", amount="100.00")
    world.now = LAST_CLOSING
    world.tell("installment.payment_reversed", amount="100.00")
    world.close()
    assert len(world.bus.events) == 1
    assert cases(world) == {}


# The borrower asks for help


@pytest.mark.parametrize("reason", ["hardship", "HARDSHIP"])
def test_a_hold_for_hardship_opens_a_case(reason: str) -> None:
    world = waits()
    world.tell("borrower.hold_started", 7, reason=reason)
    (opened,) = world.store.open_cases()
    assert (opened.kind, opened.reason, opened.about) == ("help", "hardship", Hold(reason, 7, "core"))


@pytest.mark.parametrize("reason", ["bereavement", "dispute", "Mrs Ann Example is ill"])
def test_a_hold_for_anything_else_opens_none(reason: str) -> None:
    world = waits()
    world.tell("borrower.hold_started", reason=reason)
    assert cases(world) == {}


def test_the_case_of_a_hold_is_open_until_the_hold_ends() -> None:
    world = waits()
    world.tell("borrower.hold_started", reason="hardship")
    world.tell("borrower.hold_ended", reason="hardship")
    assert (len(world.store.cases), world.store.open_cases()) == (1, [])


@pytest.mark.parametrize("ended", [{"reason": "hardship"}, {}])
def test_a_hold_that_was_ended_before_it_is_heard_of_opens_no_case(ended: dict[str, Any]) -> None:
    world = waits()
    world.tell("borrower.hold_ended", 9, **ended)
    world.tell("borrower.hold_started", 8, reason="hardship")
    assert cases(world) == {}


def test_a_hold_that_is_no_events_opens_no_case() -> None:
    world = waits()
    world.tell("borrower.hold_started", 9, reason="hardship")
    world.tell("borrower.hold_started", 8, reason="hardship")
    assert list(cases(world)) == ["hardship 9"]


def test_a_borrower_who_asks_again_later_has_a_case_of_its_own() -> None:
    world = waits()
    world.tell("borrower.hold_started", 1, reason="hardship")
    world.tell("borrower.hold_ended", 2)
    world.tell("borrower.hold_started", 3, reason="hardship")
    assert list(cases(world)) == ["hardship 1", "hardship 3"]
    assert [one.about for one in world.store.open_cases()] == [Hold("hardship", 3, "core")]


def test_the_hold_stands_before_its_case_and_the_case_before_the_events_counts_as_applied() -> None:
    world = waits()
    world.store.calls.clear()
    world.tell("borrower.hold_started", reason="hardship")
    writes = [call for call in world.store.calls if call in {"write_ledger", "write_case", "mark_applied"}]
    assert writes == ["write_ledger", "write_case", "mark_applied"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("borrower.hold_started", {"reason": "hardship"}),
        ("installment.payment_reversed", {"amount": "10.00"}),
    ],
)
@pytest.mark.parametrize("call", ["write_case", "mark_applied"])
def test_events_that_dies_around_its_case_opens_it_once_when_it_is_repeated(
    kind: str, fields: dict[str, Any], call: str
) -> None:
    world = waits()
    body = world.body(kind, **fields)
    world.hook(dies_at(call))
    with pytest.raises(Crash):
        world.apply(body)
    world.hook(lambda _call: None)
    world.apply(body)
    assert len(world.store.open_cases()) == 1


def test_whoever_counts_hears_of_a_case_once() -> None:
    world, opened = waits(), list[Case]()
    services = replace(world.event_services(), opened=opened.append)
    for amount in ("1.00", "2.00"):
        applying.apply(read_event(world.body("installment.payment_reversed", amount=amount)), world.now, services)
    assert opened == list(world.store.cases.values())
