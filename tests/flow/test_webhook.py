"""From a loan system's webhook to what borrowers get, and to what they do not get."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.virtual.agenda import LOAN_EVENTS, SCHEDULE
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from tests.flow.published import EventIds, counted, event, open_door, tell
from tests.flow.small import Book, Standing, standing, told, utc
from tests.signing import FOREIGN, OURS, SOURCES

SLOT = utc(10, 15)
"""Ten o'clock in New York on the due date."""
LATER = "2026-12-24"


def while_queued(stand: Standing, happening: Callable[[], Any]) -> None:
    """Let something happen when the planner has queued its jobs, before a function takes one up."""
    stand.stack.at(SLOT, SCHEDULE, lambda: stand.stack.at(SLOT, SCHEDULE, lambda: later(stand, happening)))


def later(stand: Standing, happening: Callable[[], Any]) -> None:
    # Events of the slot's very instant would come before the slot, and the function that waits stands at that instant.
    shown, stand.stack.clock = stand.stack.clock, VirtualClock(SLOT + timedelta(milliseconds=1))
    happening()
    stand.stack.clock = shown


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("installment.paid", {"amount": "120.00"}, "paid"),
        ("installment.cancelled", {}, "cancelled"),
        ("installment.rescheduled", {"due_date": LATER}, "rescheduled"),
        ("installment.disputed", {}, "disputed"),
        ("borrower.opted_out", {"channel": "all"}, "opted_out"),
        ("borrower.hold_started", {"reason": "bereavement"}, "hold"),
    ],
)
def test_events_acknowledged_while_the_job_is_queued_keeps_it_from_being_sent(
    kind: str, fields: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand)
        response: list[EventIds] = []
        while_queued(stand, lambda: response.append(tell(stand, event(kind, **fields))))
        stand.until(utc(10, 15, 20))
        assert [one.body for one in response] == [{"status": "applied"}]
        assert told(stand.contacts) == {("T0", "suppressed", reason)}
        assert stand.wire == []


def test_a_source_whose_key_is_wrong_waits_alone_and_rings(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        wrong = {"keys": ["whsec_never"], "tenant": "acme"}
        open_door(stand, {**SOURCES, "acme": wrong})
        assert tell(stand, event("installment.disputed")).body == {"status": "applied"}
        assert counted(stand, "FailedClosed") == 1
        assert tell(stand, event("borrower.updated", name="Ann"), source="acme").status == 503
        open_door(stand)
        assert tell(stand, event("borrower.updated", name="Ann"), source="acme").body == {"status": "applied"}


def test_a_part_paid_by_webhook_while_the_job_is_queued_shows_in_the_figure(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand)
        while_queued(stand, lambda: tell(stand, event("installment.paid", amount="50.00")))
        stand.until(utc(10, 15, 20))
        (sample,) = stand.stack.carrier.samples
        assert "$70.00" in sample["body"]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("installment.rescheduled", {"due_date": "2026-12-10"}),
        ("installment.scheduled", {"due_date": "2026-12-10", "borrower_id": "b-1", "currency": "USD"}),
    ],
)
def test_another_amount_that_comes_while_the_job_is_queued_is_the_one_that_is_told(
    kind: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand)
        while_queued(stand, lambda: tell(stand, event(kind, amount="85.00", **fields)))
        stand.until(utc(10, 15, 20))
        (sample,) = stand.stack.carrier.samples
        assert "$85.00" in sample["body"]
        assert "120" not in sample["body"]
        assert len(stand.wire) == 1


def test_an_older_version_of_a_loan_that_comes_late_changes_nothing(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand)
        newer = event("installment.rescheduled", "v-5", 5, due_date="2026-12-10", amount="85.00")
        older = event("installment.rescheduled", "v-4", 4, due_date="2026-12-24", amount="99.00", grace_days=9)
        assert [tell(stand, one).body for one in (newer, older)] == [{"status": "applied"}] * 2
        with stand.stack.feeding():
            (due,) = wiring.table().all_dues("b-1")
            assert (due.outstanding, due.due_date.isoformat(), due.moved_to) == (8500, "2026-12-10", None)
        stand.until(utc(10, 15, 20))
        assert told(stand.contacts) == {("T0", "sent", "")}


BORROWER = event(
    "borrower.updated",
    "u-1",
    1,
    name="Ana",
    phone="+12125550100",
    locale="en-US",
    time_zone="America/New_York",
    jurisdiction="US-NY",
    channels=["sms"],
    consent=["sms"],
)
INSTALLMENT = event(
    "installment.scheduled", "s-1", 1, borrower_id="b-1", due_date="2026-12-10", amount="120.00", currency="USD"
)


def assert_taken(response: EventIds) -> None:
    assert response.status == 200


def test_a_loan_that_is_known_from_webhooks_alone_is_reminded(tmp_path: Path) -> None:
    with standing(tmp_path, Book(), utc(10, 14, 30)) as stand:
        open_door(stand)
        stand.stack.at(utc(10, 14, 31), LOAN_EVENTS, lambda: assert_taken(tell(stand, INSTALLMENT, BORROWER)))
        stand.until(utc(10, 15, 20))
        assert told(stand.contacts) == {("T0", "sent", "")}
        assert len(stand.wire) == 1


def test_a_payment_before_its_loan_and_a_loan_before_its_borrower_wait_and_then_count(tmp_path: Path) -> None:
    with standing(tmp_path, Book(), utc(10, 14, 30)) as stand:
        open_door(stand)
        kept = [tell(stand, event("installment.paid", amount="120.00")), tell(stand, INSTALLMENT)]
        assert [one.body for one in kept] == [{"status": "parked"}] * 2
        assert tell(stand, BORROWER).body == {"status": "applied"}
        with stand.stack.feeding():
            (due,) = wiring.table().all_dues("b-1")
            assert due.closed_by == "paid"
        stand.until(utc(10, 15, 20))
        assert stand.contacts == stand.wire == []


def test_how_long_events_is_parked_is_measured_until_its_borrower_comes(tmp_path: Path) -> None:
    def hours(stand: Standing) -> list[float]:
        return [line["OldestParkedHours"][-1] for line in stand.log if "OldestParkedHours" in line]

    with standing(tmp_path, Book(), utc(10, 1)) as stand:
        open_door(stand)
        stand.until(utc(10, 1, 10))
        assert hours(stand) == [0]
        tell(stand, event("installment.paid", amount="120.00"))
        stand.until(utc(11, 3))
        assert hours(stand)[-1] == pytest.approx(25.67, abs=0.01)
        tell(stand, INSTALLMENT, BORROWER)
        stand.until(utc(11, 3, 30))
        assert hours(stand)[-1] == 0


def test_kept_events_that_turns_out_wrong_is_heard_of(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower(), utc(10, 1)) as stand:
        open_door(stand)
        assert tell(stand, event("installment.paid", amount="120.00", currency="EUR")).body == {"status": "parked"}
        assert tell(stand, INSTALLMENT).body == {"status": "applied"}
        assert counted(stand, "ParkedDropped") == 1
        (line,) = [line for line in stand.log if line.get("fields")]
        assert line["fields"] == ["currency"]


TWO = {"core": {"keys": [OURS]}, "acme": {"keys": [FOREIGN]}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            event("borrower.opted_in", "a", 2**50, channel="all", occurred_at="2026-12-10T14:29:00Z"),
            event("borrower.opted_out", "b", 57, channel="all"),
        ),
        (event("borrower.hold_ended", "a", 2**50), event("borrower.hold_started", "b", 58, reason="bereavement")),
        (event("installment.dispute_ended", "a", 2**50), event("installment.disputed", "b", 59)),
        (event("installment.paid", "a", 2**50, amount="1.00"), event("installment.cancelled", "b", 60)),
    ],
)
def test_what_a_second_source_says_to_protect_keeps_a_reminder_back_however_small_its_sequence(
    first: dict[str, Any], second: dict[str, Any], tmp_path: Path
) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand, TWO)
        tell(stand, first)
        assert tell(stand, second, source="acme").body == {"status": "applied"}
        stand.until(utc(10, 15, 20))
        assert stand.wire == []


@pytest.mark.parametrize(
    ("told", "status", "against"),
    [
        (event("installment.rescheduled", "b", 2**50, due_date=LATER), "not_owner", ["schedule: core owns it"]),
        (event("borrower.updated", "b", 2**50, phone="+12015550199"), "not_owner", ["phone: core owns it"]),
        (event("borrower.hold_ended", "b", 2**50), "no_change", ["hold: sequence 1125899906842624 of acme"]),
    ],
)
def test_an_answer_says_which_aspect_was_not_changed_and_what_stood_against_it(
    told: dict[str, Any], status: str, against: list[str], tmp_path: Path
) -> None:
    with standing(tmp_path, Book().borrower().installment(), utc(10, 14, 30)) as stand:
        open_door(stand, TWO)
        assert tell(stand, told, source="acme").body == {"status": status, "against": against}
        stand.until(utc(10, 15, 20))
        assert len(stand.wire) == 1
