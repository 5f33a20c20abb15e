"""From what each kind of loan system sends, by webhook and by bus, to what its borrowers get and do not get."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.virtual.agenda import SCHEDULE
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws.table import Table
from tests.flow.forms import AVRO, BOOK, SLOT, START, SYSTEMS, System, put, send
from tests.flow.published import counted, open_door
from tests.flow.small import Standing, standing, told
from tests.unit.connectors.messages import but, message

AFTER = SLOT + timedelta(minutes=20)
each_system = pytest.mark.parametrize("system", [*SYSTEMS.values(), AVRO], ids=[*SYSTEMS, "fineract, Avro"])
each_on_the_bus = pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)


@contextmanager
def connected(folder: Path, system: System, **more: Any) -> Iterator[Standing]:
    with standing(folder, BOOK, START) as stand:
        open_door(stand, {"core": system.setting, **more})
        yield stand


def while_queued(stand: Standing, happening: Callable[[], Any]) -> None:
    """Let something happen when the planner has queued its job, before a function takes it up."""

    def later() -> None:
        shown, stand.stack.clock = stand.stack.clock, VirtualClock(SLOT + timedelta(milliseconds=1))
        happening()
        stand.stack.clock = shown

    stand.stack.at(SLOT, SCHEDULE, lambda: stand.stack.at(SLOT, SCHEDULE, later))


def outstanding(stand: Standing, loan: str) -> dict[int, int]:
    with stand.stack.feeding():
        known = wiring.table().installments(loan)
    return {number: due.outstanding for number, (_, due) in known.items() if due and due.closed_by is None}


@each_system
def test_a_loan_that_only_its_own_system_tells_of_is_reminded(system: System, tmp_path: Path) -> None:
    with connected(tmp_path, system) as stand:
        assert send(stand, system, system.opened).body == {"status": "applied"}
        stand.until(AFTER)
        assert told(stand.contacts) == {("T-3", "sent", "")}


@each_system
def test_a_payment_that_is_acknowledged_while_the_job_is_queued_stops_the_reminder(
    system: System, tmp_path: Path
) -> None:
    with connected(tmp_path, system) as stand:
        assert send(stand, system, system.opened).status == 200
        response: list[Any] = []
        while_queued(stand, lambda: response.append(send(stand, system, system.paid).body))
        stand.until(AFTER)
        assert response == [{"status": "applied"}]
        assert stand.wire == []
        assert {outcome for _, outcome, _ in told(stand.contacts)} == {"suppressed"}


@each_system
def test_the_same_message_again_has_no_effect(system: System, tmp_path: Path) -> None:
    with connected(tmp_path, system) as stand:
        send(stand, system, system.opened)
        for one in (system.paid, system.opened):
            send(stand, system, one)
            before = outstanding(stand, "LOAN-77"), outstanding(stand, "77"), outstanding(stand, "L-77")
            assert send(stand, system, one).body["status"] in ("duplicate", "ignored")
            assert (outstanding(stand, "LOAN-77"), outstanding(stand, "77"), outstanding(stand, "L-77")) == before


# The bus


def test_a_loan_that_is_told_of_on_the_bus_is_reminded(tmp_path: Path) -> None:
    system = SYSTEMS["mapping"]
    with connected(tmp_path, system) as stand:
        put(stand, system.opened)
        stand.until(AFTER)
        assert told(stand.contacts) == {("T-3", "sent", "")}
        assert counted(stand, "EventsApplied") == 1


@each_on_the_bus
def test_a_payment_that_comes_over_the_bus_stops_the_reminder(system: System, tmp_path: Path) -> None:
    with connected(tmp_path, system) as stand:
        put(stand, system.opened)
        stand.until(START + timedelta(minutes=1))
        assert sum(outstanding(stand, loan).get(1, 0) for loan in ("LOAN-77", "77", "L-77")) > 0
        put(stand, system.paid)
        stand.until(AFTER)
        assert stand.wire == []
        assert counted(stand, "EventsApplied") == 2


REFUSED: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "a field that is wrong": (SYSTEMS["predue"].paid | {"amount": "lots"}, {}, "amount"),
    "nobody's name": (SYSTEMS["predue"].paid, {"source": "com.stranger"}, "source"),
    "another type than its detail-type": (SYSTEMS["predue"].paid, {"kind": "installment.cancelled"}, "type"),
    "a detail-type that is none": (SYSTEMS["predue"].paid, {"kind": "LoanSystemMessage"}, "type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_event_of_the_bus_that_is_refused_is_kept_counted_and_says_why_and_a_mended_one_counts(
    case: str, tmp_path: Path
) -> None:
    system = SYSTEMS["predue"]
    body, more, field = REFUSED[case]
    with connected(tmp_path, system) as stand:
        put(stand, system.opened)
        put(stand, body, **more)
        stand.until(START + timedelta(minutes=1))
        assert stand.stack.dead_letters() == {"predue-events-dead-letters": 1}
        assert counted(stand, "EventsRejected") == 1
        assert [line["fields"] for line in stand.log if line.get("fields")] == [[field]]
        put(stand, system.paid)
        stand.until(AFTER)
        assert stand.wire == []


def test_what_another_event_of_its_batch_does_to_it_does_not_bother_the_others(tmp_path: Path) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        for body in (system.paid | {"amount": "lots"}, system.opened, {**system.paid, "loan_id": "a#b"}, system.paid):
            put(stand, body)
        stand.until(AFTER)
        assert (stand.wire, counted(stand, "EventsRejected")) == ([], 2)
        assert stand.stack.dead_letters() == {"predue-events-dead-letters": 2}


def test_what_cannot_be_taken_now_comes_again_and_then_counts(tmp_path: Path) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        open_door(stand, "no JSON")
        put(stand, system.opened)
        stand.until(START + timedelta(minutes=1))
        assert counted(stand, "FailedClosed") == 1
        open_door(stand, {"core": system.setting})
        stand.until(AFTER)
        assert told(stand.contacts) == {("T-3", "sent", "")}
        assert stand.stack.dead_letters() == {}


def test_an_event_of_a_source_that_is_wrong_waits_on_the_bus_until_that_is_mended(tmp_path: Path) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        open_door(stand, {"core": system.setting | {"keys": ["whsec_never"]}, "other": {"bus": "com.lender.other"}})
        put(stand, system.opened)
        stand.until(START + timedelta(minutes=1))
        assert outstanding(stand, "LOAN-77") == {}
        open_door(stand, {"core": system.setting})
        stand.until(START + timedelta(minutes=10))
        assert outstanding(stand, "LOAN-77") == {1: 10000}


def test_a_defect_of_ours_loses_no_event_of_the_bus_and_logs_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        with monkeypatch.context() as patch:

            def broken(*_: Any, **__: Any) -> None:
                raise ZeroDivisionError("+12125550147")

            patch.setattr(Table, "write_due", broken)
            put(stand, system.opened)
            stand.until(START + timedelta(minutes=1))
        assert counted(stand, "Unexpected") == 1
        assert "5550147" not in json.dumps(stand.log)
        stand.until(AFTER)
        assert told(stand.contacts) == {("T-3", "sent", "")}


def test_an_event_of_the_bus_that_fails_ten_times_is_kept(tmp_path: Path) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        open_door(stand, "no JSON")
        put(stand, system.opened)
        stand.until(START + timedelta(minutes=40))
        assert stand.stack.dead_letters() == {"predue-events-dead-letters": 1}
        open_door(stand, {"core": system.setting})
        assert stand.stack.redrive() == 1
        stand.until(AFTER)
        assert told(stand.contacts) == {("T-3", "sent", "")}


def test_what_predue_itself_emits_and_what_is_no_events_never_comes_back(tmp_path: Path) -> None:
    system = SYSTEMS["predue"]
    with connected(tmp_path, system) as stand:
        put(stand, system.opened | {"due_date": "2026-06-12", "grace_days": 0})
        stand.until(datetime.fromisoformat("2026-06-13T00:30:00Z"))
        assert len(stand.stack.handed_over) == 1
        for name in ("predue", "predue.outgoing", "predue-production"):
            put(stand, system.paid, source=name)
        put(stand, {"note": 1}, kind="InstallmentOverdue")
        stand.until(stand.stack.clock() + timedelta(minutes=10))
        assert stand.stack.meter.invocations["predue-ingest-events"] == 1
        assert stand.stack.dead_letters() == {}


# Several messages, and several at once


def test_a_bad_message_of_a_batch_is_answered_for_itself_and_loses_none_of_the_others(tmp_path: Path) -> None:
    system = SYSTEMS["fineract, allotted"]
    with connected(tmp_path, system) as stand:
        batch = [
            system.opened,
            but(system.paid, data__amount="much", idempotencyKey="bad"),
            but(system.paid, dataschema="x.ClientDataV1"),
            but(system.paid, data__id=9005),
            but(system.paid, data__id=9006, data__amount=150.0),
            7,
        ]
        response = send(stand, system, batch)
        assert response.status == 207
        results = response.body["results"]
        assert [one["status"] for one in results] == [
            *("applied", "rejected", "ignored", "applied", "applied", "rejected")
        ]
        assert results[1]["event_id"] == "bad"
        assert [one["field"] for one in results[1]["problem"]["errors"]] == ["data.amount"]
        assert outstanding(stand, "77") == {3: 5000}


def test_of_two_payments_that_are_allotted_at_once_one_comes_again_and_each_installment_is_paid_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = SYSTEMS["fineract, allotted"]
    with connected(tmp_path, system) as stand:
        send(stand, system, system.opened)
        other = but(system.paid, data__id=9005, idempotencyKey="other")
        original, response = Table.installments, list[int]()

        def at_once(table: Table, loan_id: str) -> Any:
            known = original(table, loan_id)
            if not response:
                response.append(0)
                response[0] = send(stand, system, other).status
            return known

        with monkeypatch.context() as patch:
            patch.setattr(Table, "installments", at_once)
            assert send(stand, system, system.paid).body == {"status": "applied"}
        assert response == [503]
        assert outstanding(stand, "77") == {2: 10000, 3: 10000}
        assert send(stand, system, other).body == {"status": "applied"}
        assert outstanding(stand, "77") == {3: 10000}


def test_a_turn_that_its_holder_died_with_passes_by_itself(tmp_path: Path) -> None:
    system = SYSTEMS["fineract, allotted"]
    with connected(tmp_path, system) as stand:
        send(stand, system, system.opened)
        now = stand.stack.clock()
        with stand.stack.feeding():
            wiring.table().lock_loan("77", "dead", now, now + timedelta(seconds=60))
        assert send(stand, system, system.paid).status == 503
        stand.until(now + timedelta(seconds=61))
        assert send(stand, system, system.paid).body == {"status": "applied"}


def test_another_tenants_loan_is_an_unknown_loan(tmp_path: Path) -> None:
    system = SYSTEMS["fineract, stated"]
    other = {**system.setting, "bus": None, "tenant": "acme"}
    with connected(tmp_path, system, acme=other) as stand:
        send(stand, system, system.opened)
        before = outstanding(stand, "77")
        open_door(stand, {"core": other})
        assert send(stand, system, message("fineract/loan_charge_off")).body == {"status": "ignored"}
        sly = but(message("fineract/loan_charge_off"), data__loanId="acme~77")
        assert send(stand, system, sly).status == 422
        assert outstanding(stand, "77") == before
