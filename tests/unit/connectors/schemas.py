"""The schemas of a made-up release of Fineract, and messages written in them as Fineract writes them.

`LoanRepaymentDueDataV1` and what it holds have the published fields; `LoanAccountDataV1` is cut down to those that are
read (the published one has more than a hundred), which makes it what any release is: another writer's schema.
"""

import io
import json
from decimal import Decimal
from typing import Any

import fastavro

from predue.connectors.avro import _known as known

_ROOT = "org.apache.fineract.avro"
_TYPES = {"text": "string", "int": "int", "long": "long", "flag": "boolean", "money": "bigdecimal"}


def _schema(name: str, fields: dict[str, Any], *, space: str = "loan.v1") -> str:
    """A record's published text; every field may be null but those marked with `!`."""
    told = []
    for field, kind in fields.items():
        always = isinstance(kind, str) and kind.startswith("!")
        plain = kind[1:] if always else kind
        inner = _TYPES.get(plain, plain) if isinstance(plain, str) else plain
        told.append({"name": field, "type": [inner] if always else ["null", inner]})
    return json.dumps({"name": name, "namespace": f"{_ROOT}.{space}", "type": "record", "fields": told})


_MONEY = ("principalAmountDue", "interestAmountDue", "feeChargeAmountDue", "penaltyChargeAmountDue", "totalAmountDue")
_PAST = ("totalAmount", "principalAmount", "interestAmount", "feeAmount", "penaltyAmount")

SCHEMAS = (
    _schema(
        "LoanRepaymentDueDataV1",
        {
            "loanId": "!long",
            "loanAccountNo": "!text",
            "loanExternalId": "text",
            "currency": f"{_ROOT}.generic.v1.CurrencyDataV1",
            "installment": f"!{_ROOT}.loan.v1.RepaymentDueDataV1",
            "pastDueAmount": f"{_ROOT}.loan.v1.RepaymentPastDueDataV1",
        },
    ),
    _schema(
        "LoanAccountDataV1",
        {
            "id": "long",
            "status": f"{_ROOT}.loan.v1.LoanStatusEnumDataV1",
            "clientId": "long",
            "clientExternalId": "text",
            "repaymentSchedule": f"{_ROOT}.loan.v1.LoanScheduleDataV1",
            "chargedOff": "flag",
        },
    ),
    _schema("LoanStatusEnumDataV1", {"id": "int", "active": "flag", "closed": "flag"}),
    _schema(
        "LoanScheduleDataV1",
        {
            "currency": f"{_ROOT}.generic.v1.CurrencyDataV1",
            "periods": {"type": "array", "items": f"{_ROOT}.loan.v1.LoanSchedulePeriodDataV1"},
            "futurePeriods": {"type": "array", "items": f"{_ROOT}.loan.v1.LoanSchedulePeriodDataV1"},
        },
    ),
    _schema(
        "LoanSchedulePeriodDataV1",
        {"period": "int", "dueDate": "text", "complete": "flag", "totalOutstandingForPeriod": "money"},
    ),
    _schema(
        "RepaymentDueDataV1",
        {"installmentNumber": "int", "installmentDueDate": "text", **dict.fromkeys(_MONEY, "money")},
    ),
    _schema("RepaymentPastDueDataV1", dict.fromkeys(_PAST, "money")),
    _schema(
        "CurrencyDataV1",
        {
            "code": "text",
            "name": "text",
            "decimalPlaces": "int",
            "inMultiplesOf": "int",
            "displaySymbol": "text",
            "nameCode": "text",
            "displayLabel": "text",
        },
        space="generic.v1",
    ),
)


def encoded(*messages: Any, schemas: tuple[str, ...] = SCHEMAS) -> bytes:
    """A message as Fineract puts it on the wire; several become one in bulk, which takes the first one's envelope."""
    payloads = [{**told, "data": _object(told["dataschema"], told["data"], schemas)} for told in messages]
    if len(payloads) == 1:
        return _object(f"{_ROOT}.MessageV1", payloads[0], schemas)
    items = [{**told, "id": index} for index, told in enumerate(payloads, 1)]
    schema = f"{_ROOT}.BulkMessagePayloadV1"
    bulk = {"type": "BulkBusinessEvent", "dataschema": schema, "data": _object(schema, {"datas": items}, schemas)}
    return _object(f"{_ROOT}.MessageV1", {**messages[0], **bulk}, schemas)


def _exact(value: Any) -> Any:
    """The same with decimals for floats, which is what Avro's `decimal` takes."""
    match value:
        case float():
            return Decimal(str(value))
        case dict():
            return {key: _exact(one) for key, one in value.items()}
        case list():
            return [_exact(one) for one in value]
        case _:
            return value


def _object(name: str, record: Any, schemas: tuple[str, ...]) -> bytes:
    """A record in single-object encoding."""
    mark, schema = next((mark, schema) for mark, schema in known(schemas).items() if schema["name"] == name)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, _exact(record))
    return b"\xc3\x01" + bytes.fromhex(mark) + stream.getvalue()
