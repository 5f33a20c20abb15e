from typing import Any

import pytest

from predue.connectors import Settings
from predue.errors import InvalidEvent
from predue.events.models import Event
from predue.inbound.deliveries import event_of, events_of
from predue.inbound.sources import Source
from tests.unit.connectors.messages import but, message

LOANS: list[str] = []


def known(loan_id: str) -> dict[int, Any]:
    LOANS.append(loan_id)
    return {}


def read(form: str, told: Any, tenant: str = "", **settings: Any) -> list[Event]:
    LOANS.clear()
    return events_of(told, Source("core", form=form, tenant=tenant, settings=Settings(**settings)), {}, known)


def test_a_message_of_another_system_becomes_events_of_its_source() -> None:
    events = read("fineract", message("fineract/loan_disbursal"))
    assert {event.source for event in events} == {"core"}
    assert [event.body()["installment_no"] for event in events] == [1, 2, 3]
    assert LOANS == ["77"]


def test_a_tenants_source_looks_at_and_tells_of_its_tenants_loans_only() -> None:
    events = read("fineract", message("fineract/loan_disbursal"), "acme")
    assert {(event.body()["loan_id"], event.borrower_id) for event in events} == {("acme~77", "acme~4711")}
    assert LOANS == ["acme~77"]


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_a_loan_of_another_tenant_is_not_even_looked_at(tenant: str) -> None:
    with pytest.raises(InvalidEvent, match="loan_id"):
        read("fineract", but(message("fineract/loan_charge_off"), data__loanId="other~77"), tenant)
    assert LOANS == []


@pytest.mark.parametrize("told", [7, None, "x", [], [[]], True])
@pytest.mark.parametrize("form", ["fineract", "mambu", "cloudevents", "mapping"])
def test_what_is_no_object_is_no_message(form: str, told: Any) -> None:
    with pytest.raises(InvalidEvent, match="message: "):
        read(form, told)


def test_a_mapping_cannot_speak_for_another_source() -> None:
    mapping = """
[[rules]]
type = "borrower.hold_ended"
[rules.fields]
source = { constant = "bank" }
event_id = "id"
sequence = { constant = 1 }
borrower_id = { constant = "b-1" }
"""
    with pytest.raises(InvalidEvent, match="source: "):
        read("mapping", {"id": "1"}, mapping=mapping)


def test_an_event_that_is_too_large_to_keep_is_refused_in_every_form() -> None:
    told = {"specversion": "1.0", "id": "1", "source": "/x", "type": "borrower.opted_out", "sequence": "1"}
    data = {"borrower_id": "b-1", "note": "x" * 17_000}
    with pytest.raises(InvalidEvent, match="bytes"):
        read("cloudevents", {**told, "data": data})


def test_a_source_sends_only_the_types_that_it_may() -> None:
    limited = Source("crm", may=frozenset({"borrower.opted_out"}))
    told = {"event_id": "e-1", "sequence": 1, "borrower_id": "b-1"}
    assert event_of({"type": "borrower.opted_out", **told}, limited).source == "crm"
    with pytest.raises(InvalidEvent, match="type: this source may not"):
        event_of({"type": "borrower.hold_ended", **told}, limited)
