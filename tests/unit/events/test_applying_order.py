"""Events may come in any order: what is known in the end is what the true order would have made known."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from predue.events.owners import GROUPS, Owners
from tests.fakes import state_of
from tests.unit.world import World, utc

_DATES = st.sampled_from(["2026-06-15", "2026-06-20", "2026-06-25"])
_AMOUNTS = st.sampled_from(["10.00", "30.00", "100.00"])
_CHANNELS = st.sampled_from(["sms", "email", "all"])
_REASONS = st.sampled_from(["hardship", "bereavement"])
_INSTANTS = st.sampled_from([f"2026-04-30T23:{minute}:00Z" for minute in (10, 30, 59)] + ["2026-05-01T00:04:00Z"])
_IDS = {"loan_id": "L-1", "installment_no": 1}


def _event(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    about = _IDS if kind.startswith("installment") else {"borrower_id": "b-1"}
    return st.fixed_dictionaries(fields).map(lambda drawn: {"type": kind, **about, **drawn})


def _optional(event: st.SearchStrategy[dict[str, Any]], name: str) -> st.SearchStrategy[dict[str, Any]]:
    """An event with one of its fields, or without it."""
    return st.tuples(event, st.booleans()).map(
        lambda drawn: drawn[0] if drawn[1] else {key: value for key, value in drawn[0].items() if key != name}
    )


_SCHEDULED = _optional(
    _event(
        "installment.scheduled",
        borrower_id=st.just("b-1"),
        due_date=_DATES,
        amount=_AMOUNTS,
        currency=st.just("USD"),
        grace_days=st.integers(0, 3),
    ),
    "grace_days",
)
_NEWS = st.one_of(
    _SCHEDULED,
    _optional(_event("installment.rescheduled", due_date=_DATES, amount=_AMOUNTS), "amount"),
    _event("installment.paid", amount=_AMOUNTS),
    _event("installment.payment_reversed", amount=_AMOUNTS),
    _event("installment.cancelled"),
    _event("installment.disputed"),
    _event("installment.dispute_ended"),
    _optional(
        _event("borrower.updated", time_zone=st.sampled_from(["America/New_York", "Asia/Kolkata", ""])), "time_zone"
    ),
    _event("borrower.updated", phone=st.sampled_from(["+12015550100", "+12015550101", "555", ""])),
    _event("borrower.updated", email=st.sampled_from(["ann@example.com", "nobody", ""])),
    _event("borrower.updated", preferred_time=st.sampled_from(["12:00", "18:30", ""]), channels=_CHANNELS.map(str)),
    _optional(_event("borrower.opted_out", channel=_CHANNELS, occurred_at=_INSTANTS), "occurred_at"),
    _event("borrower.opted_in", channel=_CHANNELS, occurred_at=_INSTANTS),
    _event("borrower.updated", consent=st.sampled_from(["sms", "email", "sms|email", ""])),
    _event("borrower.hold_started", reason=_REASONS),
    _optional(_event("borrower.hold_ended", reason=_REASONS), "reason"),
).filter(lambda body: body.get("channels") != "all")
_FIRST = (
    {"type": "borrower.updated", "borrower_id": "b-1", "consent": "sms|email"},
    {
        "type": "installment.scheduled",
        "borrower_id": "b-1",
        **_IDS,
        "due_date": "2026-06-15",
        "amount": "100.00",
        "currency": "USD",
        "grace_days": 1,
    },
)


def _told(bodies: Sequence[dict[str, Any]]) -> World:
    world = World(now=utc("05-01 00:00"), owners=Owners(named={("", group): "core" for group in GROUPS}))
    for body in bodies:
        world.apply(body)
    return world


@st.composite
def _orders(draw: st.DrawFn, sources: Sequence[str] = ("core",)) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A set of events in their true order, and in another, in which some come twice."""
    told = [*_FIRST, *draw(st.lists(_NEWS, max_size=7))]
    true = [
        {
            **body,
            "event_id": f"e-{number}",
            "source": draw(st.sampled_from(sources)) if number >= len(_FIRST) else "core",
            "sequence": number,
        }
        for number, body in enumerate(told)
    ]
    return true, draw(st.permutations([*true, *draw(st.lists(st.sampled_from(true), max_size=2))]))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_orders())
def test_any_order_of_the_same_events_ends_in_the_same_state(
    orders: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    true, other = orders
    assert state_of(_told(true).store) == state_of(_told(other).store)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_orders(("core", "crm", "one-click")))
def test_any_order_of_the_same_events_of_several_sources_ends_in_the_same_state(
    orders: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    true, other = orders
    assert state_of(_told(true).store) == state_of(_told(other).store)


def _unlifted(told: Sequence[dict[str, Any]]) -> set[str]:
    """What stands of those stops, holds and disputes of which nobody speaks again."""
    started = {
        "borrower.opted_out": {"borrower.opted_in"},
        "borrower.hold_started": {"borrower.hold_ended"},
        "installment.disputed": {"installment.dispute_ended"},
    }
    return {
        body["type"] for body in told if not {one["type"] for one in told} & started.get(body["type"], {body["type"]})
    }


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_orders(("core", "crm", "one-click")))
def test_no_word_that_protects_is_lost_while_nobody_lifts_it(
    orders: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    true, other = orders
    world = _told(other)
    ledger, (due,) = world.ledger(), [one for one in world.store.all_dues("b-1") if one.moved_to is None]
    stopped = any(ledger.stops(channel) for channel in ("sms", "email", "all"))
    standing = {
        *(["borrower.opted_out"] if stopped else []),
        *(["borrower.hold_started"] if ledger.held_by(utc("05-01 00:00").date()) else []),
        *(["installment.disputed"] if due.disputed else []),
    }
    assert _unlifted(true) <= standing


def test_a_later_schedule_without_a_grace_leaves_the_earlier_grace_in_whatever_order_they_come() -> None:
    earlier, later = (
        {**_FIRST[1], "event_id": f"e-{number}", "source": "core", "sequence": number} for number in (1, 2)
    )
    del later["grace_days"]
    borrower = {**_FIRST[0], "event_id": "e-0", "source": "core", "sequence": 0}
    one, other = _told([borrower, earlier, later]), _told([borrower, later, earlier])
    assert [due.grace_days for due in one.store.all_dues("b-1")] == [1]
    assert [due.grace_days for due in other.store.all_dues("b-1")] == [1]
