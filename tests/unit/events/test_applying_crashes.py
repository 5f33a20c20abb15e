"""A crash at any point of events are completed by the repeat that its sender then makes."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from predue.errors import LedgerMoved
from tests.fakes import WRITES, state_of
from tests.unit.world import SLOT, World, ready, utc

Story = list[tuple[str, dict[str, Any]]]


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


STORY: Story = [
    ("installment.paid", {"amount": "30.00"}),
    (
        "borrower.updated",
        {
            "phone": "+12015550100",
            "email": "ann@example.com",
            "channels": "sms",
            "consent": "sms",
            "time_zone": "America/New_York",
            "jurisdiction": "US-NY",
        },
    ),
    (
        "installment.scheduled",
        {"borrower_id": "b-1", "due_date": "2026-06-15", "amount": "100.00", "currency": "USD", "grace_days": 3},
    ),
    ("installment.rescheduled", {"due_date": "2026-06-25"}),
    ("borrower.updated", {"time_zone": "America/Chicago", "phone": "+12015550101"}),
    ("borrower.opted_out", {"channel": "sms"}),
    ("borrower.hold_started", {"reason": "hardship"}),
    ("installment.disputed", {}),
    ("installment.rescheduled", {"due_date": "2026-06-15", "amount": "90.00"}),
    ("installment.payment_reversed", {"amount": "30.00"}),
    ("installment.paid", {"amount": "90.00"}),
    ("installment.cancelled", {}),
]


def crash_ahead_of(number: int) -> Callable[[str], None]:
    """A hook that crashes ahead of the n-th write."""
    left = [number]

    def before(call: str) -> None:
        left[0] -= call in WRITES
        if call in WRITES and left[0] == 0:
            raise Crash

    return before


def publish_all(crash: int | None, *, until: int, order: list[int] | None = None) -> World:
    """Tell the story; the event `until` crashes ahead of its write number `crash` and is then repeated."""
    world = World(now=utc("06-12 14:30"))
    bodies = [world.body(kind, **fields) for kind, fields in STORY]
    for index in order or range(len(bodies)):
        if crash is not None and index == until:
            world.hook(crash_ahead_of(crash))
            try:
                world.apply(bodies[index])
            except Crash:
                world.hook(lambda _call: None)
                world.now += timedelta(seconds=30)
                world.apply(bodies[index])
            world.hook(lambda _call: None)
        else:
            world.apply(bodies[index])
    return world


@pytest.mark.parametrize("order", ["told", "the schedule first", "the borrower last"])
@pytest.mark.parametrize("until", range(len(STORY)))
def test_a_crash_between_any_two_writes_is_completed_by_the_repeat(until: int, order: str) -> None:
    numbers = list(range(len(STORY)))
    if order == "the schedule first":
        numbers = [1, 2, 0, *numbers[3:]]
    if order == "the borrower last":
        numbers = [number for number in numbers if number not in {1, 4}] + [1, 4]
    whole = publish_all(None, until=until, order=numbers)
    for crash in range(1, 30):
        mended = publish_all(crash, until=until, order=numbers)
        assert state_of(mended.store) == state_of(whole.store), f"write {crash}"
        assert mended.outcomes() == whole.outcomes(), f"write {crash}"


@pytest.mark.parametrize("crash", range(1, 16))
def test_a_crash_while_an_installment_closes_leaves_no_planned_stage_without_an_outcome(crash: int) -> None:
    world = ready()
    world.now = SLOT + timedelta(hours=1)
    paid = world.body("installment.paid", amount="100.00")
    world.hook(crash_ahead_of(crash))
    try:
        world.apply(paid)
    except Crash:
        world.hook(lambda _call: None)
        world.apply(paid)
    assert world.outcomes() == {"L-1 T-7": ("expired", "no_run"), "L-1 T-3": ("suppressed", "paid")}


def test_nobody_is_called_about_money_whose_events_was_parked_and_whose_installment_came_through_a_crash() -> None:
    world = World()
    world.borrower()
    assert world.tell("installment.paid", amount="100.00") == "parked"
    scheduled = world.body(
        "installment.scheduled", borrower_id="b-1", due_date="2026-06-15", amount="100.00", currency="USD"
    )
    world.now -= timedelta(days=10)
    world.hook(lambda call: (_ for _ in ()).throw(Crash()) if call == "parked" else None)
    with pytest.raises(Crash):
        world.apply(scheduled)
    world.hook(lambda _call: None)
    world.apply(scheduled)
    world.now += timedelta(days=10)
    world.deliver()
    assert world.provider.calls == []


def test_a_due_that_came_through_a_crash_is_never_open_without_the_payment_that_was_parked() -> None:
    for crash in range(1, 16):
        world = World(now=SLOT - timedelta(days=10))
        world.borrower()
        assert world.tell("installment.paid", amount="100.00") == "parked"
        scheduled = world.body(
            "installment.scheduled", borrower_id="b-1", due_date="2026-06-15", amount="100.00", currency="USD"
        )
        world.hook(crash_ahead_of(crash))
        with suppress(Crash):
            world.apply(scheduled)
        world.hook(lambda _call: None)
        world.now = SLOT
        world.deliver()  # and nobody has repeated the schedule yet
        assert world.provider.calls == [], f"write {crash}"


@pytest.mark.parametrize("call", ["pointer", "point", "parked", "use", "write_due"])
def test_a_due_is_never_open_without_a_payment_that_was_acknowledged_while_it_arrived(call: str) -> None:
    world = World(now=SLOT - timedelta(days=10))
    world.borrower()
    acknowledged: list[str] = []
    written: list[str] = []

    def before(name: str) -> None:
        if written:
            raise Crash
        if name == call and not acknowledged:
            world.hook(lambda _call: None)
            with suppress(LedgerMoved):
                acknowledged.append(world.tell("installment.paid", amount="100.00"))
            world.hook(before)
        if name == "write_due":
            written.append(name)

    world.hook(before)
    with suppress(Crash):
        world.tell("installment.scheduled", borrower_id="b-1", due_date="2026-06-15", amount="100.00", currency="USD")
    world.hook(lambda _call: None)
    world.now = SLOT
    world.deliver()
    assert (len(acknowledged), len(world.provider.calls)) in {(1, 0), (0, 1)}


def test_a_due_never_lies_at_a_place_that_is_not_noted_as_in_use() -> None:
    for crash in range(1, 40):
        world = World()
        world.hook(crash_ahead_of(crash))
        with suppress(Crash):
            world.borrower(preferred_time="18:30")
            world.installment()
            world.tell("borrower.updated", time_zone="America/Chicago")
        used = {f"{zone_key}#{send_time}" for zone_key, send_time in world.store.zone_keys}
        assert {slot[: slot.index("#b-1")] for _, slot, _ in world.store.index.values()} <= used, f"write {crash}"
