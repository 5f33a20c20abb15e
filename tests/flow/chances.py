"""What the interleavings are made of: one borrower, three loans, a tight policy, and the chances that are drawn."""

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from predue.policy import Cap, Policy, StageSetting
from predue.ports import Accepted, NoAnswer, Refused
from tests.fakes import Answer

WHO, GRACE = "b-1", 1
START = datetime(2026, 6, 9, 11, tzinfo=UTC)
ZONES = ("America/New_York", "America/Los_Angeles", "Asia/Kolkata")
WISHES = ("", "11:00", "19:30")
LOANS = {"L-1": date(2026, 6, 12), "L-2": date(2026, 6, 13), "L-3": date(2026, 6, 13)}
LAST_DAY = date(2026, 6, 21)
STAGES = ("T-3", "T-1", "T0", "T+1")
CAPS = (Cap(count=1, per="day"), Cap(count=2, per="3 days"), Cap(count=1, per="2 days", channel="sms"))
POLICY = Policy(
    caps=CAPS,
    stages=(
        StageSetting(name="T-3", channels=("email",)),
        *map(StageSetting.model_validate, ({"name": name} for name in STAGES[1:])),
    ),
)
ANSWERS: dict[str, Answer] = {
    "accepts": Accepted("message"),
    "refuses the address": Refused("refused_address", "INVALID"),
    "refuses the channel": Refused("refused_channel", "BLOCKED"),
    "is busy": Refused("refused_busy", "THROTTLED"),
    "does not answer": NoAnswer("timeout"),
}
Move = tuple[str, int, str]
moves: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(
        st.sampled_from(
            ["step"] * 8 + ["end", "tell", "tell", "tell", "start", "dies", "dies for good", "news dies", "minute"]
        ),
        st.integers(0, 5),
        st.sampled_from(["accepts", *ANSWERS]),
    ),
    min_size=10,
    max_size=40,
)


def _about_a_loan(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    about = {"type": st.just(f"installment.{kind}"), "loan_id": st.sampled_from(sorted(LOANS))}
    return st.fixed_dictionaries({**about, "installment_no": st.just(1), **fields})


def _about_the_borrower(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(f"borrower.{kind}"), **fields})


_DAYS = st.sampled_from([f"2026-06-{day}" for day in range(11, 18)])
_CHANNELS = st.sampled_from(["sms", "email", "all"])
events = st.one_of(
    _about_a_loan("paid", amount=st.sampled_from(["40.00", "100.00"])),
    _about_a_loan("payment_reversed", amount=st.sampled_from(["40.00", "100.00"])),
    _about_a_loan("cancelled"),
    _about_a_loan("disputed"),
    _about_a_loan("dispute_ended"),
    _about_a_loan("rescheduled", due_date=_DAYS),
    _about_a_loan("rescheduled", due_date=_DAYS),
    _about_the_borrower("opted_out", channel=_CHANNELS),
    _about_the_borrower("opted_in", channel=_CHANNELS),
    _about_the_borrower("opted_in", channel=st.just("all")),
    _about_the_borrower("hold_started", reason=st.just("hardship")),
    _about_the_borrower("hold_ended"),
    _about_the_borrower("updated", time_zone=st.sampled_from(ZONES), preferred_time=st.sampled_from(WISHES)),
)
