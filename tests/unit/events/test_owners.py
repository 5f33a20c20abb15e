"""Whose word counts where several sources speak: what protects counts from all of them, the rest from its owner."""

from datetime import timedelta
from typing import Any

import pytest

from predue.domain.ledger import Mark
from tests.unit.world import World, ready, utc

LARGE = 1_780_000_000_000
"""A sequence of a source that counts milliseconds; another that counts its events never reaches it."""


def crm(world: World, kind: str, sequence: int = 1, **fields: Any) -> str:
    """A second source, whose counter is small, tells an event."""
    return world.tell(kind, sequence, source="crm", **fields)


# What protects


@pytest.mark.parametrize(
    ("core", "told"),
    [
        (("borrower.opted_in", {"channel": "all"}), ("borrower.opted_out", {"channel": "all"})),
        (("borrower.hold_ended", {}), ("borrower.hold_started", {"reason": "bereavement"})),
        (("borrower.updated", {"consent": "sms|email"}), ("borrower.updated", {"consent": ""})),
        (("installment.dispute_ended", {}), ("installment.disputed", {})),
        (("installment.rescheduled", {"due_date": "2026-06-15"}), ("installment.cancelled", {})),
    ],
)
def test_what_protects_counts_from_a_second_source_however_small_its_sequence(
    core: tuple[str, dict[str, Any]], told: tuple[str, dict[str, Any]]
) -> None:
    world = ready()
    world.tell(core[0], LARGE, **core[1])
    assert crm(world, told[0], **told[1]) == "applied"
    world.deliver()
    assert world.provider.calls == []


@pytest.mark.parametrize(
    ("told", "lifted"),
    [
        (("borrower.hold_started", {"reason": "illness"}), ("borrower.hold_ended", {"reason": "illness"})),
        (("borrower.hold_started", {"reason": "illness"}), ("borrower.hold_ended", {})),
        (("installment.disputed", {}), ("installment.dispute_ended", {})),
        (("installment.cancelled", {}), ("installment.scheduled", "same")),
        (("borrower.updated", {"consent": ""}), ("borrower.updated", {"consent": "sms|email"})),
    ],
)
def test_only_the_source_that_said_what_protects_lifts_it(
    told: tuple[str, dict[str, Any]], lifted: tuple[str, Any]
) -> None:
    same = {"borrower_id": "b-1", "due_date": "2026-06-15", "amount": "100.00", "currency": "USD", "grace_days": 3}
    kind, fields = lifted[0], same if lifted[1] == "same" else lifted[1]
    sent = []
    for source in ("core", "crm"):
        world = ready()
        crm(world, told[0], **told[1])
        world.tell(kind, LARGE, source=source, **fields)
        world.deliver()
        open_then = world.due().open_at(world.now)
        sent.append((len(world.provider.calls), world.due().closed_by, open_then))
    assert sent[0] != sent[1]
    assert sent[1] == (1, None, True)
    assert sent[0][0] == 0 or sent[0][1] == "cancelled"


def test_the_owners_later_schedule_that_says_something_new_lifts_a_cancellation_by_another() -> None:
    world = ready()
    crm(world, "installment.cancelled")
    world.now += timedelta(hours=1)
    world.tell("installment.rescheduled", due_date="2026-06-15")
    assert world.due().closed_by == "cancelled"
    world.tell("installment.rescheduled", due_date="2026-06-15", amount="90.00")
    assert world.due().closed_by is None


def test_a_hold_with_an_end_silences_that_day_and_no_longer() -> None:
    world = ready()
    world.tell("borrower.hold_started", reason="promise to pay", until="2026-06-12")
    world.deliver()
    assert world.outcomes()["L-1 T-3"] == ("suppressed", "hold")
    world.now = utc("06-14 14:00")
    world.deliver(world.job(world.due().key("T-1")))
    assert world.outcomes()["L-1 T-1"] == ("sent", "")


def test_a_stop_of_a_second_source_is_lifted_by_an_opt_in_said_five_minutes_later() -> None:
    world = ready()
    crm(world, "borrower.opted_out", 99, channel="sms")
    world.now += timedelta(minutes=4)
    assert world.tell("borrower.opted_in", channel="sms") == "no_change", "however far ahead its clock runs"
    world.now += timedelta(minutes=1)
    assert world.tell("borrower.opted_in", channel="sms") == "applied"
    assert not world.ledger().opted_out("sms")


def test_a_replay_of_a_stop_that_was_lifted_says_so_and_stops_nothing() -> None:
    world = ready()
    world.tell("borrower.opted_out", 7, channel="sms")
    world.tell("borrower.opted_in", 8, channel="sms")
    assert world.tell("borrower.opted_out", 7, channel="sms") == "no_change"
    assert not world.ledger().opted_out("sms")


# Owners


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("installment.rescheduled", {"due_date": "2026-07-15"}),
        ("installment.rescheduled", {"due_date": "2026-06-15", "amount": "1.00"}),
        ("installment.payment_reversed", {"amount": "100.00"}),
        ("borrower.updated", {"phone": "+12015550199"}),
        ("borrower.updated", {"time_zone": "Asia/Tokyo"}),
    ],
)
def test_a_word_on_what_another_source_owns_is_kept_and_not_used(kind: str, fields: dict[str, Any]) -> None:
    world = ready()
    before = world.profile(), world.due()
    assert crm(world, kind, LARGE, **fields) == "not_owner"
    assert (world.profile(), world.due()) == before
    kept = [about for about, told in world.store.aside.items() if told]
    assert kept == [f"not_owner#{'loan#L-1' if kind.startswith('installment') else 'borrower#b-1'}"]


def test_of_two_moves_with_one_sequence_the_later_arrival_counts_in_either_order() -> None:
    world = ready()
    first = world.body("installment.rescheduled", 9, due_date="2026-06-20")
    second = world.body("installment.rescheduled", 9, due_date="2026-06-25")
    world.apply(first)
    world.now += timedelta(seconds=1)
    world.apply(second)
    assert world.store.pointers["L-1", 1][1].isoformat() == "2026-06-25"


def test_a_word_whose_first_try_was_cut_short_counts_from_that_try() -> None:
    world = ready()
    told = world.body("borrower.hold_started", reason="illness")

    def dies(call: str) -> None:
        if call == "write_ledger":
            raise KeyboardInterrupt

    world.hook(dies)
    with pytest.raises(KeyboardInterrupt):
        world.apply(told)
    world.hook(lambda _call: None)
    first = world.now
    world.now += timedelta(hours=1)
    world.apply(told)
    assert world.ledger().holds == {
        ("illness", "core"): Mark(told["sequence"], on=True, at=int(first.timestamp() * 1000))
    }
