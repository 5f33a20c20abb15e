"""Replays, changes of keys, and one tenant's hands on another's loans."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from predue import wiring
from predue.aws import clients
from tests.flow.published import event, open_door, post, raw, table, tell
from tests.flow.small import Book, Standing, standing, utc
from tests.signing import OLD, OURS, signed, written

START = utc(10, 15, 10)
GOOD = written(event("installment.paid", amount="20.00"))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Standing]:
    with standing(tmp_path, Book().borrower().installment(), START, known=utc(10, 14)) as made:
        open_door(made)
        yield made


def test_a_request_caught_and_replayed_has_no_effect_within_five_minutes_and_is_refused_after(stand: Standing) -> None:
    headers = signed(GOOD, START)
    assert raw(stand, GOOD, headers).body == {"status": "applied"}
    after = table(stand)
    assert raw(stand, GOOD, headers).body == {"status": "duplicate"}
    stand.stack.clock.move_to(utc(10, 15, 16))
    response = raw(stand, GOOD, headers)
    assert (response.status, response.body["type"]) == (401, "urn:predue:problem:timestamp")
    assert table(stand) == after


def test_while_keys_change_both_sign_and_then_the_old_one_no_longer(stand: Standing) -> None:
    for number, key in enumerate((OURS, OLD)):
        body = written(event("installment.paid", f"e-{number}", amount="1.00"))
        assert post(stand, body, key).status == 200
    open_door(stand, {"core": {"keys": [OURS]}})
    assert post(stand, written(event("installment.paid", "e-3", amount="1.00")), OLD).status == 401
    assert post(stand, written(event("installment.paid", "e-3", amount="1.00")), OURS).status == 200


def test_an_old_key_serves_no_longer_than_a_minute_after_it_was_taken_away(stand: Standing) -> None:
    body = written(event("installment.paid", amount="1.00"))
    assert post(stand, body, OLD).status == 200
    clients.client("secretsmanager").put_secret_value(
        SecretId=stand.environment["SOURCES_SECRET"], SecretString=json.dumps({"core": {"keys": [OURS]}})
    )
    stand.stack.clock.move_to(utc(10, 15, 11))
    assert post(stand, body, OLD).status == 401


OTHERS = [
    event("installment.paid", "x-1", amount="120.00"),
    event("installment.cancelled", "x-2"),
    event("installment.disputed", "x-3"),
    event("installment.rescheduled", "x-4", due_date="2027-01-31"),
    event("borrower.updated", "x-5", phone="+12125550199", consent=[]),
    event("borrower.opted_out", "x-6", channel="all"),
    event("borrower.hold_started", "x-7", reason="hardship"),
    event("installment.scheduled", "x-8", borrower_id="b-1", due_date="2027-02-01", amount="5.00", currency="USD"),
]


@pytest.mark.parametrize("body", OTHERS, ids=[one["event_id"] for one in OTHERS])
def test_another_tenants_loan_or_borrower_is_an_unknown_one_of_ones_own(body: dict[str, Any], stand: Standing) -> None:
    """Whether the lender has the loan or not, the answer is the same, and nothing of the lender's changes."""
    own = [line for line in table(stand) if "acme" not in line and "U#in_use" not in line]
    known = tell(stand, body, source="acme")
    absent = {name: "there-is-none" for name in ("borrower_id", "loan_id") if name in body}
    unknown = tell(stand, body | absent | {"event_id": "other"}, source="acme")
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.status == 200
    after = [line for line in table(stand) if "acme" not in line and "U#in_use" not in line]
    assert [line for line in after if "5550199" not in line] == own or body["type"] == "borrower.updated"
    with stand.stack.feeding():
        store = wiring.table()
        (due,) = store.all_dues("b-1")
        profile = store.profile("b-1")
        assert (due.outstanding, due.closed_by, due.disputed) == (12000, None, False)
        assert profile is not None
        assert "sms" in profile.consent
        assert not store.ledger("b-1").opted_out("sms")
        assert store.ledger("b-1").holds == {}


@pytest.mark.parametrize("source", ["core", "acme"])
def test_no_id_reaches_into_a_tenant_by_its_prefix(source: str, stand: Standing) -> None:
    tell(stand, event("borrower.updated", "t-1", borrower_id="b-9", phone="+12125550190"), source="acme")
    before = table(stand)
    for name in ("acme~b-9", "~b-9", "core~b-1"):
        response = tell(stand, event("borrower.opted_out", "t-2", borrower_id=name, channel="all"), source=source)
        assert (response.status, [one["field"] for one in response.body["errors"]]) == (422, ["borrower_id"])
    assert table(stand) == before


def test_two_tenants_may_use_the_same_ids(stand: Standing) -> None:
    tell(stand, event("borrower.updated", "t-1", phone="+12125550190"), source="acme")
    scheduled = event(
        "installment.scheduled", "t-2", borrower_id="b-1", due_date="2026-12-20", amount="5.00", currency="USD"
    )
    assert tell(stand, scheduled, source="acme").body == {"status": "applied"}
    assert tell(stand, event("installment.paid", "t-3", amount="2.00"), source="acme").body == {"status": "applied"}
    with stand.stack.feeding():
        ((theirs,), (ours,)) = (wiring.table().all_dues(name) for name in ("acme~b-1", "b-1"))
        assert (theirs.outstanding, ours.outstanding) == (300, 12000)
