"""Cases about dues: whole deliveries and closing runs over the ports in memory; test_case_news.py has the others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from predue.borrowers.ports import Refused
from predue.domain import case
from predue.domain.case import About, Hold
from predue.domain.ledger import Ledger, Mark
from predue.domain.stage import Stage
from tests.unit.world import DUE_DATE, World, key, ready, utc

FIRST_CLOSING, LAST_CLOSING = utc("06-08 00:10"), utc("06-19 00:10")
NEXT_DATE = date(2026, 7, 15)


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


def dies_at(call: str) -> Callable[[str], None]:
    def before(name: str) -> None:
        if name == call:
            raise Crash

    return before


def live(world: World, *stages: str, until: str = "06-15 00:10", deliver: bool = True) -> None:
    """Let days pass: each stage's job is delivered at 10:00, and the day is closed after its hours."""
    end, world.now = utc(until), FIRST_CLOSING
    world.close()
    while world.now < end:
        for stage in stages:
            day = Stage.named(stage).day(DUE_DATE)
            if deliver and day == world.now.date():
                world.now = world.view().slot(day)
                world.deliver(world.job(key(stage)))
        world.now = utc(f"{world.now + timedelta(days=1):%m-%d} 00:10")
        world.close()


def cases(world: World) -> dict[str, dict[str, str]]:
    """The day and hour at which each early warning was seen, by what its case is about."""
    told: dict[str, dict[str, str]] = {}
    for one in world.store.cases.values():
        about = one.about
        name = f"{about.loan_id} {about.due_date}" if isinstance(about, About) else f"{about.reason} {about.sequence}"
        told[name] = {signal: f"{at:%m-%d %H:%M}" for signal, at in one.signals.items()}
    return told


def waits() -> World:
    """A world whose installments and borrower are known before any stage."""
    world = ready()
    world.now = utc("05-30 12:00")
    return world


# No message arrives


def test_a_borrower_who_stopped_every_channel_is_unreachable_at_the_last_stage_before_the_due_date() -> None:
    world = waits()
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-7", "T-3", "T-1", until="06-14 00:10")
    assert cases(world) == {}
    live(world, "T-1")
    assert cases(world) == {"L-1 2026-06-15": {"unreachable": "06-15 00:10"}}
    (opened,) = world.store.open_cases()
    assert (opened.borrower_id, opened.kind, opened.reason) == ("b-1", "at_risk", "unreachable")


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": ""},
        {"consent": ""},
        {"phone": "", "email": ""},
        {"channels": "voice", "consent": "voice"},
        {"time_zone": "", "jurisdiction": "ZZ"},
    ],
)
def test_a_borrower_whom_no_channel_reaches_is_unreachable(fields: dict[str, Any]) -> None:
    world = ready(**fields)
    live(world, "T-3", "T-1", until="06-16 12:10")
    assert [list(signals) for signals in cases(world).values()] == [["unreachable"]]


def test_a_borrower_whose_every_contact_point_is_refused_for_good_is_unreachable() -> None:
    world = ready(channels="sms", email="")
    world.provider.answers = [Refused("refused_address", "NUMBER")]
    live(world, "T-3", "T-1")
    assert list(cases(world)) == ["L-1 2026-06-15"]


def test_a_due_that_became_known_after_that_stage_is_warned_of_on_the_due_date() -> None:
    world = World(now=utc("06-14 18:00") + timedelta(days=20))  # from which the installment is dated back
    world.borrower(consent="")
    world.installment()
    live(world, "T-1", "T0", until="06-16 00:10")
    assert world.outcomes() == {"L-1 T0": ("suppressed", "no_consent")}
    assert cases(world) == {"L-1 2026-06-15": {"unreachable": "06-16 00:10"}}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("borrower.hold_started", {"reason": "bereavement"}),
        ("installment.disputed", {}),
        ("installment.paid", {"amount": "100.00"}),
        ("installment.cancelled", {}),
    ],
)
def test_who_is_left_alone_on_purpose_is_not_unreachable(kind: str, fields: dict[str, Any]) -> None:
    world = waits()
    world.tell(kind, **fields)
    live(world, "T-3", "T-1", until="06-17 00:10")
    assert cases(world) == {}


def test_a_missed_day_is_not_the_borrowers_silence() -> None:
    world = waits()
    live(world, "T-3", "T-1", deliver=False)
    assert world.outcomes()["L-1 T-1"] == ("expired", "no_run")
    world.store.checkpoints.clear()  # the run that found it died before its end
    world.close()
    assert cases(world) == {}


def test_a_borrower_who_was_reminded_once_and_stopped_then_is_not_unreachable() -> None:
    world = waits()
    live(world, "T-3", until="06-13 00:10")
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-1")
    assert world.outcomes()["L-1 T-1"] == ("suppressed", "opted_out")
    assert cases(world) == {}


def test_an_ordinary_borrower_costs_the_closing_run_no_read_and_no_write() -> None:
    world = waits()
    live(world, "T-3", "T-1", until="06-14 00:10")
    world.now = utc("06-14 14:00")
    world.deliver(world.job(key("T-1")))
    world.store.calls.clear()
    world.now = utc("06-15 00:10")
    world.close()
    assert {"load", "write_case"}.isdisjoint(world.store.calls)


def test_a_flagged_due_costs_the_closing_run_one_read_and_one_write() -> None:
    world = waits()
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-3", "T-1", until="06-14 00:10")
    world.now = utc("06-14 14:00")
    world.deliver(world.job(key("T-1")))
    world.store.calls.clear()
    world.now = utc("06-15 00:10")
    world.close()
    assert (world.store.calls.count("load"), world.store.calls.count("write_case")) == (1, 1)


def test_a_payment_of_the_last_moment_that_the_index_does_not_show_yet_leaves_no_case() -> None:
    world = waits()
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-3", "T-1", until="06-14 00:10")
    world.now = utc("06-14 14:00")
    world.deliver(world.job(key("T-1")))
    lagging = dict(world.store.index)
    world.tell("installment.paid", amount="100.00")
    world.store.index.update(lagging)
    world.now = utc("06-15 00:10")
    world.close()
    assert cases(world) == {}


def close_cut_short(world: World, call: str) -> None:
    """A closing run that dies ahead of a call, and the one after it."""
    world.hook(dies_at(call))
    with pytest.raises(Crash):
        world.close()
    world.hook(lambda _call: None)
    world.now += timedelta(minutes=15)
    world.close()


@pytest.mark.parametrize("call", ["write_case", "save_checkpoint"])
def test_a_closing_run_that_dies_around_the_case_is_completed_by_the_next(call: str) -> None:
    world = waits()
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-3", until="06-14 00:10")
    world.now = utc("06-14 14:00")
    world.deliver(world.job(key("T-1")))
    world.now = utc("06-15 00:10")
    close_cut_short(world, call)
    assert list(cases(world)) == ["L-1 2026-06-15"]


# An earlier installment of the loan is overdue


def two_of_a_loan(**fields: Any) -> World:
    world = waits()
    world.installment(due_date=NEXT_DATE, installment_no=2, **fields)
    world.installment("L-2", due_date=NEXT_DATE)
    return world


def test_when_an_installment_is_handed_over_the_next_of_its_loan_is_warned_of() -> None:
    world = two_of_a_loan()
    live(world, until="06-19 00:10")
    assert cases(world) == {"L-1 2026-07-15": {"earlier_overdue": "06-19 00:10"}}


@pytest.mark.parametrize("kind", ["installment.paid", "installment.cancelled"])
def test_a_next_installment_that_is_closed_is_ignored_for_the_one_after_it(kind: str) -> None:
    world = two_of_a_loan()
    world.installment(due_date=date(2026, 8, 15), installment_no=3)
    amount = {"amount": "100.00"} if kind == "installment.paid" else {}
    world.tell(kind, None, installment_no=2, **amount)
    live(world, until="06-19 00:10")
    assert list(cases(world)) == ["L-1 2026-08-15"]


@pytest.mark.parametrize("call", ["overdue", "write_case", "write_due"])
def test_a_hand_over_that_dies_anywhere_warns_of_the_next_installment_once(call: str) -> None:
    world = two_of_a_loan()
    live(world, until="06-18 00:10")
    world.now = LAST_CLOSING
    close_cut_short(world, call)
    assert list(cases(world)) == ["L-1 2026-07-15"]
    assert world.due().handed_over_at == world.now


def test_a_last_installment_that_is_handed_over_warns_of_nothing() -> None:
    world = waits()
    live(world, until="06-19 00:10")
    assert world.due().handed_over_at == LAST_CLOSING
    assert cases(world) == {}


def test_two_installments_that_come_too_late_for_any_warning_are_handed_over_without_one() -> None:
    world = two_of_a_loan()
    world.now = utc("08-30 12:00")
    world.tell("installment.rescheduled", due_date="2026-06-20")  # both are past their windows when that is known
    world.tell("installment.rescheduled", installment_no=2, due_date="2026-07-20")
    world.close()
    assert len(world.bus.events) == 2
    assert cases(world) == {}


def test_two_kinds_of_early_warning_of_a_due_are_one_case() -> None:
    world = waits()
    world.tell("installment.payment_reversed", amount="1.00")
    world.tell("borrower.opted_out", channel="all")
    live(world, "T-3", "T-1")
    signals = {"payment_reversed": "05-30 12:00", "unreachable": "06-15 00:10"}
    assert cases(world) == {"L-1 2026-06-15": signals}


# Identity


def test_the_id_of_a_case_is_that_of_its_due_or_of_the_events_of_its_hold() -> None:
    world = two_of_a_loan()
    due = world.due()
    others = [replace(due, loan_id="L-9"), replace(due, installment_no=9), replace(due, due_date=NEXT_DATE)]
    ids = {case.at_risk(one, "unreachable", world.now).case_id for one in (due, *others)}
    assert len(ids) == 4
    assert case.at_risk(replace(due, amount=1), "earlier_overdue", world.now + timedelta(1)).case_id in ids
    ledger = Ledger(
        "b",
        holds={
            ("hardship", "core"): Mark(1, on=True),
            ("hardship", "crm"): Mark(1, on=True),
            ("Hardship", "core"): Mark(2, on=True),
        },
    )
    holds = [
        *[("b-1", Hold("hardship", 1, source)) for source in ("core", "crm")],
        ("b-2", Hold("hardship", 1, "core")),
        ("b-1", Hold("Hardship", 2, "core")),
    ]
    asked = [case.asked_for_help(who, hold, ledger, world.now) for who, hold in holds]
    assert len({one.case_id for one in asked if one}) == 4


def test_a_case_whose_due_has_gone_is_closed() -> None:
    assert case.at_risk(ready().due(), "unreachable", utc("06-12 14:00")).state(None, Ledger("b-1")) == "closed"
