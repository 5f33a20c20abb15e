import base64
import gzip
import json
from typing import Any

import pytest

from predue.connectors import Reading, read
from predue.connectors.avro import _known as known
from predue.connectors.avro import decode
from predue.errors import BadPolicy, InvalidEvent
from tests.fakes import state_of
from tests.unit.connectors.messages import Lender, bodies, but, kinds, message, source
from tests.unit.connectors.schemas import SCHEMAS, encoded

DISBURSAL, BALANCE = message("fineract/loan_disbursal"), message("fineract/loan_balance_changed")
DUE, CHARGE_OFF = message("fineract/loan_repayment_due"), message("fineract/loan_charge_off")
REPAYMENT, ADJUSTMENT = message("fineract/loan_make_repayment"), message("fineract/loan_adjust_transaction")
FIRST = "data__repaymentSchedule__periods__1"


def fineract(told: Any, **settings: Any) -> Reading:
    return read("fineract", told, source(**settings))


def lender(**settings: Any) -> Lender:
    one = Lender("fineract", "4711", **settings)
    one.tell(DISBURSAL)
    return one


def bulk(*items: Any) -> Any:
    """Several messages as one in bulk."""
    return but(items[0], type="BulkBusinessEvent", data={"datas": list(items)})


def later(told: Any, **changes: Any) -> Any:
    """The message as a later one; Fineract's ids grow."""
    return but(told, **{"id": 600, "idempotencyKey": "key-600", **changes})


# One message


def test_a_loan_tells_each_installment_of_its_schedule_and_no_disbursement() -> None:
    assert bodies(fineract(DISBURSAL))[0] == {
        "type": "installment.scheduled",
        "event_id": "68aed085-8235-4722-b27d-000000000501/1",
        "source": "core",
        "sequence": 5010000,
        "loan_id": "77",
        "installment_no": 1,
        "borrower_id": "4711",
        "due_date": "2026-06-15",
        "amount": "100",
        "currency": "USD",
    }
    assert kinds(fineract(DISBURSAL).events) == [("installment.scheduled", number) for number in (1, 2, 3)]


def test_a_repayment_that_is_due_keeps_the_idempotency_key_as_its_id() -> None:
    (event,) = bodies(fineract(DUE))
    assert (event["event_id"], event["due_date"], event["amount"]) == (DUE["idempotencyKey"], "2026-06-15", "100")


def test_the_borrower_may_be_the_external_id() -> None:
    assert {event.borrower_id for event in fineract(DISBURSAL, borrower="external_id").events} == {"b-1"}


def test_the_settings_grace_goes_into_every_schedule() -> None:
    assert {event["grace_days"] for event in bodies(fineract(DISBURSAL, grace_days=3))} == {3}


def test_the_random_source_of_a_restart_makes_no_new_event() -> None:
    assert fineract(but(DISBURSAL, source="another")) == fineract(DISBURSAL)


def test_another_tenant_is_refused() -> None:
    assert fineract(DISBURSAL, tenant="default").events
    with pytest.raises(InvalidEvent, match="tenantId"):
        fineract(DISBURSAL, tenant="other")


def test_what_means_nothing_to_us_is_ignored_and_named() -> None:
    assert fineract(but(DUE, dataschema="org.apache.fineract.avro.client.v1.ClientDataV1")).ignored == ("type",)
    assert fineract(but(REPAYMENT, type="LoanChargePaymentPreBusinessEvent")).ignored == ("type",)
    assert fineract(REPAYMENT).ignored == ("told by the balance",)
    assert fineract(ADJUSTMENT).ignored == ("told by the balance",)
    assert fineract(but(DISBURSAL, data__clientId=None)).ignored == ("group loan",)


def test_what_was_long_paid_before_the_loan_was_known_is_not_told() -> None:
    old = but(BALANCE, **{f"{FIRST}__dueDate": "2026-01-15"})
    assert kinds(fineract(old).events) == [("installment.scheduled", 2), ("installment.scheduled", 3)]


@pytest.mark.parametrize(
    ("told", "changes", "names"),
    [
        (DISBURSAL, {"id": None}, "id"),
        (DISBURSAL, {"id": 1.5}, "id"),
        (DISBURSAL, {"idempotencyKey": ""}, "idempotencyKey"),
        (DISBURSAL, {"data": None}, "data"),
        (DISBURSAL, {"data": "no base64!"}, "data"),
        (DISBURSAL, {"businessDate": "soon"}, "businessDate"),
        (DISBURSAL, {"data__status": None}, "data.status"),
        (DISBURSAL, {"data__repaymentSchedule": None}, "data.repaymentSchedule"),
        (DISBURSAL, {"data__repaymentSchedule__periods": {}}, "data.repaymentSchedule.periods"),
        (DISBURSAL, {"data__repaymentSchedule__periods": [{"period": 1, "dueDate": "15 June"}]}, r"periods\[0\].total"),
        (DISBURSAL, {"data__id": 10**5000}, "data.id"),
        (DUE, {"data__installment": []}, "data.installment"),
        (CHARGE_OFF, {"data__loanId": True}, "data.loanId"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(told: Any, changes: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidEvent, match=names) as caught:
        fineract(but(told, **changes))
    assert "15 June" not in str(caught.value)


def test_one_installment_told_twice_in_a_message_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="event_id"):
        fineract(but(DISBURSAL, data__repaymentSchedule__periods__2__period=1))


# What it does to the loan


def test_a_repayment_takes_the_installment_off_and_its_reversal_puts_it_back() -> None:
    one = lender()
    one.tell(DUE)
    assert one.owed("77")[1] == ("2026-06-15", "100.00")
    one.tell(BALANCE)
    one.tell(REPAYMENT)
    assert set(one.owed("77")) == {2, 3}
    one.tell(ADJUSTMENT)
    one.tell(later(DISBURSAL, type="LoanBalanceChangedBusinessEvent"))
    assert one.owed("77")[1] == ("2026-06-15", "100.00")


def test_a_part_payment_leaves_the_rest_owed() -> None:
    one = lender()
    one.tell(later(BALANCE, **{f"{FIRST}__complete": False, f"{FIRST}__totalOutstandingForPeriod": 60.0}))
    assert one.owed("77")[1] == ("2026-06-15", "60.00")


def test_an_old_balance_that_arrives_late_changes_nothing() -> None:
    one = lender()
    one.tell(BALANCE)
    one.tell(but(DISBURSAL, id=509, idempotencyKey="late"))
    assert set(one.owed("77")) == {2, 3}


def test_a_reschedule_moves_the_installment_and_cancels_what_left_the_schedule() -> None:
    one = lender()
    moved = later(
        DISBURSAL, type="LoanRescheduledDueAdjustScheduleBusinessEvent", **{f"{FIRST}__dueDate": "2026-06-25"}
    )
    del moved["data"]["repaymentSchedule"]["periods"][3]
    one.tell(moved)
    assert one.owed("77") == {1: ("2026-06-25", "100.00"), 2: ("2026-07-15", "100.00")}


def test_a_loan_that_ends_before_its_borrower_is_known_stays_silent() -> None:
    one = Lender("fineract", "somebody else")
    one.tell(DISBURSAL)
    one.tell(later(DISBURSAL, data__status__active=False, data__status__closed=True))
    one.world.borrower("4711")
    assert one.owed("77") == {}


def test_the_end_of_a_loan_that_was_never_known_is_ignored() -> None:
    assert fineract(CHARGE_OFF).ignored == ("unknown loan",)
    assert fineract(but(DISBURSAL, data__status__active=False)).ignored == ("unknown loan",)


@pytest.mark.parametrize(
    "told",
    [
        CHARGE_OFF,
        but(CHARGE_OFF, type="LoanWrittenOffPostBusinessEvent"),
        later(DISBURSAL, data__chargedOff=True),
        later(DISBURSAL, data__status__active=False, data__status__closedObligationsMet=True),
    ],
)
def test_a_charged_off_written_off_or_closed_loan_is_silent(told: Any) -> None:
    one = lender()
    one.tell(told)
    assert one.owed("77") == {}


def test_the_next_state_of_a_loan_lifts_an_undone_charge_off() -> None:
    one = lender()
    one.tell(CHARGE_OFF)
    one.tell(later(DISBURSAL))
    assert set(one.owed("77")) == {1, 2, 3}


def test_an_installment_of_a_book_is_moved_by_what_is_due_and_cancelled_when_nothing_is() -> None:
    one = Lender("fineract", "4711")
    one.world.installment("77", borrower_id="4711", source="fineract")
    one.tell(but(DUE, data__installment__installmentDueDate="2026-06-20"))
    assert one.owed("77") == {1: ("2026-06-20", "100.00")}
    one.tell(later(DUE, data__installment__totalAmountDue=0))
    assert one.owed("77") == {}


@pytest.mark.parametrize("payments", ["stated", "allotted"])
def test_messages_that_come_again_change_nothing(payments: str) -> None:
    one = lender(payments=payments)
    told = [DUE, BALANCE, REPAYMENT, ADJUSTMENT, CHARGE_OFF]
    for each in told:
        one.tell(each)
    state = state_of(one.world.store)
    for each in [DISBURSAL, *told]:
        one.tell(each)
    assert state_of(one.world.store) == state


# Payments that predue allots


def test_a_payment_goes_to_the_oldest_installments_and_its_reversal_takes_back_the_same() -> None:
    one = lender(payments="allotted")
    one.tell(but(REPAYMENT, data__amount=150.0))
    assert one.owed("77") == {2: ("2026-07-15", "50.00"), 3: ("2026-08-15", "100.00")}
    one.tell(later(REPAYMENT, data__id=9005, data__amount=50.0))
    one.tell(ADJUSTMENT)
    assert one.owed("77") == {
        1: ("2026-06-15", "100.00"),
        2: ("2026-07-15", "50.00"),
        3: ("2026-08-15", "100.00"),
    }


def test_a_payment_that_was_counted_half_is_completed_and_not_counted_twice() -> None:
    one = lender(payments="allotted")
    told = but(REPAYMENT, data__amount=150.0)
    first = one.read(told).events[0].body()
    one.world.tell(**{"kind": first["type"], **{key: value for key, value in first.items() if key != "type"}})
    one.tell(told)
    one.tell(told)
    assert one.owed("77") == {2: ("2026-07-15", "50.00"), 3: ("2026-08-15", "100.00")}


def test_the_replacement_of_a_reversed_payment_is_counted() -> None:
    one = lender(payments="allotted")
    one.tell(REPAYMENT)
    smaller = but(REPAYMENT["data"], id=9003, amount=30.0)
    one.tell(but(ADJUSTMENT, data__newTransactionDetail=smaller))
    assert one.owed("77")[1] == ("2026-06-15", "70.00")


def test_payments_in_one_bulk_message_see_each_other() -> None:
    one = lender(payments="allotted")
    items = [but(REPAYMENT, data__id=number) for number in (9010, 9011)]
    one.tell(bulk(*items, CHARGE_OFF))
    dues = one.world.store.installments("77")
    assert [due.outstanding for _, due in dues.values() if due] == [0, 0, 10000]
    assert one.owed("77") == {}


def test_a_charge_off_cancels_what_its_own_bulk_message_has_created() -> None:
    one = Lender("fineract", "4711")
    one.tell(bulk(DISBURSAL, CHARGE_OFF))
    assert one.owed("77") == {}
    assert len(one.world.store.installments("77")) == 3


def test_a_payment_passes_by_what_is_cancelled() -> None:
    one = lender(payments="allotted")
    one.world.tell("installment.cancelled", sequence=2**50, loan_id="77")
    one.tell(REPAYMENT)
    assert one.owed("77") == {3: ("2026-08-15", "100.00")}


def test_what_is_more_than_owed_is_named() -> None:
    one = lender(payments="allotted")
    assert one.read(but(REPAYMENT, data__amount=400.0)).ignored == ("more than is owed",)
    assert one.read(but(REPAYMENT, data__overpaymentPortion=100.0)).ignored == ("more than is owed",)
    assert one.read(ADJUSTMENT).ignored == ("unknown payment",)


def test_a_payment_on_a_loan_that_is_not_known_yet_is_refused_so_that_it_comes_again() -> None:
    with pytest.raises(InvalidEvent, match="loan_id"):
        fineract(REPAYMENT, payments="allotted")


def test_a_payment_in_another_currency_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="currency"):
        lender(payments="allotted").read(but(REPAYMENT, data__currency__code="EUR"))


def test_where_payments_are_allotted_a_state_moves_dates_and_leaves_amounts() -> None:
    one = lender(payments="allotted")
    one.tell(REPAYMENT)
    one.tell(later(DISBURSAL, **{f"{FIRST}__totalOutstandingForPeriod": 40.0, f"{FIRST}__dueDate": "2026-06-16"}))
    assert set(one.owed("77")) == {2, 3}


# Avro


def test_the_bytes_that_fineract_sends_say_the_same_as_their_json() -> None:
    for told in (DISBURSAL, BALANCE, DUE):
        assert fineract(encoded(told), schemas=SCHEMAS) == fineract(told)


def test_a_payload_in_base64_says_the_same_as_its_json() -> None:
    data = decode(encoded(DUE), SCHEMAS)["data"]
    assert fineract(but(DUE, data=base64.b64encode(data).decode()), schemas=SCHEMAS) == fineract(DUE)


def test_a_bulk_message_is_each_of_its_items_in_their_order() -> None:
    bulk = fineract(encoded(DUE, DISBURSAL), schemas=SCHEMAS).events
    assert kinds(bulk) == [("installment.rescheduled", 1), *[("installment.scheduled", number) for number in (1, 2, 3)]]
    assert [event.sequence for event in bulk] == [5050001, 5050002, 5050002, 5050002]
    assert len({event.event_id for event in bulk}) == 4


def test_a_schema_that_is_not_in_the_settings_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="schema"):
        fineract(encoded(DUE))


def test_the_fingerprints_are_those_of_fineracts_published_schemas() -> None:
    # Worked out from the published files by other code than this, after Avro's "Parsing Canonical Form for Schemas".
    names = {schema["name"].rpartition(".")[2]: mark for mark, schema in known(SCHEMAS).items()}
    assert names["MessageV1"] == "1fd07bcc226c7826"
    assert names["BulkMessagePayloadV1"] == "c4defed1e3cc0ac9"
    assert names["LoanRepaymentDueDataV1"] == "bf2f3c7646a04805"


@pytest.mark.parametrize("data", [b"", b"\xc3\x01", b"\x00" * 20, b'{"id": 1}'])
def test_what_is_no_single_object_avro_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidEvent, match="message"):
        fineract(data)


def test_bytes_that_end_too_soon_are_refused() -> None:
    whole = encoded(DUE)
    for length in range(10, len(whole) - 1):
        with pytest.raises(InvalidEvent):
            fineract(whole[:length], schemas=SCHEMAS)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "gzip:",
        "gzip:***",
        "gzip:AAAA",
        "[]",
        "{}",
        '{"name": "A"}',
        '{"name": "A", "namespace": "b", "type": "record", "fields": [{}]}',
        SCHEMAS[0],
    ],
)
def test_schemas_that_cannot_be_used_are_a_fault_of_the_settings(text: str) -> None:
    with pytest.raises(BadPolicy, match="schemas"):
        fineract(encoded(DUE), schemas=(text,))


def of(kind: Any) -> str:
    """The text of a record with one field."""
    fields = [{"name": "in", "type": kind}]
    return json.dumps({"type": "record", "name": "Deep", "namespace": "org.apache.fineract.avro", "fields": fields})


@pytest.mark.parametrize(
    "items",
    ["null", {"type": "record", "name": "Nothing", "fields": []}, {"type": "fixed", "name": "None", "size": 0}],
)
def test_a_schema_by_which_few_bytes_could_fill_memory_is_refused(items: Any) -> None:
    with pytest.raises(BadPolicy, match="schemas"):
        fineract(encoded(DUE), schemas=(*SCHEMAS, of({"type": "array", "items": items})))


INNER = {"type": "record", "name": "Inner", "fields": [{"name": "in", "type": ["null", "Inner"]}]}


@pytest.mark.parametrize("kind", [["null", "org.apache.fineract.avro.Deep"], {"type": "array", "items": "Deep"}, INNER])
@pytest.mark.parametrize("byte", [b"\x00", b"\x02", b"\x01", b"\x04"])
def test_bytes_that_go_down_through_a_schema_that_holds_itself_are_refused_and_do_not_end_the_process(
    kind: Any, byte: bytes
) -> None:
    # Fineract's own schemas hold themselves; the library's reader in C overflows its stack by such bytes.
    schemas = (of(kind),)
    (mark,) = [mark for mark, schema in known(schemas).items() if schema["name"].endswith("Deep")]
    with pytest.raises(InvalidEvent, match="message"):
        decode(b"\xc3\x01" + bytes.fromhex(mark) + byte * 900_000, schemas)


def test_an_ordinary_schema_beside_them_is_taken() -> None:
    kind = ["null", {"type": "array", "items": {"type": "map", "values": "int"}}]
    assert fineract(encoded(DUE), schemas=(*SCHEMAS, of(kind))) == fineract(DUE)


def test_schemas_may_come_compressed_one_or_all_of_them() -> None:
    def packed(told: Any) -> str:
        return "gzip:" + base64.b64encode(gzip.compress(json.dumps(told).encode())).decode()

    whole = [json.loads(text) for text in SCHEMAS]
    assert fineract(encoded(DUE), schemas=(packed(whole),)) == fineract(DUE)
    assert fineract(encoded(DUE), schemas=(packed(whole[0]), packed(whole[1:]))) == fineract(DUE)


def test_schemas_that_unpack_to_more_than_there_can_be_are_refused() -> None:
    bomb = "gzip:" + base64.b64encode(gzip.compress(b"[" + b" " * 10_000_000 + b"]")).decode()
    with pytest.raises(BadPolicy, match="schemas"):
        fineract(encoded(DUE), schemas=(bomb,))


def test_bytes_behind_the_record_are_refused() -> None:
    with pytest.raises(InvalidEvent, match="end"):
        fineract(encoded(DUE) + b"\x00", schemas=SCHEMAS)


def test_where_payments_are_allotted_the_balance_before_a_payment_closes_nothing() -> None:
    one = lender(payments="allotted")
    assert one.read(BALANCE).ignored == ("told by the payment",)
    for told in (BALANCE, REPAYMENT):
        one.tell(told)
    assert one.owed("77") == {2: ("2026-07-15", "100.00"), 3: ("2026-08-15", "100.00")}


def test_a_try_that_was_cut_short_stands_in_the_way_of_no_other_share_of_its_payment() -> None:
    one = lender(payments="allotted")
    (cut_short,) = one.read(REPAYMENT).events
    one.world.store.begin(cut_short.identity, cut_short.digest, one.world.now)
    one.tell(later(REPAYMENT, data__id=9005, data__amount=60.0))
    one.tell(REPAYMENT)
    assert one.owed("77") == {2: ("2026-07-15", "40.00"), 3: ("2026-08-15", "100.00")}
