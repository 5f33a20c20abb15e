"""What a file does to what is known, and what it never does."""

import hashlib
import itertools
from collections.abc import Callable
from contextlib import nullcontext, suppress
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from predue.domain.policy import ImportsSetting
from predue.errors import ImportMoved, LedgerMoved
from predue.events.models import Scheduled, read_event
from predue.imports import book_events, chunk_applying
from predue.inbound.sources import Source
from tests.depot import Depot, borrowers, events, installments
from tests.fakes import Store

LOANS = [f"L-{number}" for number in range(1, 21)]
PEOPLE = [f"b-{number}" for number in range(1, 21)]


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    return Depot(tmp_path)


@pytest.fixture
def new(tmp_path: Path) -> Callable[[], Depot]:
    """Makes depots, each with a folder of its own."""
    numbers = itertools.count()

    def make() -> Depot:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Depot(folder)

    return make


@pytest.fixture
def filled(depot: Depot) -> Depot:
    """A depot whose world knows twenty borrowers with a loan each, from files."""
    depot.imported("b.csv", borrowers(*PEOPLE))
    depot.imported("i.csv", installments(*LOANS))
    return depot


def exact(store: Store) -> Any:
    """All that the table holds, to the last version."""
    kept = (
        "profiles",
        "dues",
        "index",
        "pointers",
        "events",
        "aside",
        "consents",
        "names",
        "links",
        "zone_keys",
        "records",
    )
    ledgers = {name: ledger for name, (ledger, _) in store.ledgers.items()}
    return deepcopy([ledgers, *(getattr(store, name) for name in kept)])


def open_loans(depot: Depot) -> set[str]:
    dues = [due for owed in depot.world.store.dues.values() for due in owed.values()]
    return {due.loan_id for due in dues if due.closed_by is None}


def due_of(depot: Depot, loan: str = "L-1") -> Any:
    return next(due for owed in depot.world.store.dues.values() for due in owed.values() if due.loan_id == loan)


def test_books_become_borrowers_and_open_installments(filled: Depot) -> None:
    assert open_loans(filled) == set(LOANS)
    assert filled.world.profile("b-1").addresses["sms"] == "+12015550100"
    assert due_of(filled).amount == 10000
    assert {key: filled.report("i.csv")[key] for key in ("status", "rows", "applied", "rejected", "share_done")} == {
        "status": "done",
        "rows": 20,
        "applied": 20,
        "rejected": 0,
        "share_done": 1.0,
    }
    assert filled.rejected("i.csv") == []


def test_installments_may_come_before_their_borrowers(depot: Depot) -> None:
    depot.imported("i.csv", installments("L-1"))
    assert (open_loans(depot), depot.report("i.csv")["parked"]) == (set(), 1)
    depot.imported("b.csv", borrowers("b-1"))
    assert open_loans(depot) == {"L-1"}


@pytest.mark.parametrize("name", ["i.csv", "again.csv", "again.csv.gz"])
def test_the_same_file_twice_changes_nothing_under_whatever_name(name: str, filled: Depot) -> None:
    before = exact(filled.world.store)
    filled.imported(name, installments(*LOANS))
    assert exact(filled.world.store) == before


def test_the_same_events_twice_change_nothing(filled: Depot) -> None:
    told = events(filled.world.body("installment.paid", amount="40.00"))
    filled.imported("e.jsonl", told)
    before = exact(filled.world.store)
    filled.imported("again.jsonl.gz", told)
    assert due_of(filled).outstanding == 6000
    assert exact(filled.world.store) == before


def test_a_payment_that_was_acknowledged_is_never_undone_by_a_later_file(filled: Depot) -> None:
    filled.world.tell("installment.paid", amount="100.00")
    filled.imported("late.csv", installments(*LOANS, amount="120.00"))
    assert due_of(filled).closed_by == "paid"
    assert "L-1" not in open_loans(filled)


def test_rows_that_say_otherwise_than_what_is_known_are_told_to_be_no_events(filled: Depot) -> None:
    filled.imported("new.csv", installments(*LOANS[:3], "L-new", amount="55.00"))
    assert due_of(filled).amount == 10000
    told = filled.report("new.csv")
    assert (told["applied"], told["no_change"], told["known_already"]) == (0, 3, 0)
    assert told["parked"] == 1
    filled.imported("b-new.csv", borrowers("b-1", name="Other"))
    assert filled.report("b-new.csv")["no_change"] == 1


def test_a_stop_a_consent_and_a_move_that_were_acknowledged_stand_against_a_later_file(filled: Depot) -> None:
    filled.world.tell("borrower.opted_out", channel="sms")
    filled.world.tell("borrower.updated", consent="email", phone="+12015550199")
    filled.world.tell("installment.rescheduled", due_date="2026-07-20")
    filled.imported("late-b.csv", borrowers(*PEOPLE, name="Anna"))
    filled.imported("late-i.csv", installments(*LOANS, due_date="2026-06-16"))
    assert filled.world.ledger().opted_out("sms")
    assert filled.world.profile().consent == ("email",)
    assert filled.world.profile().addresses["sms"] == "+12015550199"
    assert filled.world.store.pointers["L-1", 1][1].isoformat() == "2026-07-20"


@pytest.mark.parametrize(("status", "closed"), [("paid", "paid"), ("cancelled", "cancelled")])
def test_an_installment_that_its_book_says_is_over_is_never_open(status: str, closed: str, depot: Depot) -> None:
    depot.imported("b.csv", borrowers("b-1"))
    depot.imported("i.csv", installments("L-1", status=status))
    assert due_of(depot).closed_by == closed
    assert not any(change.open for change in due_of(depot).changes)


def test_a_book_that_says_paid_closes_what_was_open_and_counts_no_more_than_was_owed(filled: Depot) -> None:
    filled.world.tell("installment.paid", amount="40.00")
    filled.imported("paid.csv", installments("L-1", status="paid"))
    assert (due_of(filled).outstanding, sum(due_of(filled).payments.values())) == (0, 10000)
    filled.world.tell("installment.payment_reversed", amount="40.00")
    assert due_of(filled).outstanding == 4000


def test_a_book_that_says_paid_again_after_the_payment_was_taken_back_closes_again(filled: Depot) -> None:
    paid = installments("L-1", status="paid")
    filled.imported("paid-1.csv", paid)
    for number in (2, 3):
        filled.world.tell("installment.payment_reversed", amount="100.00")
        assert due_of(filled).closed_by is None
        filled.imported(f"paid-{number}.csv", paid)
        assert due_of(filled).closed_by == "paid"
        filled.imported(f"paid-{number}-again.csv", paid)
    assert sum(due_of(filled).payments.values()) == 10000


def test_a_book_that_says_paid_closes_also_where_a_payment_was_taken_back_that_was_never_told(filled: Depot) -> None:
    filled.world.tell("installment.payment_reversed", amount="100.00")
    filled.imported("paid.csv", installments("L-1", status="paid"))
    assert due_of(filled).closed_by == "paid"


# Complete statements


def test_a_complete_statement_closes_what_it_no_longer_holds(filled: Depot) -> None:
    state = filled.imported("all.complete.csv", installments(*LOANS[1:]))
    assert state.phase == "done"
    assert open_loans(filled) == set(LOANS[1:])
    assert due_of(filled).closed_by == "cancelled"
    assert filled.report("all.complete.csv")["closed"] == 1


def test_a_statement_that_is_not_said_to_be_complete_closes_nothing(filled: Depot) -> None:
    filled.imported("some.csv", installments("L-2"))
    assert open_loans(filled) == set(LOANS)


def test_what_was_stated_with_a_sequence_is_closed_too_and_opened_by_newer_events(filled: Depot) -> None:
    filled.world.installment(loan_id="L-1", borrower_id="b-1", due_date=due_of(filled).due_date)
    filled.imported("all.complete.csv", installments(*LOANS[1:]))
    assert "L-1" not in open_loans(filled)
    filled.world.installment(loan_id="L-1", borrower_id="b-1", due_date=due_of(filled).due_date)
    assert "L-1" in open_loans(filled)


def test_what_another_source_or_tenant_stated_is_not_closed(filled: Depot) -> None:
    world = filled.world
    cards: dict[str, Any] = {
        "source": "cards",
        "due_date": "2026-06-30",
        "amount": "5.00",
        "currency": "USD",
        "borrower_id": "b-1",
    }
    world.tell("installment.scheduled", loan_id="C-1", **cards)
    acme = {**cards, "source": "core", "borrower_id": "acme~b-1"}
    world.borrower("acme~b-1")
    world.tell("installment.scheduled", loan_id="acme~L-99", **acme)
    world.now += timedelta(hours=1)
    state = filled.imported("all.complete.csv", installments(*LOANS))
    assert (state.phase, state.closable) == ("done", 0)
    assert open_loans(filled) == {*LOANS, "C-1", "acme~L-99"}


def test_what_became_known_after_the_file_was_put_is_not_closed(filled: Depot) -> None:
    name = filled.put("all.complete.csv", installments(*LOANS))
    filled.world.now += timedelta(minutes=1)
    new: dict[str, Any] = {"due_date": "2026-06-30", "amount": "5.00", "currency": "USD"}
    filled.world.tell("installment.scheduled", loan_id="L-99", borrower_id="b-1", **new)
    filled.world.now += timedelta(minutes=1)
    filled.run(name)
    assert "L-99" in open_loans(filled)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (
            "installment.scheduled",
            {"borrower_id": "b-1", "due_date": "2026-06-30", "amount": "100.00", "currency": "USD"},
        ),
        ("installment.rescheduled", {"due_date": "2026-06-29"}),
    ],
)
def test_what_was_stated_anew_after_the_file_was_put_is_not_closed(
    kind: str, fields: dict[str, Any], filled: Depot
) -> None:
    filled.world.now += timedelta(minutes=1)
    put = filled.put("all.complete.csv", installments(*LOANS[1:]))
    filled.world.now += timedelta(minutes=1)
    filled.world.tell(kind, **fields)
    filled.world.now += timedelta(minutes=1)
    assert filled.run(put).phase == "done"
    assert open_loans(filled) == set(LOANS)


def test_a_suspiciously_small_statement_is_held_and_nothing_of_it_is_applied(filled: Depot) -> None:
    before = exact(filled.world.store)
    state = filled.imported("all.complete.csv", installments(*LOANS[:17], "L-77"))
    assert (state.phase, state.closable, state.open_held) == ("held", 3, 17)
    assert exact(filled.world.store) == before
    assert filled.report("all.complete.csv")["reasons"][0].startswith("too_small: it would close 3 of 20")


def test_an_empty_statement_is_held(filled: Depot) -> None:
    assert filled.imported("all.complete.csv", installments()).phase == "held"
    assert open_loans(filled) == set(LOANS)


def test_a_held_statement_that_is_confirmed_closes(filled: Depot) -> None:
    name = filled.imported("all.complete.csv", installments(*LOANS[:5])).id
    assert filled.confirm(name).phase == "done"
    assert open_loans(filled) == set(LOANS[:5])


def test_a_statement_with_a_rejected_row_closes_nothing_and_says_so(filled: Depot) -> None:
    text = installments(*LOANS[1:]) + "L-1,1,b-1,soon,100.00,USD,3,open\n"
    state = filled.imported("all.complete.csv", text)
    assert (state.phase, state.reasons) == ("done", ("closes_nothing: rows were rejected",))
    assert open_loans(filled) == set(LOANS)


def test_a_statement_of_which_a_row_is_refused_while_it_is_applied_closes_nothing_and_says_so(filled: Depot) -> None:
    text = installments(*LOANS[2:]) + installments("L-2", currency="EUR").splitlines()[1] + "\n"
    state = filled.imported("all.complete.csv", text)
    assert (state.phase, state.closable, state.tally["rejected"]) == ("done", 1, 1)
    assert state.reasons == ("closes_nothing: rows were rejected",)
    assert open_loans(filled) == set(LOANS)


@pytest.mark.parametrize("number", [1, 1.0, "1", "01"])
def test_an_installment_is_held_in_whatever_form_its_number_is_written(number: object, filled: Depot) -> None:
    body: dict[str, Any] = {"borrower_id": "b-1", "due_date": "2026-06-30", "amount": "100.00", "currency": "USD"}
    told = [filled.world.body("installment.scheduled", loan_id=one, **body) for one in LOANS]
    state = filled.imported("e.complete.jsonl", events(*(one | {"installment_no": number} for one in told)))
    assert (state.phase, state.open_held, state.closable) == ("done", 20, 0)


def test_a_closing_that_is_refused_holds_up_no_other(filled: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predue.imports.statement_sweep.CHUNK_ROWS", 1)
    filled.world.now += timedelta(minutes=1)
    name = filled.put("all.complete.csv", installments(*LOANS[2:]))
    taken = f"unheld-{hashlib.sha256(f'{name}L-1#1'.encode()).hexdigest()[:32]}"
    filled.world.tell("borrower.updated", event_id=taken, borrower_id="b-9", name="Anna")
    filled.world.now += timedelta(minutes=1)
    state = filled.run(name)
    assert (state.closings, state.tally["rejected"], state.reasons) == (2, 1, ())
    assert open_loans(filled) == {"L-1", *LOANS[2:]}


def test_a_statement_that_had_nothing_to_close_says_nothing_of_it(filled: Depot) -> None:
    text = installments(*LOANS[1:]) + installments("L-1", currency="EUR").splitlines()[1] + "\n"
    state = filled.imported("all.complete.csv", text)
    assert (state.tally["rejected"], state.reasons) == (1, ())


def test_a_book_of_borrowers_is_no_complete_statement(filled: Depot) -> None:
    state = filled.imported("b.complete.csv", borrowers(*PEOPLE))
    assert state.phase == "refused"
    assert state.reasons[0].endswith("put a book of borrowers under a name without .complete")
    assert open_loans(filled) == set(LOANS)


def test_an_event_of_a_borrower_may_hold_more_than_predue_reads(depot: Depot) -> None:
    body = depot.world.body("borrower.updated", borrower_id="b-1", installment_no="x", due_date="2026-06-15")
    state = depot.imported("e.complete.jsonl", events(body))
    assert (state.phase, state.installments, state.due_soon) == ("done", 0, 0)


def test_a_statement_of_many_passes_closes_the_same(filled: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predue.imports.statement_sweep._IN_A_PASS", 3)
    state = filled.imported("all.complete.csv", installments(*LOANS[2:]))
    assert (state.passes, state.phase, state.closable, state.open_held) == (6, "done", 2, 18)
    assert open_loans(filled) == set(LOANS[2:])


# The volume breaker


def tight(depot: Depot, most: int = 10) -> Depot:
    depot.limits = ImportsSetting(most_due_soon=most)
    return depot


def test_a_file_that_makes_implausibly_many_due_is_held_until_somebody_confirms_it(depot: Depot) -> None:
    tight(depot).imported("b.csv", borrowers(*PEOPLE))
    before = exact(depot.world.store)
    state = depot.imported("i.csv", installments(*LOANS[:11], due_date="2026-06-15"))
    assert (state.phase, exact(depot.world.store)) == ("held", before)
    assert state.reasons == ("due_soon: more than 10 installments would fall due within 7 days",)
    assert depot.confirm(state.id).phase == "done"
    assert len(open_loans(depot)) == 11


@pytest.mark.parametrize(("count", "due_date"), [(10, "2026-06-15"), (20, "2026-06-30"), (20, "2026-06-01")])
def test_a_file_within_the_limit_or_of_other_days_goes_on(count: int, due_date: str, depot: Depot) -> None:
    tight(depot).imported("b.csv", borrowers(*PEOPLE))
    assert depot.imported("i.csv", installments(*LOANS[:count], due_date=due_date)).phase == "done"


def test_what_is_due_soon_already_does_not_count_again(depot: Depot) -> None:
    depot.imported("b.csv", borrowers(*PEOPLE))
    depot.imported("i.csv", installments(*LOANS, due_date="2026-06-15"))
    state = tight(depot).imported("more.csv", installments(*LOANS, "L-21", due_date="2026-06-15", grace_days="4"))
    assert (state.due_soon, state.phase) == (21, "done")


def test_events_that_move_everybody_to_today_are_held_too(filled: Depot) -> None:
    bodies = [filled.world.body("installment.rescheduled", loan_id=one, due_date="2026-06-13") for one in LOANS]
    assert tight(filled).imported("e.jsonl", events(*bodies)).phase == "held"
    assert due_of(filled).due_date.isoformat() == "2026-06-30"


# Interrupted, twice, replaced


def outcome(depot: Depot) -> Any:
    store = depot.world.store
    dues = [due for owed in store.dues.values() for due in owed.values()]
    told = sorted((due.loan_id, due.due_date, due.outstanding, due.closed_by) for due in dues)
    return told, {name: replace(profile, version=0) for name, profile in store.profiles.items()}


PAID = {"type": "installment.paid", "event_id": "e-1", "source": "core", "sequence": 1, "amount": "40.00"}
STORY = {
    "b.csv.gz": borrowers(*PEOPLE[:5]),
    "i.csv": installments(*LOANS[:4]) + "nonsense\n" + "L-5,1,b-5,2026-06-30,100.00,USD,3,paid\n",
    "e.jsonl": events({**PAID, "loan_id": "L-1", "installment_no": 1}),
    "i.complete.csv": installments(*LOANS[:3]),
}
"""Borrowers, loans with a bad row and a paid one, a payment, and a statement that closes one loan."""


def play(depot: Depot, before: Callable[[str], None] = lambda _call: None, tries: int = 1) -> Depot:
    """Import the files of the story; `before` runs ahead of every call of a port, and may end a try."""
    for name, content in STORY.items():
        # What the statement makes due soon is counted through, since it is more than this.
        most = 2 if name == "i.complete.csv" else 10
        depot.limits = ImportsSetting(most_closed_percent=50, due_soon_days=30, most_due_soon=most)
        depot.world.now += timedelta(minutes=1)
        put = depot.put(name, content)
        depot.world.now += timedelta(minutes=1)
        depot.files.before = depot.world.store.before = before
        for _ in range(tries):
            with suppress(Crash):
                depot.run(put)
        depot.files.before = depot.world.store.before = lambda _call: None
    return depot


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of an import takes several steps."""
    sizes = {"file_reading.CHUNK_ROWS": 2, "file_reading._INDEX_CHUNKS": 1, "statement_sweep._IN_A_PASS": 2}
    sizes |= {"file_check.SIDE_BY_SIDE": 1, "statement_sweep.SIDE_BY_SIDE": 1, "import_report._TOGETHER": 1}
    for name, size in sizes.items():
        monkeypatch.setattr(f"predue.imports.{name}", size)
    monkeypatch.setattr("tests.depot.StoreOpenDues.page", 1)


@pytest.mark.usefixtures("small_steps")
def test_a_crash_at_any_point_is_completed_by_the_next_call(new: Callable[[], Depot]) -> None:
    calls: list[str] = []
    whole = play(new(), calls.append)
    assert open_loans(whole) == {"L-1", "L-2", "L-3"}
    assert len(calls) > 200
    assert {"all_open", "dues_of", "due_dates_of"} <= set(calls)
    for number in range(0, len(calls), 3):
        left = [number]

        def before(_call: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise Crash

        again = play(new(), before, tries=2)
        assert outcome(again) == outcome(whole), (number, calls[number])
        assert again.rejected("i.csv") == whole.rejected("i.csv"), (number, calls[number])


@pytest.mark.usefixtures("small_steps")
def test_calls_that_end_after_one_step_each_come_to_the_same(new: Callable[[], Depot]) -> None:
    whole, parts = play(new()), new()
    parts.time_left = lambda: 0.0
    play(parts)
    assert outcome(parts) == outcome(whole)
    assert (
        parts.rejected("i.csv")
        == whole.rejected("i.csv")
        == ["i.csv,6,,,the row has 1 fields and the header 8; quote fields that hold a comma"]
    )
    for name in STORY:
        assert parts.report(name) | {"updated_at": ""} == whole.report(name) | {"updated_at": ""}


def test_of_two_calls_side_by_side_one_goes_on(depot: Depot) -> None:
    name = depot.put("b.csv", borrowers("b-1"))
    known = depot.files.load(name)
    assert known is not None
    depot.call(name)
    with pytest.raises(ImportMoved):
        chunk_applying.go_on(*known, depot.services())


def test_a_file_that_another_replaces_while_it_is_read_is_left(depot: Depot) -> None:
    name = depot.put("b.csv", borrowers("b-1"))
    other = depot.put("b.csv", borrowers("b-2"))
    assert depot.run(name).reasons == (chunk_applying.REPLACED,)
    assert depot.run(other).phase == "done"
    assert set(depot.world.store.profiles) == {"b-2"}


def test_ids_of_a_tenant_are_its_own_and_no_book_names_anothers(tmp_path: Path) -> None:
    depot = Depot(tmp_path, source=Source("acme", (), "acme"))
    depot.imported("b.csv", borrowers("b-1", "core~b-1"))
    assert set(depot.world.store.profiles) == {"acme~b-1"}
    assert depot.rejected("b.csv") == ["b.csv,3,core~b-1,borrower_id,borrower_id: an id holds no '~'"]


def test_a_row_that_does_not_fit_what_is_known_is_in_the_report(filled: Depot) -> None:
    state = filled.imported("late.csv", installments("L-1", currency="EUR"))
    assert state.tally["rejected"] == 1
    assert filled.rejected("late.csv") == ["late.csv,2,L-1,currency,currency: the installment is in USD"]


def test_an_event_of_another_source_or_with_the_id_of_another_is_in_the_report(filled: Depot) -> None:
    body = filled.world.body("installment.paid", amount="40.00")
    other = {**body, "amount": "50.00"}
    filled.imported("e.jsonl", events(body, other, {**body, "source": "cards", "event_id": "x"}))
    assert [line.split(",")[1] for line in filled.rejected("e.jsonl")] == ["3", "2"]
    assert due_of(filled).outstanding == 6000


def test_a_statement_closes_nothing_that_was_reopened_since_it_was_put(filled: Depot) -> None:
    filled.world.now += timedelta(minutes=1)
    filled.world.tell("installment.paid", amount="100.00")
    name = filled.put("all.complete.csv", installments(*LOANS[1:]))
    filled.world.now += timedelta(minutes=1)
    filled.world.tell("installment.payment_reversed", amount="100.00")
    assert filled.run(name).phase == "done"
    assert due_of(filled).closed_by is None


def test_a_statement_ends_nothing_that_was_paid_and_that_the_index_still_shows_as_open(filled: Depot) -> None:
    lagging = dict(filled.world.store.index)
    filled.world.tell("installment.paid", amount="100.00")
    filled.world.store.index.update(lagging)
    assert filled.imported("all.complete.csv", installments(*LOANS[1:])).phase == "done"
    assert (due_of(filled).closed_by, due_of(filled).cancelled) == ("paid", False)


def test_a_row_that_meets_other_writes_is_tried_again_and_left_to_a_later_call_if_that_goes_on(filled: Depot) -> None:
    for meetings, applied in ((2, True), (999, False)):
        left = [meetings]

        def before(call: str, left: list[int] = left) -> None:
            left[0] -= call == "write_profile"
            if call == "write_profile" and left[0] >= 0:
                raise LedgerMoved("somebody else wrote")

        filled.world.hook(before)
        with nullcontext() if applied else pytest.raises(LedgerMoved):
            filled.imported(f"new-{meetings}.csv", borrowers(f"b-new-{meetings}"))
        filled.world.hook(lambda _call: None)
        assert (f"b-new-{meetings}" in filled.world.store.profiles) is applied


def test_the_event_of_a_rows_end_has_an_id_for_each_loan_end_amount_and_what_had_been_counted() -> None:
    def row(loan: str, number: int) -> Scheduled:
        body = {"type": "installment.scheduled", "event_id": "e", "source": "core", "sequence": 0, "borrower_id": "b-1"}
        of_it = {"loan_id": loan, "installment_no": number, "due_date": "2026-06-15", "amount": "9", "currency": "USD"}
        event = read_event(body | of_it)
        assert isinstance(event, Scheduled)
        return event

    rows = [
        ("paid", row("L-1", 1), 100, ()),
        ("paid", row("L-2", 1), 100, ()),
        ("paid", row("L-1", 2), 100, ()),
        ("paid", row("L-1", 1), 200, ()),
        ("paid", row("L-1", 1), 100, ("core#p",)),
        ("cancelled", row("L-1", 1), 100, ()),
    ]
    ids = [book_events._ending(end, event, missing, "USD", counted).event_id for end, event, missing, counted in rows]
    assert len(set(ids)) == len(rows)
