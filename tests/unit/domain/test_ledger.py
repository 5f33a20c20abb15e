from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predue.domain.ledger import Contact, Ledger, Mark, Settled, Stated
from predue.domain.policy import Cap
from predue.domain.record import Answer, Attempt
from tests.unit.world import SLOT, key

DAY = date(2026, 6, 12)
WEEK = timedelta(days=7)
WEEKLY, DAILY, SMS_WEEKLY = (
    Cap(count=1, per="7 days"),
    Cap(count=1, per="day"),
    Cap(count=1, per="7 days", channel="sms"),
)


def contact(at: datetime = SLOT, channel: str = "email", number: int = 0) -> Contact:
    return Contact(at, at.date(), channel, (key(loan_id=f"L-{number}"),), f"t-{number}", f"r-{number}")


def ledger(*contacts: Contact) -> Ledger:
    return Ledger("b-1", contacts=contacts)


def test_a_contact_exactly_168_hours_old_no_longer_counts() -> None:
    old = ledger(contact(SLOT - timedelta(hours=168)))
    assert old.full_until(WEEKLY, SLOT, DAY) is None
    assert old.full_until(WEEKLY, SLOT - timedelta(milliseconds=1), DAY) == SLOT


def test_a_full_window_frees_when_enough_of_the_oldest_leave_it() -> None:
    held = ledger(*(contact(SLOT - timedelta(days=day), number=day) for day in (1, 2, 3, 4)))
    assert held.full_until(Cap(count=4, per="7 days"), SLOT, DAY) == SLOT - timedelta(days=4) + WEEK
    assert held.full_until(Cap(count=2, per="7 days"), SLOT, DAY) == SLOT - timedelta(days=2) + WEEK
    assert held.full_until(Cap(count=5, per="7 days"), SLOT, DAY) is None


def test_a_cap_of_the_day_counts_the_local_day_and_frees_with_no_hour_of_it() -> None:
    held = ledger(contact())
    until = held.full_until(DAILY, SLOT + timedelta(hours=1), DAY)
    assert until is not None
    assert until.year == 9999
    assert held.full_until(DAILY, SLOT + timedelta(hours=1), DAY + timedelta(days=1)) is None


def test_a_contact_counts_for_the_local_day_on_which_it_went_out() -> None:
    evening = datetime(2026, 6, 13, 2, tzinfo=UTC)  # 19:00 of the day before in Los Angeles
    held = ledger(contact(evening)._replace(day=DAY))
    assert held.full_until(DAILY, evening + timedelta(minutes=30), DAY) is not None
    assert held.full_until(DAILY, evening + timedelta(hours=15), DAY + timedelta(days=1)) is None


def test_a_cap_of_a_channel_counts_that_channel_alone() -> None:
    assert ledger(contact(channel="email")).full_until(SMS_WEEKLY, SLOT, DAY) is None
    assert ledger(contact(channel="sms")).full_until(SMS_WEEKLY, SLOT, DAY) == SLOT + WEEK
    assert ledger(contact(channel="sms")).full_until(WEEKLY, SLOT, DAY) == SLOT + WEEK


def test_a_refused_contact_does_not_count() -> None:
    refused = ledger(contact()).refused("t-0", Attempt(SLOT, "email", Answer.read("refused_channel:x")))
    assert refused is not None
    assert refused.full_until(WEEKLY, SLOT, DAY) is None
    assert refused.full_until(DAILY, SLOT, DAY) is None


@settings(deadline=None, derandomize=True)
@given(
    ages=st.lists(st.integers(0, 15 * 24 * 60), max_size=12),
    count=st.integers(1, 6),
    days=st.integers(1, 10),
)
def test_a_window_is_full_exactly_while_it_holds_as_many_contacts_as_the_cap(
    ages: list[int], count: int, days: int
) -> None:
    held = ledger(*(contact(SLOT - timedelta(minutes=age), number=number) for number, age in enumerate(ages)))
    cap = Cap(count=count, per=f"{days} days")
    until = held.full_until(cap, SLOT, DAY)
    inside = sum(age < days * 24 * 60 for age in ages)
    assert (until is not None) == (inside >= count)
    if until is not None:
        assert until > SLOT
        assert held.full_until(cap, until, DAY) is None
        assert held.full_until(cap, until - timedelta(minutes=1), DAY) == until


def test_a_refusal_is_given_back_only_once() -> None:
    attempt = Attempt(SLOT, "email", Answer.read("refused_channel:x"))
    refused = ledger(contact()).refused("t-0", attempt)
    assert refused is not None
    assert refused.contacts[0].tries == (attempt,)
    assert refused.refused("t-0", attempt) is None
    assert ledger(contact()).refused("t-9", attempt) is None


def test_a_claim_that_is_given_up_keeps_its_slot_and_no_refusal_gives_it_back() -> None:
    attempt = Attempt(SLOT, "email", Answer.read("refused_channel:x"))
    given_up = ledger(contact()).given_up("t-0")
    assert given_up is not None
    assert given_up.contacts[0].counts
    assert given_up.refused("t-0", attempt) is None
    assert given_up.given_up("t-0") is given_up
    assert ledger(contact()).given_up("t-9") is None
    refused = ledger(contact()).refused("t-0", attempt)
    assert refused is not None
    assert refused.given_up("t-0") is None


def test_a_claim_answers_its_keys_and_a_refusal_does_not() -> None:
    held = ledger(contact())
    assert held.answered(key(loan_id="L-0"))
    assert not held.answered(key("T-1", loan_id="L-0"))
    refused = held.refused("t-0", Attempt(SLOT, "email", Answer.read("x")))
    assert refused is not None
    assert not refused.answered(key(loan_id="L-0"))


def test_a_settled_stage_is_answered_and_ends_its_refusals() -> None:
    refused = ledger(contact()).refused("t-0", Attempt(SLOT, "email", Answer.read("x")))
    assert refused is not None
    done = refused.with_settled([Settled(SLOT, (key(loan_id="L-0"),), "failed", "refused_channel")])
    assert done.answered(key(loan_id="L-0"))
    assert done.contacts == ()


def test_what_is_older_than_memory_is_forgotten() -> None:
    month = timedelta(days=31)
    old = ledger(contact(SLOT - month, number=1), contact(SLOT - month + timedelta(seconds=1), number=2))
    assert [kept.token for kept in old.pruned(SLOT, month).contacts] == ["t-2"]


_MINUTE = 60_000


def stopped_by(*words: tuple[str, str, Stated]) -> Ledger:
    """The ledger after words on sms: `out` or `in`, whose, and what was said."""
    held = ledger()
    for kind, source, said in words:
        held = (held.with_opt_out if kind == "out" else held.with_opt_in)("sms", source, said) or held
    return held


@pytest.mark.parametrize(
    ("words", "out"),
    [
        ([("out", "core", Stated(1, 10))], True),
        ([("out", "core", Stated(1, 10)), ("in", "core", Stated(2, 12, 11))], False),
        ([("out", "core", Stated(1, 10)), ("in", "core", Stated(2, 12, 10))], True),
        ([("out", "core", Stated(2, 10)), ("in", "core", Stated(1, 12, 11))], True),
        # Of one source the sequence says which came first, where the stop tells no time.
        ([("in", "core", Stated(2, 9, 8)), ("out", "core", Stated(1, 10))], False),
        ([("in", "core", Stated(2, 9, 8)), ("out", "core", Stated(1, 10, 10))], True),
        # Sequences of two sources say nothing of each other; their clocks do, but for five minutes.
        ([("in", "core", Stated(99, 9, 8)), ("out", "crm", Stated(1, 10))], True),
        ([("out", "crm", Stated(99, 10)), ("in", "core", Stated(1, 5 * _MINUTE + 10, 5 * _MINUTE + 9))], True),
        ([("out", "crm", Stated(99, 10)), ("in", "core", Stated(1, 5 * _MINUTE + 10, 5 * _MINUTE + 10))], False),
        ([("out", "crm", Stated(9, 10)), ("out", "core", Stated(1, 10)), ("in", "core", Stated(2, 12, 11))], True),
        (
            [
                ("out", "crm", Stated(99, 10)),
                ("in", "core", Stated(1, 5 * _MINUTE + 10, 5 * _MINUTE + 10)),
                ("out", "app", Stated(1, 5 * _MINUTE + 20)),
            ],
            True,
        ),
        # A replay says nothing new.
        (
            [("out", "core", Stated(5, 10)), ("in", "core", Stated(6, 12, 11)), ("out", "core", Stated(3, 99, 98))],
            False,
        ),
        ([("out", "core", Stated(1, 10)), ("in", "core", Stated(2, 12, 11)), ("out", "core", Stated(1, 99))], False),
    ],
)
def test_a_stop_yields_only_to_a_later_opt_in(words: list[tuple[str, str, Stated]], out: bool) -> None:  # noqa: FBT001 - a table's column
    held = stopped_by(*words)
    assert held.opted_out("sms") is out
    assert not held.opted_out("email")


def test_a_stop_of_all_stops_every_channel() -> None:
    held = ledger().with_opt_out("all", "core", Stated(1))
    assert held is not None
    assert held.stopped_all()
    assert held.opted_out("sms")
    assert held.opted_out("email")


def held_by(*words: tuple[str | None, str, Mark]) -> Ledger:
    """The ledger after words on holds: reason, whose, and what was said; without a reason all of the source end."""
    held = ledger()
    for reason, source, mark in words:
        changed = held.with_holds_ended(source, mark) if reason is None else held.with_hold(reason, source, mark)
        held = changed or held
    return held


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([("illness", "core", Mark(3, on=True)), (None, "core", Mark(5, on=False))], None),
        ([(None, "core", Mark(5, on=False)), ("illness", "core", Mark(6, on=True))], "illness"),
        ([(None, "core", Mark(5, on=False)), ("illness", "core", Mark(4, on=True))], None),
        # No source ends what another began, whatever the sequences, nor does its later word hide an earlier one.
        ([(None, "core", Mark(99, on=False)), ("illness", "crm", Mark(1, on=True))], "illness"),
        ([("illness", "crm", Mark(1, on=True)), ("illness", "core", Mark(99, on=False))], "illness"),
        # Of equal sequences the later arrival counts, and at one instant what protects.
        ([("illness", "core", Mark(1, on=True, at=1)), ("illness", "core", Mark(1, on=False, at=2))], None),
        ([("illness", "core", Mark(1, on=False, at=2)), ("illness", "core", Mark(1, on=True, at=1))], None),
        ([("illness", "core", Mark(1, on=False, at=1)), ("illness", "core", Mark(1, on=True, at=1))], "illness"),
        # It ends by itself after its last day.
        ([("illness", "core", Mark(1, on=True, until=DAY))], "illness"),
        ([("illness", "core", Mark(1, on=True, until=DAY - timedelta(days=1)))], None),
    ],
)
def test_a_hold_stands_until_its_own_source_ends_it_or_its_end_has_come(
    words: list[tuple[str | None, str, Mark]], reason: str | None
) -> None:
    assert held_by(*words).held_by(DAY) == reason


def test_a_suppressed_contact_point_is_noted_once() -> None:
    held = ledger().with_suppressed("sms", "ref")
    assert held is not None
    assert held.suppressed == {"sms": ("ref",)}
    assert held.with_suppressed("sms", "ref") is None


def test_words_that_say_nothing_new_write_nothing() -> None:
    known = held_by((None, "core", Mark(4, on=False)), ("illness", "core", Mark(5, on=True)))
    assert known.with_holds_ended("core", Mark(4, on=False)) is None
    assert known.with_hold("illness", "core", Mark(5, on=True)) is None
    assert stopped_by(("out", "core", Stated(4, 7))).with_opt_out("sms", "core", Stated(4, 8)) is None


def test_a_hold_of_which_nobody_spoke_is_none() -> None:
    assert Ledger("b-1").hold("hardship", "core") is None
