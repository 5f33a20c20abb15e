"""Schedules as loan systems keep them: in more digits than anybody pays, and with a period that cannot be read."""

from datetime import date
from typing import Any

import pytest

from predue.errors import InvalidEvent
from tests.unit.connectors.messages import Lender, but, kinds, message

DISBURSAL, OPENED = message("fineract/loan_disbursal"), message("mambu/disbursement_with_schedule")
PERIOD, INSTALLMENT = "data__repaymentSchedule__periods__1", "schedule__installments__0"
FORMS = {
    "fineract": (DISBURSAL, "77", PERIOD, "period", "dueDate", "totalOutstandingForPeriod"),
    "mambu": (OPENED, "LOAN-77", INSTALLMENT, "number", "dueDate", "principal__amount__due"),
}
each_form = pytest.mark.parametrize("form", FORMS)


def again(form: str, **changes: Any) -> Any:
    """The opening message once more, as a later one with its first period changed."""
    told, _, first, *names = FORMS[form]
    ids = (
        {"id": 900, "idempotencyKey": "k-9"}
        if form == "fineract"
        else {"at": "2026-06-09T00:00:00Z", "event_id": "n-9"}
    )
    return but(
        told,
        **ids,
        **{
            f"{first}__{dict(zip(('number', 'day', 'owed'), names, strict=True))[name]}": value
            for name, value in changes.items()
        },
    )


def opened(form: str) -> Lender:
    one = Lender(form, "4711")
    one.tell(FORMS[form][0])
    return one


@each_form
@pytest.mark.parametrize(
    "wrong",
    [
        {"owed": "much"},
        {"owed": float("nan")},
        {"owed": "1e999999999"},
        {"day": "15 June"},
        {"day": None},
        {"day": "9999-01-01"},
    ],
)
def test_a_period_that_cannot_be_read_changes_nothing_and_keeps_the_others(form: str, wrong: dict[str, Any]) -> None:
    one, loan = opened(form), FORMS[form][1]
    before = one.owed(loan)
    told = one.read(again(form, **wrong))
    assert kinds(told.events) == [("installment.scheduled", number) for number in before if number != 1]
    ((field, reason),) = told.warned
    assert ("dueDate" if "day" in wrong else "mount") in field + reason or "calendar" in reason
    assert "15 June" not in reason
    one.tell(again(form, **wrong))
    assert one.owed(loan) == before


@each_form
def test_where_a_period_has_no_number_nothing_is_taken_for_gone(form: str) -> None:
    one, loan = opened(form), FORMS[form][1]
    before = one.owed(loan)
    one.tell(again(form, number="one"))
    assert one.owed(loan) == before


@each_form
@pytest.mark.parametrize("overpaid", [-0.01, "-100", 0, 0.004])
def test_what_was_overpaid_or_is_less_than_can_be_paid_is_not_owed(form: str, overpaid: Any) -> None:
    one, loan = opened(form), FORMS[form][1]
    told = again(form, owed=overpaid)
    for part in ("interest", "fee", "penalty"):
        if form == "mambu":
            told["schedule"]["installments"][0].pop(part, None)
    one.tell(told)
    assert 1 not in one.owed(loan)
    assert 2 in one.owed(loan)


@pytest.mark.parametrize(
    ("owed", "currency", "rounded"),
    [
        (38.833333333333336, "USD", "38.83"),
        ("38.8350000000", "USD", "38.84"),
        (10.001, "USD", "10.00"),
        (33.333333, "JPY", "33"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_an_unrounded_schedule_is_rounded_to_what_can_be_paid(owed: Any, currency: str, rounded: str) -> None:
    one = Lender("fineract", "4711")
    told = but(DISBURSAL, **{f"{PERIOD}__totalOutstandingForPeriod": owed})
    told["data"]["repaymentSchedule"]["currency"]["code"] = currency
    one.tell(told)
    assert one.owed("77")[1] == ("2026-06-15", rounded)


def test_a_payment_in_more_digits_is_rounded_too() -> None:
    one = Lender("mambu", "4711", payments="allotted")
    one.tell(message("mambu/repayment_reminder"))
    one.tell(but(message("mambu/repayment"), amount="33.3333333333"))
    assert one.owed("LOAN-77")[1][1] == "66.67"


@pytest.mark.parametrize("stored", ["2026-06-14T22:00:00Z", "2026-06-15T04:00:00+00:00", "2026-06-15T23:59:59Z"])
def test_a_due_date_that_is_stored_as_an_instant_in_utc_is_refused_rather_than_a_day_off(stored: str) -> None:
    told = but(OPENED, **{f"{INSTALLMENT}__dueDate": stored})
    told["schedule"]["installments"] = told["schedule"]["installments"][:1]
    with pytest.raises(InvalidEvent, match="dueDate: is a time in UTC"):
        Lender("mambu", "4711").tell(told)


@pytest.mark.parametrize(
    "stored",
    [
        "2026-06-15",
        "2026-06-15T00:00:00Z",
        "2026-06-15T00:00:00-04:00",
        "2026-06-15T00:00:00",
        "2026-06-15T12:00:00+02:00",
    ],
)
def test_a_due_date_is_the_one_that_a_timestamp_shows(stored: str) -> None:
    one = Lender("mambu", "4711")
    one.tell(but(OPENED, **{f"{INSTALLMENT}__dueDate": stored}))
    assert one.owed("LOAN-77")[1][0] == date(2026, 6, 15).isoformat()
