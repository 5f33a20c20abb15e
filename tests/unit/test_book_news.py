from datetime import timedelta

import pytest

from infrastructure.local.runs.portfolio import apply_rows
from tests.unit.world import DUE_DATE, SLOT, World

PERSON = {"borrower_id": "b-1", "phone": "+12015550100", "channels": "sms", "consent": "sms"}
DUE = {
    "loan_id": "L-1",
    "installment_no": "1",
    "borrower_id": "b-1",
    "due_date": DUE_DATE.isoformat(),
    "amount": "100.00",
    "currency": "USD",
    "grace_days": "3",
    "status": "open",
}


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


def put(world: World, status: str = "open", amount: str = "100.00", **fields: str) -> None:
    """Bring in a borrower's row, then an installment's."""
    person = PERSON | {"time_zone": "America/New_York"} | fields
    apply_rows(person, [DUE | {"status": status, "amount": amount}], world.now, world.event_services())


def test_a_row_makes_an_open_installment_known() -> None:
    world = World()
    put(world)
    assert world.due().outstanding == 10000
    assert world.store.pointers["L-1", 1] == ("b-1", DUE_DATE)
    assert len(world.store.index) == 1


@pytest.mark.parametrize(("status", "closed_by"), [("paid", "paid"), ("cancelled", "cancelled"), ("open", None)])
def test_a_rows_status_is_taken_over(status: str, closed_by: str | None) -> None:
    world = World()
    put(world, status)
    assert world.due().closed_by == closed_by
    assert len(world.store.index) == (closed_by is None)


def test_rows_change_nothing_that_events_have_said() -> None:
    world = World()
    world.borrower()
    world.installment()
    put(world, amount="1.00", phone="+12015550199")
    assert world.profile().addresses["sms"] == "+12015550100"
    assert world.due().outstanding == 10000


@pytest.mark.parametrize("status", ["open", "paid", "cancelled"])
def test_rows_may_come_twice(status: str) -> None:
    world = World()
    put(world, status)
    known = world.due(), world.profile()
    put(world, status)
    assert (world.due(), world.profile()) == known


def test_any_events_is_newer_than_a_row() -> None:
    world = World()
    put(world, "paid")
    world.tell("installment.payment_reversed", sequence=1, amount="100.00")
    assert world.due().outstanding == 10000
    world.tell("borrower.updated", sequence=1, phone="+12015550101")
    assert world.profile().addresses["sms"] == "+12015550101"


def test_a_cancelled_row_is_revived_by_a_newer_schedule_alone() -> None:
    world = World()
    put(world, "cancelled")
    about = {"borrower_id": "b-1", "due_date": DUE_DATE.isoformat(), "amount": "100.00", "currency": "USD"}
    world.tell("installment.scheduled", 0, **about)
    assert world.due().closed_by == "cancelled"
    world.tell("installment.scheduled", 1, **about)
    assert world.due().closed_by is None


def test_a_bad_contact_point_loses_its_channel_and_not_the_borrower() -> None:
    world = World()
    put(world, phone="555", email="ann@example.com")
    assert world.profile().bad_addresses == ("phone",)
    assert set(world.profile().addresses) == {"email"}


CALLS = ["begin", "name_borrower", "link", "write_profile", "write_due", "point"]


@pytest.mark.parametrize(
    ("call", "status"), [("use", "open"), *((one, how) for one in CALLS for how in ("open", "paid"))]
)
def test_a_row_that_dies_at_any_write_is_completed_when_it_is_repeated(call: str, status: str) -> None:
    world = World(now=SLOT - timedelta(days=1))
    world.hook(lambda name: (_ for _ in ()).throw(Crash()) if name == call else None)
    with pytest.raises(Crash):
        put(world, status)
    world.hook(lambda _call: None)
    put(world, status)
    assert world.store.pointers["L-1", 1] == ("b-1", DUE_DATE)
    assert world.due().closed_by == (None if status == "open" else status)
    assert world.tell("installment.paid", amount="100.00") == "applied"


def test_a_payment_that_came_before_its_row_counts() -> None:
    world = World(now=SLOT - timedelta(days=1))
    assert world.tell("installment.paid", amount="100.00") == "parked"
    put(world)
    assert world.due().closed_by == "paid"
