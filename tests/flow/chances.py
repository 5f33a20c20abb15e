"""What the interleavings are made of: two borrowers who share a phone, four loans, a tight policy, an operator, and the
chances that are drawn.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

from predue.borrowers.ports import Accepted, NoAnswer, Refused
from predue.domain.channel import Switches
from predue.domain.policy import Cap, Policy, Rulebook, StageSetting
from tests.fakes import Answer

WHO, OTHER, GRACE = "b-1", "b-2", 1
START = datetime(2026, 6, 9, 11, tzinfo=UTC)
ZONES = ("America/New_York", "America/Los_Angeles", "Asia/Kolkata")
SEND_TIMES = ("", "11:00", "19:30")
SHARED, OWN = "+12015550100", "+12015550101"
"""The number of both borrowers, and one that the first may change to."""
LOANS = {"L-1": date(2026, 6, 12), "L-2": date(2026, 6, 13), "L-3": date(2026, 6, 13)}
OTHERS = {"M-1": date(2026, 6, 13)}
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
BORROWERS: dict[str, dict[str, str]] = {
    WHO: {"phone": SHARED, "email": "ann@example.com", "channels": "sms|email", "consent": "sms|email"},
    OTHER: {"phone": SHARED, "channels": "sms", "consent": "sms"},
}


@dataclass(frozen=True)
class Controls:
    """What the operator has set: the kill switch, and whom a trial may reach (`None`: everybody, in production)."""

    stopped: frozenset[str] = frozenset()
    shadow: bool = False
    listed: tuple[str, ...] | None = None
    production: bool = True

    @property
    def switches(self) -> Switches:
        return Switches(self.stopped, self.production)

    @property
    def rulebook(self) -> Rulebook:
        return Rulebook(POLICY.model_copy(update={"shadow": self.shadow, "allow_list": self.listed}))

    def stops(self, channel: str) -> bool:
        """Whether nothing may begin on the channel."""
        return bool(self.stopped & {channel, "all"})

    def reaches(self, address: str) -> bool:
        """Whether a trial may reach the contact point."""
        return self.production if self.listed is None else address in self.listed


CONTROLS = (
    *[Controls()] * 12,
    Controls(frozenset({"all"})),
    Controls(frozenset({"all"})),
    Controls(frozenset({"sms"})),
    Controls(frozenset({"email"})),
    Controls(shadow=True),
    Controls(listed=("ann@example.com",)),
    Controls(listed=("ann@example.com",)),
    Controls(production=False),
    Controls(production=False),
)
ANSWERS: dict[str, Answer] = {
    "accepts": Accepted("message"),
    "refuses the address": Refused("refused_address", "INVALID"),
    "refuses the channel": Refused("refused_channel", "BLOCKED"),
    "is busy": Refused("refused_busy", "THROTTLED"),
    "does not answer": NoAnswer("timeout"),
}
RECEIPTS = ("accepted", "delayed", "undelivered", "bounced", "delivered", "complained")
"""From the lowest to the highest."""


class Move(NamedTuple):
    """One thing that may happen next; `pick` says to which of several, `answer` and `receipt` what a provider says."""

    name: str
    pick: int
    answer: str
    receipt: str


_WEIGHTS = {
    "step": 10, "to a point": 6, "end": 5, "tell": 5, "start": 5, "dies": 3, "dies for good": 1, "news dies": 1,
    "minute": 2, "switch": 1, "receipt": 4, "plan": 1, "close": 1,
}  # fmt: skip
_NAMES = [name for name, weight in _WEIGHTS.items() for _ in range(weight)]
_SAID = ["accepts", *ANSWERS]
_TOLD = [*["delivered"] * 4, *RECEIPTS]


def _dealt(seed: int, number: int) -> list[Move]:
    """Moves as dice would have them. Drawn one by one they would fill Hypothesis's buffer, which then gives up every
    example but the shortest; a failure still shrinks in their number.
    """
    dice = Random(seed)  # noqa: S311 - chances of a test
    return [
        Move(dice.choice(_NAMES), dice.randrange(12), dice.choice(_SAID), dice.choice(_TOLD)) for _ in range(number)
    ]


moves: st.SearchStrategy[list[Move]] = st.builds(_dealt, st.integers(0, 2**40), st.integers(5, 40))
batches: st.SearchStrategy[list[str]] = st.lists(st.sampled_from([*ANSWERS, "accepts"]), max_size=4)


def _about_a_loan(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    about = {"type": st.just(f"installment.{kind}"), "loan_id": st.sampled_from(sorted(LOANS))}
    return st.fixed_dictionaries({**about, "installment_no": st.just(1), **fields})


def _about_the_borrower(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(f"borrower.{kind}"), **fields})


_DAYS = st.sampled_from([f"2026-06-{day}" for day in range(11, 18)])
_CHANNELS = st.sampled_from(["sms", "email", "all"])
_LIFTED = 2
"""What ends a stop, a hold or a dispute comes more often than what starts it, or the borrowers would soon be silent."""
events = st.one_of(
    _about_a_loan("paid", amount=st.sampled_from(["40.00", "40.00", "100.00"])),
    _about_a_loan("payment_reversed", amount=st.sampled_from(["40.00", "100.00"])),
    _about_a_loan("cancelled"),
    _about_a_loan("disputed"),
    *[_about_a_loan("dispute_ended")] * _LIFTED,
    *[_about_a_loan("rescheduled", due_date=_DAYS)] * 3,
    _about_the_borrower("opted_out", channel=_CHANNELS),
    *[_about_the_borrower("opted_in", channel=_CHANNELS)] * _LIFTED,
    *[_about_the_borrower("opted_in", channel=st.just("all"))] * _LIFTED,
    _about_the_borrower("hold_started", reason=st.just("hardship")),
    *[_about_the_borrower("hold_ended")] * _LIFTED,
    _about_the_borrower("updated", time_zone=st.sampled_from(ZONES), preferred_time=st.sampled_from(SEND_TIMES)),
    _about_the_borrower("updated", phone=st.sampled_from([SHARED, OWN])),
    _about_the_borrower("updated", consent=st.sampled_from(["sms|email", "sms|email", "email"])),
)
perhaps: st.SearchStrategy[dict[str, Any] | None] = st.booleans().flatmap(lambda one: events if one else st.none())
"""An event, or none; `none() | events` would be an event almost always."""
