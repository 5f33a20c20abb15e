from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.local.report import words
from infrastructure.local.report.summary import contacts_in, held_back, promises, summarise, text

BRIEF = (
    "paid cancelled rescheduled disputed opted_out hold no_consent no_channel no_address address_suppressed "
    "channel_unavailable stage_channel cap_day cap_7_days cap_30_days cap_sms_7_days gave_way zone_unknown allow_list "
    "stage_removed shadow hours_over paused no_run refused_address refused_channel text_missing no_answer"
)


def line(outcome: str = "sent", reason: str = "", borrower: str = "b-1", **more: Any) -> dict[str, Any]:
    due = {"loan_id": "L-1", "installment_no": 1, "due_date": "2026-12-05", "stage": "T-3"}
    return {
        "at": "2026-12-02T04:30:00Z",
        "local_time": "2026-12-02T10:00:00+05:30",
        "reminder_id": "r-1",
        "borrower_id": borrower,
        "channel": "sms",
        "dues": [due],
        "outcome": outcome,
        "reason": reason,
        **more,
    }


def test_sent_and_unknown_are_contacts_and_nothing_else_is() -> None:
    summary = summarise([line(outcome) for outcome in ("sent", "unknown", "suppressed", "expired", "failed")])

    assert contacts_in(summary) == 2
    assert summary["contacts_per_borrower"]["max"] == 2
    assert summary["by_channel"] == {"sms": 2}
    assert summary["outcomes"] == {"expired": 1, "failed": 1, "sent": 1, "suppressed": 1, "unknown": 1}


def test_the_histogram_counts_borrowers_who_got_nothing_too() -> None:
    lines = [line(borrower="a"), line(borrower="a"), line(borrower="b"), line("suppressed", "paid", "c")]

    per = summarise(lines)["contacts_per_borrower"]

    assert per == {"max": 2, "mean": 1.0, "histogram": {"0": 1, "1": 1, "2": 1}}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(sorted(words.OUTCOMES)))))
def test_the_histogram_adds_up_to_the_borrowers_and_their_contacts(drawn: list[tuple[str, str]]) -> None:
    summary = summarise(line(outcome, borrower=borrower) for borrower, outcome in drawn)

    histogram = summary["contacts_per_borrower"]["histogram"]
    assert sum(histogram.values()) == summary["borrowers"] == len({borrower for borrower, _ in drawn})
    assert sum(int(count) * borrowers for count, borrowers in histogram.items()) == contacts_in(summary)
    assert sum(summary["outcomes"].values()) == len(drawn)


def test_day_and_hour_are_the_borrowers_own() -> None:
    late_in_utc = line(at="2026-12-02T20:15:00Z", local_time="2026-12-03T09:15:00+13:00", channel="email")

    summary = summarise([late_in_utc])

    assert summary["by_day"] == {"2026-12-03": {"email": 1}}
    assert summary["by_hour"] == {"09": {"email": 1}}


@pytest.mark.parametrize("code", BRIEF.split())
def test_every_reason_has_words_of_its_own(code: str) -> None:
    meaning = words.reason(code)

    assert meaning.label not in (code, "")
    assert "_" not in meaning.label + meaning.because
    assert meaning.group in set(words.GROUPS) - {"other"}


def test_an_unknown_reason_still_shows_in_the_group_of_its_outcome() -> None:
    summary = summarise([line("failed", "carrier_on_strike"), line("suppressed", "")])

    assert held_back(summary) == {
        "protected": [("No reason given", "", 1)],
        "refused": [("Carrier on strike", "carrier_on_strike", 1)],
    }
    assert "Carrier on strike" in text(summary)


def test_the_text_says_what_went_out_to_how_many_and_why_the_rest_did_not() -> None:
    lines = [line(borrower=f"b-{number}") for number in range(1200)]

    told = text(summarise([*lines, line("suppressed", "paid", "b-1"), line("unknown", "no_answer", "b-2")]))

    assert "1,200 of 1,202 planned reminders went out; contacted: 1,200 borrowers." in told
    assert "1 more may have gone out" in told
    assert "1 did not go out." in told
    assert "Already paid" in told
    assert "3 days before due" in told


@pytest.mark.parametrize(
    "broken",
    [
        ["1: two on one day"],
        [{"promise": 1, "detail": "two on one day"}],
        {1: ["two on one day"]},
    ],
)
def test_a_broken_promise_is_told_in_every_form_in_which_it_may_come(broken: Any) -> None:
    summary = {**summarise([]), "promises": {"checked": {1: 7}, "broken": broken}}

    assert promises(summary) == [("1", words.PROMISES["1"], 7, ["two on one day"])]
    assert "BROKEN 1 time" in text(summary)
