import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from predue.borrowers.early_warning import BEYOND_MESSAGES, unreachable, watched
from predue.domain.ledger import Contact, Ledger, Settled
from predue.domain.policy import Policy, StageSetting
from tests.unit.world import SLOT, key

DOCS = Path(__file__).parents[3] / "docs"
FAILED = "h" * 8


def ended(reason: str = "opted_out", stage: str = "T-1", **more: Any) -> Ledger:
    return Ledger("b-1", settled=(Settled(SLOT, (key(stage),), "suppressed", reason),), **more)


def contact(stage: str = "T-3", loan_id: str = "L-1", **more: Any) -> Contact:
    reminded = key(stage, loan_id)
    return Contact(SLOT, reminded.day(), "sms", (reminded,), "t", "r", address=FAILED)._replace(**more)


def test_each_reason_that_tells_of_a_borrower_beyond_messages_is_one_that_the_policy_page_names() -> None:
    rows = re.findall(
        r"^\| (`.*?`) \| (?:suppressed|expired|failed|unknown) \|",
        (DOCS / "policy.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) > BEYOND_MESSAGES


def test_the_page_of_events_lists_them_all() -> None:
    (row,) = re.findall(
        r"^\| `unreachable` \|.*mend: (.*?)\. And", (DOCS / "events.md").read_text("utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", row)) == BEYOND_MESSAGES


@pytest.mark.parametrize("reason", sorted(BEYOND_MESSAGES))
def test_a_stage_that_ended_where_no_message_can_arrive_is_a_warning(reason: str) -> None:
    assert unreachable(ended(reason), key("T-1"))


@pytest.mark.parametrize(
    "reason",
    [
        *("paid", "cancelled", "rescheduled", "disputed", "hold", "stage_channel", "cap_day", "cap_sms_7_days"),
        *("allow_list", "shadow", "hours_over", "paused", "no_run", "refused_channel", "refused_busy"),
        *("text_missing", "no_answer"),
    ],
)
def test_a_stage_that_ended_by_itself_or_by_the_lenders_own_doing_is_none(reason: str) -> None:
    assert not unreachable(ended(reason), key("T-1"))


def test_a_stage_without_an_end_is_none() -> None:
    assert not unreachable(ended(stage="T-3"), key("T-1"))


@pytest.mark.parametrize("stage", ["T-7", "T-3"])
def test_a_borrower_who_was_reminded_of_the_due_once_is_reachable(stage: str) -> None:
    assert not unreachable(ended(contacts=(contact(stage),)), key("T-1"))


def test_a_reminder_of_another_loan_reached_nobody_about_this_one() -> None:
    assert unreachable(ended(contacts=(contact(loan_id="L-2"),)), key("T-1"))


def test_a_call_that_was_refused_reached_nobody() -> None:
    assert unreachable(ended(contacts=(contact(state="refused"),)), key("T-1"))


@pytest.mark.parametrize(
    ("suppressed", "warns"),
    [
        ({"sms": (FAILED + "x" * 24,)}, True),
        ({"sms": ("o" * 32,)}, False),
        ({"email": (FAILED + "x" * 24,)}, False),
    ],
)
def test_a_reminder_to_a_contact_point_that_failed_for_good_reached_nobody(
    suppressed: Mapping[str, tuple[str, ...]],
    warns: bool,  # noqa: FBT001 - a table
) -> None:
    ledger = ended("address_suppressed", contacts=(contact(),), suppressed=suppressed)
    assert unreachable(ledger, key("T-1")) is warns


def test_a_reminder_whose_contact_point_is_not_known_may_have_arrived() -> None:
    suppressed = {"sms": (FAILED + "x" * 24,)}
    assert not unreachable(ended(contacts=(contact(address=""),), suppressed=suppressed), key("T-1"))


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        (["T-7", "T-3", "T-1", "T0", "T+1"], {"T-1", "T0"}),
        (["T0", "T-3", "T-7"], {"T-3", "T0"}),
        (["T-7"], {"T-7"}),
        (["T0", "T+1"], {"T0"}),
        (["T+3", "T+1"], {"T+1"}),
        ([], set()),
    ],
)
def test_the_last_stage_before_the_due_date_and_the_due_date_itself_are_watched(
    stages: list[str], told: set[str]
) -> None:
    assert watched(Policy(stages=tuple(StageSetting(name=name) for name in stages))) == told


def test_a_reminder_of_two_loans_together_reached_the_borrower_about_each() -> None:
    both = contact(keys=(key("T-3", "L-2"), key("T-3")))
    assert not unreachable(ended(contacts=(both,)), key("T-1"))
