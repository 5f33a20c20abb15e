"""Which of Fineract's transactions lower what is owed where payments are allotted, and messages of many of them."""

from time import process_time
from typing import Any

import pytest

from predue.connectors import read
from predue.errors import InvalidEvent
from tests.unit.connectors.messages import Lender, but, message, source

DISBURSAL, REPAYMENT = message("fineract/loan_disbursal"), message("fineract/loan_make_repayment")
ADJUSTMENT = message("fineract/loan_adjust_transaction")


def lender() -> Lender:
    one = Lender("fineract", "4711", payments="allotted")
    one.tell(DISBURSAL)
    return one


def paid(kind: str, number: int, amount: float, code: str = "repayment") -> Any:
    """A transaction of its own event."""
    ids = {"id": 600 + number, "idempotencyKey": f"key-{number}", "type": kind}
    return but(REPAYMENT, **ids, data__id=number, data__amount=amount, data__type={"id": 0, "code": f"t.{code}"})


def replayed(old: int, new: int, amount: float, kind: Any) -> Any:
    """A transaction that takes another one's place."""
    detail = but(REPAYMENT["data"], id=new, amount=amount, type=kind)
    ids = {"id": 600 + new, "idempotencyKey": f"key-{new}"}
    return but(ADJUSTMENT, **ids, data__transactionToAdjust__id=old, data__newTransactionDetail=detail)


@pytest.mark.parametrize(
    "kind",
    [
        "LoanTransactionMakeRepaymentPostBusinessEvent",
        "LoanTransactionDownPaymentPostBusinessEvent",
        "LoanChargePaymentPostBusinessEvent",
        "LoanChargeAdjustmentPostBusinessEvent",
        "LoanWaiveInterestBusinessEvent",
        "LoanForeClosurePostBusinessEvent",
        "LoanTransactionGoodwillCreditPostBusinessEvent",
    ],
)
def test_whatever_lowers_what_is_owed_is_counted(kind: str) -> None:
    one = lender()
    assert one.tell(paid(kind, 1, 10)) == ["applied"]
    assert one.owed("77")[1] == ("2026-06-15", "90.00")


@pytest.mark.parametrize("kind", ["LoanChargebackTransactionBusinessEvent", "LoanRefundPostBusinessEvent"])
def test_what_raises_it_is_not(kind: str) -> None:
    assert read("fineract", paid(kind, 1, 10), source(payments="allotted")).ignored == ("type",)


@pytest.mark.parametrize(
    "kind", [{"id": 10, "code": "loanTransactionType.accrual"}, {"id": 32}, {"id": 25}, {"code": "t.new"}]
)
def test_a_replayed_transaction_that_is_no_payment_is_none(kind: dict[str, Any]) -> None:
    one = lender()
    before = one.owed("77")
    assert one.tell(replayed(5, 6, 12.5, kind)) == []
    assert one.owed("77") == before


@pytest.mark.parametrize(
    "kind", [{"id": 2}, {"id": 2, "code": "loanTransactionType.repayment"}, {"code": "t.downPayment"}]
)
def test_a_replayed_payment_takes_the_place_of_the_old_one(kind: dict[str, Any]) -> None:
    one = lender()
    one.tell(paid("LoanTransactionMakeRepaymentPostBusinessEvent", 1, 30))
    one.tell(replayed(1, 2, 20, kind))
    assert one.owed("77")[1] == ("2026-06-15", "80.00")


def test_a_replayed_transaction_of_no_known_type_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"newTransactionDetail\.type\.id: is missing"):
        lender().tell(replayed(1, 2, 20, {"value": "repayment"}))


def test_a_down_payment_before_its_own_disbursement_is_told_by_that() -> None:
    one = Lender("fineract", "4711", payments="allotted")
    down = paid("LoanTransactionDownPaymentPostBusinessEvent", 1, 10, "downPayment")
    assert one.read(down).ignored == ("unknown loan",)
    with pytest.raises(InvalidEvent, match="no installment of this loan is known"):
        one.read(paid("LoanTransactionMakeRepaymentPostBusinessEvent", 1, 10))


def test_a_bulk_of_many_replays_is_taken_and_costs_its_reader_little() -> None:
    one = lender()
    one.tell(paid("LoanTransactionMakeRepaymentPostBusinessEvent", 1, 0.5))
    items = [replayed(number, number + 1, 0.5, {"id": 2}) for number in range(1, 71)]
    items += [replayed(number, number + 1, 0.5, {"id": 32}) for number in range(2_000, 3_500)]
    began = process_time()
    told = one.read(but(items[0], type="BulkBusinessEvent", data={"datas": items}))
    assert process_time() - began < 5
    assert [event.type for event in told.events] == ["installment.payment_reversed", "installment.paid"] * 70


@pytest.mark.parametrize(
    ("written", "grows_to"), [(2**31 - 1, 2**31 - 1), (-(2**31), 2**31), (-5, 2**32 - 5), ("-5", 2**32 - 5)]
)
def test_the_number_of_a_message_grows_on_after_it_wrapped_to_negative(written: Any, grows_to: int) -> None:
    events = read("fineract", but(DISBURSAL, id=written), source()).events
    assert {event.sequence for event in events} == {grows_to * 10_000}


@pytest.mark.parametrize("written", [-(2**31) - 1, "--5", "-", -1.5])
def test_what_is_no_number_of_a_message_is_refused(written: Any) -> None:
    with pytest.raises(InvalidEvent, match="id: "):
        read("fineract", but(DISBURSAL, id=written), source())
