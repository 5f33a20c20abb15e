import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from predue import wiring
from predue.aws import clients
from predue.aws.table import Table
from predue.errors import Unreachable
from tests.flow.published import counted, event, open_door, post, table, tell
from tests.flow.small import Book, Standing, standing, utc
from tests.functions.recorded import call, recorded
from tests.signing import written

START = utc(10, 15, 10)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Standing]:
    with standing(tmp_path, Book().borrower().installment(), START, known=utc(10, 14)) as made:
        open_door(made)
        yield made


def outstanding(stand: Standing, loan: str = "loan-1", borrower: str = "b-1") -> int:
    with stand.stack.feeding():
        (due,) = [due for due in wiring.table().all_dues(borrower) if due.loan_id == loan]
    return due.outstanding


def test_a_request_as_api_gateway_hands_it_over_is_applied_and_acknowledged(stand: Standing) -> None:
    answer = call(stand.stack, "ingest", recorded("ingest"))
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"]) == {"status": "applied"}
    assert outstanding(stand) == 0
    assert counted(stand, "EventsApplied") == 1


def test_a_body_in_base64_is_the_same_body(stand: Standing) -> None:
    assert post(
        stand, written(event("installment.paid", amount="20.00")), content_type="application/vnd.x+json"
    ).body == {"status": "applied"}
    assert outstanding(stand) == 10000


def test_the_same_event_again_has_no_effect(stand: Standing) -> None:
    body = event("installment.paid", amount="20.00", at="2026-12-10T15:00:00Z")
    assert tell(stand, body).body == {"status": "applied"}
    before = table(stand)
    assert tell(stand, body | {"at": "2026-12-10T15:05:00Z"}).body == {"status": "duplicate"}
    assert table(stand) == before


def test_another_body_under_the_same_id_is_refused_and_alarmed_and_changes_nothing(stand: Standing) -> None:
    tell(stand, event("installment.paid", amount="20.00"))
    before = table(stand)
    response = tell(stand, event("installment.paid", amount="30.00"))
    assert (response.status, response.body.get("type")) == (409, "urn:predue:problem:event-conflict")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.body["errors"] == [{"field": "event_id", "detail": "another body came under this id before"}]
    assert table(stand) == before
    assert counted(stand, "EventConflict") == 1


def test_a_refused_event_may_come_again_mended_under_its_id(stand: Standing) -> None:
    response = tell(stand, event("installment.paid", amount="20.00", currency="EUR"))
    assert (response.status, response.body["errors"]) == (
        422,
        [{"field": "currency", "detail": "the installment is in USD"}],
    )
    assert tell(stand, event("installment.paid", amount="20.00")).body == {"status": "applied"}
    assert outstanding(stand) == 10000


def test_parts_are_paid_overpaid_and_taken_back(stand: Standing) -> None:
    for number, (kind, amount, left) in enumerate(
        [
            ("installment.paid", "50.00", 7000),
            ("installment.paid", "90.00", 0),
            ("installment.payment_reversed", "50.00", 3000),
            ("installment.paid", "30.00", 0),
        ]
    ):
        assert tell(stand, event(kind, f"e-{number}", amount=amount)).body == {"status": "applied"}
        assert outstanding(stand) == left


def test_one_bad_event_in_an_array_is_answered_for_itself_and_loses_none_of_the_others(stand: Standing) -> None:
    bodies = [
        event("installment.paid", "e-1", amount="10.00"),
        event("installment.paid", "e-2", amount="lots"),
        event("installment.paid", "e-3", amount="10.00", currency="EUR"),
        event("installment.paid", "e-1", amount="11.00"),
        event("installment.paid", "e-4", amount="10.00"),
        event("installment.paid", "e-4", amount="10.00"),
        event("installment.paid", "e-5", amount="10.00", loan_id="loan-9"),
        {"event_id": "e-6"},
    ]
    response = tell(stand, *bodies, array=True)
    assert response.status == 207
    results = response.body["results"]
    assert [one["index"] for one in results] == list(range(8))
    assert [one["event_id"] for one in results] == ["e-1", "e-2", "e-3", "e-1", "e-4", "e-4", "e-5", "e-6"]
    assert [one["status"] for one in results] == [
        *("applied", "rejected", "rejected", "rejected", "applied", "duplicate", "parked", "rejected")
    ]
    statuses = [one["problem"]["status"] for one in results if one["status"] == "rejected"]
    assert statuses == [422, 422, 409, 422]
    assert outstanding(stand) == 10000


def test_an_array_whose_time_runs_out_is_answered_as_not_taken_yet_and_its_repeat_completes_it(stand: Standing) -> None:
    bodies = [event("installment.paid", f"e-{number}", amount="1.00") for number in range(6)]
    function = stand.stack.functions["predue-ingest"]
    left = iter([15_000, 15_000, 15_000, 4_000, 4_000, 4_000])

    def hurried(request: Any, context: Any) -> Any:
        context.get_remaining_time_in_millis = lambda: next(left)
        return function.handler(request, context)

    (route,) = [route for route in stand.stack.routes if route.function is function]
    stand.stack.routes[stand.stack.routes.index(route)] = replace(route, function=replace(function, handler=hurried))
    first = tell(stand, *bodies, array=True)
    assert (first.status, first.headers["Retry-After"]) == (503, "15")
    assert [one["status"] for one in first.body["results"]] == ["applied"] * 3 + ["try_again"] * 3
    assert outstanding(stand) == 11700
    left = iter([15_000] * 6)
    second = tell(stand, *bodies, array=True)
    assert second.status == 200
    assert [one["status"] for one in second.body["results"]] == ["duplicate"] * 3 + ["applied"] * 3
    assert outstanding(stand) == 11400


@pytest.mark.parametrize("workers", [1, 8])
def test_an_array_of_many_borrowers_is_applied_as_a_whole(workers: int, tmp_path: Path) -> None:
    with standing(tmp_path, Book(), START, Workers=workers) as stand:
        open_door(stand)
        bodies: list[dict[str, Any]] = []
        for number in range(12):
            who = f"b-{number}"
            bodies.append(event("borrower.updated", f"u-{number}", 1, borrower_id=who, phone="+12125550100"))
            bodies.append(
                event(
                    "installment.scheduled",
                    f"s-{number}",
                    2,
                    borrower_id=who,
                    loan_id=f"l-{number}",
                    due_date="2026-12-20",
                    amount="100.00",
                    currency="USD",
                )
            )
            bodies.append(event("installment.paid", f"p-{number}", 3, loan_id=f"l-{number}", amount="60.00"))
        response = tell(stand, *bodies, array=True)
        assert response.status == 200
        assert {one["status"] for one in response.body["results"]} == {"applied"}
        assert {outstanding(stand, f"l-{number}", f"b-{number}") for number in range(12)} == {4000}


def of_long_loan(number: int, kind: str, **fields: str) -> dict[str, Any]:
    """Events of one installment of a loan that has many."""
    stated = {"borrower_id": "b-1", "due_date": "2026-12-20", "amount": "100.00", "currency": "USD"}
    given = fields if kind == "paid" else stated
    return event(f"installment.{kind}", f"{kind}-{number}", 1, loan_id="long", **given | {"installment_no": number})


def test_a_whole_schedule_and_its_payments_in_one_request_are_applied_each_once(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower(), START, Workers=8) as stand:
        open_door(stand)
        bodies = [of_long_loan(number, "scheduled") for number in range(1, 41)]
        bodies += [of_long_loan(number, "paid", amount=f"{number}.00") for number in range(1, 41)]
        first, second = (tell(stand, *bodies, array=True) for _ in range(2))
        assert [{one["status"] for one in response.body["results"]} for response in (first, second)] == [
            {"applied"},
            {"duplicate"},
        ]
        with stand.stack.feeding():
            owed = {due.installment_no: due.outstanding for due in wiring.table().all_dues("b-1")}
        assert owed == {number: 10_000 - 100 * number for number in range(1, 41)}


def test_installments_of_one_loan_are_taken_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, begin = Barrier(2, timeout=600), Table.begin

    def met(*given: Any) -> Any:
        both.wait()
        return begin(*given)

    with standing(tmp_path, Book().borrower(), START, Workers=8) as stand:
        open_door(stand)
        monkeypatch.setattr("predue.aws.table.Table.begin", met)
        response = tell(stand, *(of_long_loan(number, "scheduled") for number in (1, 2)), array=True)
        assert [one["status"] for one in response.body["results"]] == ["applied", "applied"]


def test_what_a_service_did_not_answer_is_to_be_repeated(stand: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: Any, **__: Any) -> None:
        raise Unreachable("write: timed out")

    with monkeypatch.context() as patch:
        patch.setattr("predue.aws.table.Table.bump", silent)
        response = tell(stand, event("installment.paid", amount="20.00"))
        assert (response.status, response.body["type"]) == (503, "urn:predue:problem:try-again")
        assert response.headers["Retry-After"]
    assert tell(stand, event("installment.paid", amount="20.00")).body == {"status": "applied"}
    assert outstanding(stand) == 10000


def test_a_defect_of_ours_is_to_be_repeated_and_logs_no_value(stand: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("+12125550147")

    monkeypatch.setattr("predue.aws.table.Table.write_due", broken)
    assert tell(stand, event("installment.paid", amount="20.00")).status == 503
    assert counted(stand, "Unexpected") == 1
    assert "5550147" not in json.dumps(stand.log)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SOURCES_SECRET", "[]"),
        ("SOURCES_SECRET", '{"core": {}}'),
        ("SOURCES_SECRET", '{"core": {"keys": ["whsec_too_short"]}}'),
        ("KEYS_SECRET", "{}"),
        ("POLICY_PARAMETER", "{"),
        ("SWITCH_PARAMETER", "off"),
    ],
)
def test_without_sources_keys_policy_or_switch_nothing_is_taken_until_they_are_mended(
    variable: str, value: str, stand: Standing
) -> None:
    name = stand.environment[variable]
    if variable.endswith("_SECRET"):
        vault = clients.client("secretsmanager")
        before = vault.get_secret_value(SecretId=name)["SecretString"]
        vault.put_secret_value(SecretId=name, SecretString=value)
    else:
        before = clients.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        clients.client("ssm").put_parameter(Name=name, Value=value, Overwrite=True)
    wiring.forget()
    body = event("borrower.updated", borrower_id="b-7", phone="+12125550170")
    response = tell(stand, body)
    assert (response.status, response.body["type"]) == (503, "urn:predue:problem:try-again")
    assert counted(stand, "FailedClosed") >= 1
    if variable.endswith("_SECRET"):
        vault.put_secret_value(SecretId=name, SecretString=before)
    else:
        clients.client("ssm").put_parameter(Name=name, Value=before, Overwrite=True)
    wiring.forget()
    assert tell(stand, body).body == {"status": "applied"}
    with stand.stack.feeding():
        assert wiring.table().profile("b-7") is not None
