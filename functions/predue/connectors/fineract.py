"""Apache Fineract's external events: `MessageV1` and what it carries, as Avro or as the same fields in JSON.

Source: apache/fineract, fineract-avro-schemas and the serializers of external events, commit 4198b0b (2024-10-24). What
follows from them:

- `source` is drawn anew at each start of Fineract, so it is no part of an event's identity; `idempotencyKey` is.
- `id` is the number of the event in Fineract's table, which grows; the sequence is made of it.
- No transaction names an installment. What is owed of each stands in the schedule of `LoanAccountDataV1`, which
  Fineract sends as `LoanBalanceChangedBusinessEvent` just before the event of each repayment, reversal and write-off.
- A charge-off sends its transaction only, so it takes what is known of the loan to know what it cancels.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from predue.connectors.avro import decode
from predue.connectors.fields import Fields
from predue.connectors.form import MessageSource, Reading
from predue.connectors.loan import Ahead, LoanEvents, Row, Schedule, rounded
from predue.errors import InvalidEvent

_ITEMS = 10_000
"""Room in a sequence for the items of one bulk message: what one loan's end of day, or one replay of all its
transactions, brought about.
"""
_WRAPPED = re.compile(r"-[0-9]{1,10}")
_INT = 2**32

_ENDS = frozenset({"LoanChargeOffPostBusinessEvent", "LoanWrittenOffPostBusinessEvent"})
_BALANCE = "LoanBalanceChangedBusinessEvent"
_DOWN_PAYMENT = "LoanTransactionDownPaymentPostBusinessEvent"
_PAYS = frozenset(
    {
        _DOWN_PAYMENT,
        "LoanChargePaymentPostBusinessEvent",
        "LoanChargeAdjustmentPostBusinessEvent",
        "LoanChargeRefundBusinessEvent",
        "LoanForeClosurePostBusinessEvent",
        "LoanWaiveInterestBusinessEvent",
        "LoanTransactionRecoveryPaymentPostBusinessEvent",
        "LoanTransactionMakeRepaymentPostBusinessEvent",
        "LoanTransactionMerchantIssuedRefundPostBusinessEvent",
        "LoanTransactionPayoutRefundPostBusinessEvent",
        "LoanTransactionGoodwillCreditPostBusinessEvent",
        "LoanTransactionInterestPaymentWaiverPostBusinessEvent",
        "LoanTransactionInterestRefundPostBusinessEvent",
    }
)

_PAYMENTS = {
    2: "repayment",
    4: "waiver",
    8: "recoveryRepayment",
    9: "waiveCharges",
    17: "chargePayment",
    21: "merchantIssuedRefund",
    22: "payoutRefund",
    23: "goodwillCredit",
    24: "chargeRefund",
    26: "chargeAdjustment",
    28: "downPayment",
    31: "interestPaymentWaiver",
    33: "interestRefund",
}
"""The types of transactions that lower what is owed, by number and by code (`LoanTransactionType`); all others that may
be replayed, such as accruals and chargebacks, do not.
"""


class _Item(NamedTuple):
    """One event, whether it came alone or in bulk."""

    kind: str
    schema: str
    data: Any
    key: str
    sequence: int
    outbound: Fields


def read(body: Any, source: MessageSource, _headers: Mapping[str, str]) -> Reading:
    """One message: the bytes that Fineract sent, or `MessageV1` in JSON with `data` as an object or in base64."""
    message = Fields.of(decode(body, source.settings.schemas) if isinstance(body, bytes) else body)
    if source.settings.tenant and message.text("tenantId") != source.settings.tenant:
        raise InvalidEvent("tenantId: is another tenant's")
    reading, ahead = Reading(), Ahead(source)
    for item in _items(message, source):
        told = _read_message(item, ahead.source)
        ahead.tell(told.events)
        reading += told
    return reading


def _items(message: Fields, source: MessageSource) -> list[_Item]:
    kind, key, sequence = message.text("type"), message.text("idempotencyKey"), _number(message) * _ITEMS
    if kind != "BulkBusinessEvent":
        return [_Item(kind, _schema(message), message.raw.get("data"), key, sequence, message)]
    parts = Fields.of(_decoded(message.raw.get("data"), source), "data").parts("datas")
    if len(parts) >= _ITEMS:
        raise InvalidEvent("data.datas: has too many items")
    return [
        _Item(part.text("type"), _schema(part), part.raw.get("data"), f"{key}/{index}", sequence + index, message)
        for index, part in enumerate(parts, 1)
    ]


def _number(message: Fields) -> int:
    """The event's number in Fineract's table, which grows. A message holds it in 32 bits, so the later half of them
    comes as negative.
    """
    text = message.text("id")
    if _WRAPPED.fullmatch(text) and int(text) >= -_INT // 2:
        return int(text) + _INT
    return message.whole("id")


def _schema(fields: Fields) -> str:
    return fields.text("dataschema").rpartition(".")[2]


def _decoded(data: Any, source: MessageSource) -> Any:
    """A payload as an object, whichever way it came."""
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidEvent("data: is neither an object nor base64") from None
    return decode(data, source.settings.schemas) if isinstance(data, bytes) else data


def _read_message(item: _Item, source: MessageSource) -> Reading:
    reader = _READERS.get(item.schema)
    if reader is None:
        return Reading(ignored=("type",))
    return reader(item, Fields.of(_decoded(item.data, source), "data"), source)


def _loan_events(item: _Item, loan_id: str, source: MessageSource) -> LoanEvents:
    return LoanEvents(source, item.key, item.sequence, loan_id, item.outbound.day("businessDate"))


def _account(item: _Item, account: Fields, source: MessageSource) -> Reading:
    """A loan with its schedule: what Fineract holds to be owed of each installment.

    Where payments are allotted, the balance that goes before each of them is ignored: it would close the
    installment, and the payment itself would then go to the next one.
    """
    if item.kind == _BALANCE and source.settings.payments == "allotted":
        return Reading(ignored=("told by the payment",))
    loan_events, status = _loan_events(item, account.text("id"), source), account.part("status")
    if status.flag("active") and not account.flag("chargedOff"):
        return _active(loan_events, account, source)
    ended = account.flag("chargedOff") or any(map(status.flag, ("closed", "closedWrittenOff", "overpaid")))
    return loan_events.nothing_owed(_schedule(account).rows if ended and account.has("repaymentSchedule") else ())


def _active(loan_events: LoanEvents, account: Fields, source: MessageSource) -> Reading:
    if not account.has("clientId"):
        return Reading(ignored=("group loan",))
    currency = account.part("repaymentSchedule").part("currency").text("code")
    borrower = account.text("clientExternalId" if source.settings.borrower == "external_id" else "clientId")
    return loan_events.stated(_schedule(account), borrower, currency)


def _schedule(account: Fields) -> Schedule:
    """The installments of a schedule; its disbursement has no number, or number 0."""
    periods = account.part("repaymentSchedule").parts("periods")
    return Schedule.read([one for one in periods if one.has("period") and one.raw["period"] != 0], "period", _row)


def _row(period: Fields) -> Row:
    owed = Decimal() if period.flag("complete") else period.balance("totalOutstandingForPeriod")
    return Row(period.whole("period"), period.day("dueDate"), owed)


def _due(item: _Item, due: Fields, source: MessageSource) -> Reading:
    """An installment that is due soon, or overdue; its message names no borrower, so it cannot create one."""
    loan_events = _loan_events(item, due.text("loanId"), source)
    installment = due.part("installment")
    number, owed = installment.whole("installmentNumber"), installment.balance("totalAmountDue")
    if due.has("currency"):
        owed = rounded(owed, due.part("currency").text("code"))
    if owed <= 0:
        return Reading((loan_events.event("installment.cancelled", number, item.key),))
    return Reading((loan_events.moved(number, installment.day("installmentDueDate"), owed, item.key),))


def _transaction(item: _Item, transaction: Fields, source: MessageSource) -> Reading:
    if item.kind not in _ENDS | _PAYS:
        return Reading(ignored=("type",))
    loan_events = _loan_events(item, transaction.text("loanId"), source)
    if item.kind in _ENDS:
        return loan_events.nothing_owed()
    if item.kind == _DOWN_PAYMENT and not loan_events.known:
        # It goes before the schedule of its own disbursement, which says what is owed after it.
        return Reading(ignored=("unknown loan",))
    return _payment(loan_events, transaction, source)


def _adjustment(item: _Item, adjustment: Fields, source: MessageSource) -> Reading:
    """A transaction that is reversed, and the one in its place if there is one."""
    old = adjustment.part("transactionToAdjust")
    loan_events = _loan_events(item, old.text("loanId"), source)
    if source.settings.payments == "stated":
        return Reading(ignored=("told by the balance",))
    reading = loan_events.reversed(old.text("id"))
    if adjustment.has("newTransactionDetail"):
        ahead, new = Ahead(source), adjustment.part("newTransactionDetail")
        ahead.tell(reading.events)
        pays = _is_payment(new.part("type"))
        reading += (
            _payment(replace(loan_events, source=ahead.source), new, source) if pays else Reading(ignored=("type",))
        )
    return reading


def _is_payment(kind: Fields) -> bool:
    """Whether a transaction of this type lowers what is owed; its code goes before its number."""
    if kind.has("code"):
        return kind.text("code").rpartition(".")[2] in _PAYMENTS.values()
    return kind.whole("id") in _PAYMENTS


def _payment(loan_events: LoanEvents, transaction: Fields, source: MessageSource) -> Reading:
    if source.settings.payments == "stated":
        return Reading(ignored=("told by the balance",))
    over = transaction.amount("overpaymentPortion") if transaction.has("overpaymentPortion") else Decimal()
    paid = transaction.amount("amount") - over
    currency = transaction.part("currency").text("code") if transaction.has("currency") else ""
    return (
        loan_events.paid(transaction.text("id"), paid, currency)
        if paid > 0
        else Reading(ignored=("more than is owed",))
    )


_READERS = {
    "LoanAccountDataV1": _account,
    "LoanRepaymentDueDataV1": _due,
    "LoanTransactionDataV1": _transaction,
    "LoanTransactionAdjustmentDataV1": _adjustment,
}
