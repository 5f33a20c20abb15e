from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.local.audit.days import Days
from infrastructure.local.audit.history import History
from infrastructure.local.audit.input_files import GivenBorrower, GivenEvent, GivenInstallment, Inputs
from infrastructure.local.audit.planned import planned_stages
from infrastructure.local.audit.replay import Owed, Person
from infrastructure.local.audit.terms import AuditKey, Terms

START = datetime(2026, 11, 30, tzinfo=UTC)
FIRST, LAST = date(2026, 12, 1), date(2026, 12, 31)
ANN = GivenBorrower("b-1", "America/New_York", "US", ("sms",), ("sms",))
DUE = GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 10000, "USD", 5, "open")
IDS = {"borrower_id": "b-1", "loan_id": "L-1", "installment_no": 1}
WHOLE = {"due_date": "2026-12-10", "amount": "100", "currency": "USD", "grace_days": 5}

News = tuple[str, str, dict[str, Any]]


def history(
    *news: News, people: list[GivenBorrower] | None = None, dues: list[GivenInstallment] | None = None
) -> History:
    """Replay events of the form (arrival, type, body); `sequence` and `event_id` default to the place in the list."""
    events = []
    for number, (at, kind, body) in enumerate(news, start=1):
        frame = {"type": kind, "event_id": f"e-{number}", "source": "core", "sequence": number}
        about = IDS if kind.startswith("installment") else {"borrower_id": "b-1"}
        events.append(GivenEvent(number, datetime.fromisoformat(at), {**frame, **about, **body}))
    events.sort(key=lambda event: event.at)
    return History(Inputs([ANN] if people is None else people, [DUE] if dues is None else dues, events), START)


def owed(replayed: History, at: str = "2026-12-31T00:00:00Z") -> Owed | None:
    return replayed.owed("L-1", 1).at(datetime.fromisoformat(at))


def person(replayed: History) -> Person:
    found = replayed.person("b-1").at(datetime(2027, 1, 1, tzinfo=UTC))
    assert found is not None
    return found


def stages(replayed: History) -> set[str]:
    """Name the planned stages with their due dates, `?` after those that may or may not have an outcome."""
    planned = planned_stages(replayed, Days(Terms()), Terms().stages, FIRST, LAST)
    return {f"{key.due_date:%d}{key.stage}" for key in planned.required} | {
        f"{key.due_date:%d}{key.stage}?" for key in planned.either
    }


ALL = {"10T-7", "10T-3", "10T-1", "10T0", "10T+1"}


def test_an_open_installment_is_planned_at_each_stage_and_after_its_due_date_only_inside_grace() -> None:
    short = GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 10000, "USD", 0, "open")

    assert stages(history()) == ALL
    assert stages(history(dues=[short])) == ALL - {"10T+1"}


@pytest.mark.parametrize("status", ["paid", "cancelled"])
def test_an_installment_that_the_file_closes_is_not_planned(status: str) -> None:
    assert stages(history(dues=[GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 1, "USD", 5, status)])) == set()


def test_events_of_the_slots_very_instant_comes_before_the_slot() -> None:
    paid = {"amount": "100"}

    assert stages(history(("2026-12-09T15:00:00Z", "installment.paid", paid))) == {"10T-7", "10T-3"}
    assert stages(history(("2026-12-09T15:00:00.001Z", "installment.paid", paid))) == {"10T-7", "10T-3", "10T-1"}


def test_payments_add_up_in_any_order_each_once_and_a_reversal_opens_again() -> None:
    half = {"amount": "50.00", "currency": "USD"}
    replayed = history(
        ("2026-12-04T00:00:00Z", "installment.paid", {**half, "sequence": 9}),
        ("2026-12-05T00:00:00Z", "installment.paid", {**half, "sequence": 2}),
        ("2026-12-06T00:00:00Z", "installment.paid", {**half, "event_id": "e-2"}),
        ("2026-12-08T00:00:00Z", "installment.payment_reversed", half),
    )

    assert [owed(replayed, f"2026-12-0{day}T12:00:00Z").outstanding for day in (3, 4, 5, 6, 8)] == [  # type: ignore[union-attr]
        10000, 5000, 0, 0, 5000,
    ]  # fmt: skip
    assert stages(replayed) == ALL - {"10T-3"}


def test_one_event_id_from_two_sources_is_two_events() -> None:
    half = {"amount": 50, "event_id": "e-1"}
    replayed = history(
        ("2026-12-04T00:00:00Z", "installment.paid", half),
        ("2026-12-05T00:00:00Z", "installment.paid", {**half, "source": "branch"}),
    )

    assert owed(replayed).outstanding == 0  # type: ignore[union-attr]


def test_a_rescheduled_installment_has_new_stages_and_its_old_ones_end() -> None:
    replayed = history(("2026-12-07T15:00:01Z", "installment.rescheduled", {"due_date": "2026-12-20"}))

    assert stages(replayed) == {"10T-7", "10T-3", "20T-7", "20T-3", "20T-1", "20T0", "20T+1"}


def test_a_date_that_comes_back_opens_its_own_stages_again() -> None:
    replayed = history(
        ("2026-12-05T00:00:00Z", "installment.rescheduled", {"due_date": "2026-12-30"}),
        ("2026-12-08T00:00:00Z", "installment.rescheduled", {"due_date": "2026-12-10"}),
    )

    assert stages(replayed) == ALL - {"10T-3"}


def test_an_installment_known_after_its_slot_is_not_planned_for_that_day() -> None:
    late = history(("2026-12-07T15:00:01Z", "installment.scheduled", WHOLE), dues=[])
    just = history(("2026-12-07T15:00:00Z", "installment.scheduled", WHOLE), dues=[])

    assert stages(late) == {"10T-1", "10T0", "10T+1"}
    assert stages(just) == {"10T-3", "10T-1", "10T0", "10T+1"}


def test_events_of_an_unknown_installment_waits_for_it_and_then_counts() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.paid", {"amount": "40"}),
        ("2026-12-01T01:00:00Z", "installment.paid", {"amount": "60", "borrower_id": "b-9"}),
        ("2026-12-01T02:00:00Z", "installment.rescheduled", {"due_date": "2026-12-20", "sequence": 7}),
        ("2026-12-02T00:00:00Z", "installment.scheduled", WHOLE),
        dues=[],
    )

    assert owed(replayed, "2026-12-01T12:00:00Z") is None
    assert owed(replayed) == Owed(date(2026, 12, 20), 5, 6000, cancelled=False, disputed=False)


def test_state_is_set_only_by_events_that_is_newer_for_its_aspect() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.cancelled", {"sequence": 5}),
        ("2026-12-02T00:00:00Z", "installment.scheduled", {**WHOLE, "sequence": 4, "amount": "70"}),
        ("2026-12-03T00:00:00Z", "installment.rescheduled", {"sequence": 3, "due_date": "2026-12-25"}),
        ("2026-12-04T00:00:00Z", "installment.disputed", {"sequence": 2}),
        ("2026-12-05T00:00:00Z", "installment.dispute_ended", {"sequence": 1}),
    )
    assert owed(replayed) == Owed(date(2026, 12, 10), 5, 7000, cancelled=True, disputed=True)

    stale = history(("2026-12-02T00:00:00Z", "installment.scheduled", {**WHOLE, "sequence": 0, "amount": "70"}))
    assert owed(stale).outstanding == 10000  # type: ignore[union-attr]


def test_a_newer_schedule_revives_a_cancelled_installment() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.cancelled", {}),
        ("2026-12-08T00:00:00Z", "installment.scheduled", WHOLE),
    )

    assert stages(replayed) == {"10T-1", "10T0", "10T+1"}


def test_a_dispute_leaves_the_installment_planned() -> None:
    assert stages(history(("2026-12-01T00:00:00Z", "installment.disputed", {}))) == ALL


def test_a_reschedule_may_carry_an_amount_and_a_grace_each_with_its_own_newest_sequence() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.rescheduled", {"sequence": 5, "due_date": "2026-12-20", "amount": "70"}),
        ("2026-12-02T00:00:00Z", "installment.rescheduled", {"sequence": 4, "due_date": "2026-12-21", "grace_days": 0}),
    )

    assert owed(replayed) == Owed(date(2026, 12, 20), 0, 7000, cancelled=False, disputed=False)


def test_events_of_an_installment_need_not_name_its_borrower_and_numbers_may_be_texts() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.paid", {"amount": 40.5, "borrower_id": None, "installment_no": "1"})
    )

    assert owed(replayed).outstanding == 5950  # type: ignore[union-attr]


def test_an_opt_out_that_names_no_channel_is_one_of_all_and_counts_from_sequence_zero() -> None:
    assert person(history(("2026-12-01T00:00:00Z", "borrower.opted_out", {"sequence": 0}))).opted_out == {"all"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("installment.paid", {"amount": "-100"}),
        ("installment.paid", {"amount": "100.001"}),
        ("installment.paid", {"amount": None}),
        ("installment.paid", {"amount": True}),
        ("installment.paid", {"amount": "100", "currency": "EUR"}),
        ("installment.paid", {"amount": "100", "borrower_id": "b-9"}),
        ("installment.paid", {"amount": "100", "installment_no": 0}),
        ("installment.rescheduled", {"due_date": "20261220"}),
        ("installment.rescheduled", {}),
        ("installment.scheduled", {**WHOLE, "currency": "XQQ", "due_date": "2026-12-20"}),
        ("installment.scheduled", {**WHOLE, "grace_days": 400, "due_date": "2026-12-20"}),
        ("installment.scheduled", {**WHOLE, "currency": "EUR", "due_date": "2026-12-20"}),
        ("installment.scheduled", {**WHOLE, "amount": None, "due_date": "2026-12-20"}),
        ("installment.cancelled", {"sequence": "last"}),
        ("installment.cancelled", {"sequence": -1}),
        ("installment.vanished", {}),
        ("borrower.updated", {"preferred_time": "noon", "time_zone": "Asia/Tokyo"}),
        ("borrower.updated", {"channels": "fax", "time_zone": "Asia/Tokyo"}),
        ("borrower.opted_out", {"channel": "fax"}),
        ("borrower.hold_started", {"reason": ""}),
    ],
)
def test_malformed_events_has_no_effect_and_may_come_again_mended(kind: str, body: dict[str, Any]) -> None:
    again = ("2026-12-02T00:00:00Z", "installment.cancelled", {"event_id": "e-1"})

    assert owed(history(("2026-12-01T00:00:00Z", kind, body))) == owed(history())
    assert person(history(("2026-12-01T00:00:00Z", kind, body))) == person(history())
    assert owed(history(("2026-12-01T00:00:00Z", kind, body), again)).cancelled  # type: ignore[union-attr]


def test_an_update_merges_the_given_fields_each_when_newer() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "borrower.updated", {"sequence": 5, "time_zone": "Asia/Tokyo"}),
        ("2026-12-02T00:00:00Z", "borrower.updated", {"sequence": 4, "time_zone": "UTC", "channels": "email|sms"}),
        ("2026-12-03T00:00:00Z", "borrower.updated", {"sequence": 6, "preferred_time": "18:30", "channels": ["push"]}),
    )

    after = person(replayed)
    assert after.place.time_zone == "Asia/Tokyo"
    assert (after.channels, after.consent) == (("push",), ("sms",))
    assert str(after.place.preferred_time) == "18:30:00"


def test_an_update_creates_an_unknown_borrower_whose_opt_out_came_before() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "installment.scheduled", WHOLE),
        ("2026-12-02T00:00:00Z", "borrower.opted_out", {"channel": "sms"}),
        ("2026-12-08T00:00:00Z", "borrower.updated", {"time_zone": "America/New_York", "jurisdiction": "US"}),
        people=[],
        dues=[],
    )

    assert person(replayed).opted_out == {"sms"}
    assert stages(replayed) == {"10T-3?", "10T-1", "10T0", "10T+1"}, "before, nobody could be reminded"


def test_a_hold_that_began_before_all_holds_ended_is_over_whenever_its_events_arrives() -> None:
    replayed = history(
        ("2026-12-01T00:00:00Z", "borrower.hold_started", {"sequence": 1, "reason": "hardship"}),
        ("2026-12-02T00:00:00Z", "borrower.hold_ended", {"sequence": 3}),
        ("2026-12-03T00:00:00Z", "borrower.hold_started", {"sequence": 2, "reason": "bereavement"}),
        ("2026-12-04T00:00:00Z", "borrower.hold_started", {"sequence": 4, "reason": "dispute"}),
    )

    assert person(replayed).holds == {"dispute"}


@pytest.mark.parametrize(
    ("at", "zone", "kept"),
    [
        ("2026-12-07T14:00:00Z", "America/Los_Angeles", "10T-3"),  # the new slot is still to come
        ("2026-12-07T16:00:00Z", "America/Los_Angeles", "10T-3"),  # the old one was used
        ("2026-12-07T14:00:00Z", "Europe/Paris", "10T-3?"),  # the old one was not reached, and the new one is past
    ],
)
def test_a_zone_that_changes_on_the_day_leaves_open_only_what_no_slot_settles(at: str, zone: str, kept: str) -> None:
    replayed = history((at, "borrower.updated", {"time_zone": zone}))

    assert stages(replayed) == (ALL - {"10T-3"}) | {kept}


def test_a_stage_is_left_open_when_the_slots_of_a_changed_day_disagree() -> None:
    replayed = history(
        ("2026-12-07T16:00:00Z", "borrower.updated", {"time_zone": "America/Los_Angeles"}),
        ("2026-12-07T17:00:00Z", "installment.paid", {"amount": "100"}),
    )

    assert stages(replayed) == {"10T-7", "10T-3?"}


@pytest.mark.parametrize(("date_told", "planned"), [("2999-12-31", {"10T-7"}), ("9999-12-31", ALL)])
def test_a_due_date_at_the_end_of_the_calendar_stops_nothing(date_told: str, planned: set[str]) -> None:
    """What lenders write for `never` is refused from the year 3000 on."""
    assert stages(history(("2026-12-05T00:00:00Z", "installment.rescheduled", {"due_date": date_told}))) == planned


LOAN_EVENTS: list[News] = [
    ("", "installment.scheduled", {**WHOLE, "sequence": 2, "amount": "200"}),
    ("", "installment.rescheduled", {"sequence": 3, "due_date": "2026-12-20"}),
    ("", "installment.rescheduled", {"sequence": 4, "due_date": "2026-12-22"}),
    ("", "installment.paid", {"sequence": 5, "amount": "30"}),
    ("", "installment.payment_reversed", {"sequence": 6, "amount": "10"}),
    ("", "installment.cancelled", {"sequence": 7}),
    ("", "installment.scheduled", {**WHOLE, "sequence": 8, "amount": "80"}),
    ("", "installment.disputed", {"sequence": 9}),
    ("", "installment.dispute_ended", {"sequence": 10}),
    ("", "borrower.opted_out", {"sequence": 1, "channel": "sms"}),
    ("", "borrower.opted_in", {"sequence": 2, "channel": "sms"}),
    ("", "borrower.opted_out", {"sequence": 3, "channel": "all"}),
    ("", "borrower.hold_started", {"sequence": 4, "reason": "hardship"}),
    ("", "borrower.hold_ended", {"sequence": 5}),
    ("", "borrower.hold_started", {"sequence": 6, "reason": "dispute"}),
    ("", "borrower.updated", {"sequence": 7, "consent": "email", "locale": "es"}),
]


@given(
    order=st.permutations(range(len(LOAN_EVENTS))),
    repeats=st.lists(st.integers(0, len(LOAN_EVENTS) - 1)),
    in_file=st.booleans(),
)
def test_the_end_is_the_same_for_every_order_of_arrival_and_however_often_events_repeats(
    order: list[int], repeats: list[int], *, in_file: bool
) -> None:
    def end(order: list[int]) -> tuple[Owed | None, Person]:
        news = []
        for minute, index in enumerate(order):
            _, kind, body = LOAN_EVENTS[index]
            at = START + timedelta(days=1, minutes=minute)
            said = {"occurred_at": at.isoformat()} if kind == "borrower.opted_in" else {}
            news.append((at.isoformat(), kind, {**body, **said, "event_id": f"n-{index}"}))
        replayed = history(*news, dues=[DUE] if in_file else [])
        return owed(replayed), person(replayed)

    assert end([*order, *repeats]) == end(list(range(len(LOAN_EVENTS))))


def test_a_key_names_the_installment_and_its_owner_is_known() -> None:
    replayed = history()
    planned = planned_stages(replayed, Days(Terms()), Terms().stages, FIRST, LAST)

    assert replayed.owner("L-1", 1) == "b-1"
    assert replayed.owner("L-9", 1) is None
    assert planned.required[AuditKey("L-1", 1, date(2026, 12, 10), "T0")].slot == datetime(2026, 12, 10, 15, tzinfo=UTC)
