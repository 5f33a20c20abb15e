import json
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from infrastructure.openapi.event_schemas import FOLDER, files
from predue.domain import instant
from predue.domain.case import SIGNALS, at_risk
from predue.domain.due import Change, Due
from predue.domain.record import Outcome, Record
from predue.domain.stage import StageKey
from predue.outbound.published import (
    MODELS,
    case_opened,
    early_warning,
    event_id,
    opted_out,
    outcome_of,
    overdue,
    schema,
)

AT = datetime(2026, 12, 10, 15, tzinfo=UTC)
KEY = StageKey("loan-1", 1, date(2026, 12, 10), "T0")
SENT = Record("r" * 32, "b-1", AT, "2026-12-10T10:00:00-05:00", (KEY,), "sent", "", "sms")
OPTIONAL = {"CaseOpened": {"loan_id", "installment_no", "due_date"}}
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


def valid(name: str, detail: dict[str, Any]) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return bool(Draft202012Validator(schema(MODELS[name]), format_checker=checker).is_valid(detail))


def test_the_shipped_schemas_are_what_the_code_makes_and_no_other_is_there() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == files()


@pytest.mark.parametrize("name", MODELS)
def test_a_published_schema_is_one_and_says_what_each_field_must_be(name: str) -> None:
    made = schema(MODELS[name])
    Draft202012Validator.check_schema(made)
    assert made["properties"]["version"]["const"] == 1
    assert {"version", "event_id", "borrower_id", "at"} <= set(made["required"])
    assert set(made["properties"]) - set(made["required"]) == {"tenant"} | OPTIONAL.get(name, set())
    assert made["description"]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("sent", "ReminderSent"),
        ("suppressed", "ReminderSuppressed"),
        ("expired", "ReminderSuppressed"),
        ("failed", "ReminderFailed"),
        ("unknown", "ReminderUnknown"),
    ],
)
def test_each_outcome_is_told_as_one_type(outcome: Outcome, kind: str) -> None:
    event = outcome_of(replace(SENT, outcome=outcome, reason="" if outcome == "sent" else "hold"))
    assert event.type == kind
    assert event.detail()["outcome"] == outcome
    assert valid(kind, event.detail())


def test_an_event_says_whom_what_and_when_and_holds_nothing_else() -> None:
    assert outcome_of(SENT).detail() == {
        "version": 1,
        "event_id": event_id("reminder", "r" * 32, "sent"),
        "borrower_id": "b-1",
        "at": "2026-12-10T15:00:00Z",
        "reminder_id": "r" * 32,
        "dues": [{"loan_id": "loan-1", "installment_no": 1, "due_date": "2026-12-10", "stage": "T0"}],
        "outcome": "sent",
        "channel": "sms",
    }


def test_the_same_outcome_has_the_same_id_and_any_other_has_another() -> None:
    told_later = replace(SENT, receipt="delivered", at=AT.replace(hour=16), inputs={"x": 1})
    assert outcome_of(told_later).event_id == outcome_of(SENT).event_id
    others = [
        outcome_of(replace(SENT, outcome=outcome, reason="hold", reminder_id=letter * 32)).event_id
        for outcome, letter in product(OUTCOMES, "ab")
    ]
    assert len({*others, outcome_of(SENT).event_id}) == 11


def test_a_tenants_event_names_the_tenant_and_the_ids_as_the_tenant_knows_them() -> None:
    theirs = replace(SENT, borrower_id="acme~b-1", keys=(KEY._replace(loan_id="acme~loan-1"),))
    detail = outcome_of(theirs).detail()
    assert (detail["tenant"], detail["borrower_id"], detail["dues"][0]["loan_id"]) == ("acme", "b-1", "loan-1")
    assert "~" not in json.dumps(detail)
    stop = opted_out("acme~b-1", "S#1", "sms", "core", 1, AT).detail()
    assert (stop["tenant"], stop["borrower_id"]) == ("acme", "b-1")


def test_stops_of_two_borrowers_or_two_stops_of_one_have_ids_of_their_own() -> None:
    stops = [
        opted_out(who, consent_key, "all", "core", 1, AT)
        for who, consent_key in product(("b-1", "b-2"), ("S#1", "S#2"))
    ]
    assert len({stop.event_id for stop in stops}) == 4
    assert all(valid("BorrowerOptedOut", stop.detail()) for stop in stops)


def test_a_hand_over_says_what_is_owed() -> None:
    due = Due("b-1", "loan-1", 3, date(2026, 12, 5), 12345, "USD", 2, (Change(AT, open=True),), payments={"p": 345})
    detail = overdue(due, "0" * 32, AT).detail()
    assert (detail["outstanding"], detail["grace_days"], detail["disputed"]) == ("120.00", 2, False)
    assert valid("InstallmentOverdue", detail)


def test_what_a_tenants_case_tells_names_the_ids_as_the_tenant_knows_them() -> None:
    due = Due("acme~b-1", "acme~loan-1", 3, date(2026, 12, 5), 100, "USD", 2, (Change(AT, open=True),))
    case = at_risk(due, "payment_reversed", AT)
    for event in (case_opened(case), early_warning(case, "payment_reversed")):
        detail = event.detail()
        assert (detail["tenant"], detail["borrower_id"], detail["loan_id"]) == ("acme", "b-1", "loan-1")
        assert "~" not in json.dumps(detail)
        assert valid(event.type, detail)


def test_each_case_and_each_of_its_early_warnings_has_an_event_of_its_own() -> None:
    due = Due("b-1", "loan-1", 3, date(2026, 12, 5), 100, "USD", 2, (Change(AT, open=True),))
    ids = set()
    for one in (due, replace(due, loan_id="loan-2")):
        case = replace(at_risk(one, "unreachable", AT), signals=dict.fromkeys(SIGNALS, AT))
        ids |= {case_opened(case).event_id, *(early_warning(case, signal).event_id for signal in SIGNALS)}
    assert len(ids) == 2 * (1 + len(SIGNALS))


def test_a_case_seen_again_later_is_the_same_event() -> None:
    due = Due("b-1", "loan-1", 3, date(2026, 12, 5), 100, "USD", 2, (Change(AT, open=True),))
    first, again = (at_risk(due, "unreachable", at) for at in (AT, AT.replace(hour=20)))
    assert case_opened(first).event_id == case_opened(again).event_id
    assert early_warning(first, "unreachable").event_id == early_warning(again, "unreachable").event_id


@given(
    st.builds(
        lambda at, outcome, reason, number, days: replace(
            SENT,
            at=instant.from_ms(at),
            outcome=outcome,
            reason=reason,
            keys=(StageKey("l", number, date.fromordinal(days), "T-3"), KEY),
        ),
        st.integers(0, 4_000_000_000_000),
        st.sampled_from(OUTCOMES),
        st.sampled_from(["hold", "no_run", "opted_out", "refused_address"]),
        st.integers(0, 10_000),
        st.integers(730_000, 800_000),
    )
)
def test_whatever_a_record_says_its_event_is_as_the_schema_says(record: Record) -> None:
    event = outcome_of(record)
    assert valid(event.type, event.detail())
