from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predue.aws import clients
from predue.domain.job import parts, text
from predue.domain.policy import Policy
from tests.flow.small import Book, Standing, standing, utc
from tests.functions.recorded import call, recorded

START = utc(10, 15, 1)
# A first run looks back a whole day, in which other stages would have their slots.
ON_THE_DAY = Policy.model_validate({"stages": [{"name": "T0"}]})


def book(borrowers: int) -> Book:
    made = Book()
    for number in range(borrowers):
        made.borrower(f"b-{number:03}", channels="email").installment(f"b-{number:03}", loan_id=f"loan-{number}")
    return made


def listen(operation: str) -> list[dict[str, Any]]:
    """The parameters of an operation's calls from now on."""
    response: list[dict[str, Any]] = []
    clients.session().events.register(
        f"before-parameter-build.{operation}", lambda params, **_: response.append(dict(params))
    )
    return response


@pytest.mark.parametrize("name", ["plan_reminders", "close_day"])
def test_a_schedule_starts_one_call_a_shard_all_for_the_same_instant(name: str, tmp_path: Path) -> None:
    with standing(tmp_path, book(1), START, Shards=4, known=utc(10, 14)) as stand:
        calls = listen("lambda.Invoke")
        assert call(stand.stack, name, recorded(name)) is None
        payloads = sorted(one["Payload"] for one in calls)
        assert payloads == [b'{"shard": %d, "target": "2026-12-10T15:01:00Z"}' % shard for shard in (1, 2, 3)]
        assert {one["FunctionName"] for one in calls} == {f"predue-{name.replace('_', '-')}"}
        assert {one["InvocationType"] for one in calls} == {"Event"}


def test_a_call_for_one_shard_starts_no_other(tmp_path: Path) -> None:
    with standing(tmp_path, book(1), START, Shards=4, known=utc(10, 14)) as stand:
        calls = listen("lambda.Invoke")
        call(stand.stack, "plan_reminders", {"shard": 2, "target": "2026-12-10T15:00:00Z"})
        assert calls == []


def queued(stand: Standing) -> list[str]:
    url = stand.environment["EMAIL_QUEUE_URL"]
    sqs, found = clients.client("sqs"), []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found += [text(part) for message in got for part in parts(message["Body"])]
    return found


def test_the_planner_queues_one_job_a_borrower_with_ids_only(tmp_path: Path) -> None:
    with standing(
        tmp_path, book(3).installment("b-001", loan_id="more"), START, known=utc(10, 14), policy=ON_THE_DAY
    ) as stand:
        call(stand.stack, "plan_reminders", recorded("plan_reminders"))
        bodies = queued(stand)
        assert len(bodies) == 3
        assert sum("more#1" in body for body in bodies) == 1
        assert not any("@" in body or "+1" in body or "Ana" in body for body in bodies)


def test_a_planner_whose_time_runs_out_notes_its_place_and_calls_itself_to_go_on(tmp_path: Path) -> None:
    with standing(tmp_path, book(55), START, known=utc(10, 14), policy=ON_THE_DAY) as stand:
        calls = listen("lambda.Invoke")
        planner = stand.stack.functions["predue-plan-reminders"]
        stand.stack.invoke(replace(planner, timeout=10), {"shard": 0, "target": "2026-12-10T15:00:00Z"})
        assert [one["Payload"] for one in calls] == [b'{"shard": 0, "target": "2026-12-10T15:00:00Z"}']
        assert queued(stand) == []
        stand.stack.invoke(planner, {"shard": 0, "target": "2026-12-10T15:00:00Z"})
        assert len(queued(stand)) == 55
        assert len(calls) == 1


def test_a_planner_that_goes_on_begins_after_the_pages_that_are_done(tmp_path: Path) -> None:
    with standing(tmp_path, book(105), START, known=utc(10, 14), policy=ON_THE_DAY) as stand:
        planner = stand.stack.functions["predue-plan-reminders"]
        seconds = iter([300, 5])

        def hurried(event: Any, context: Any) -> Any:
            context.get_remaining_time_in_millis = lambda: next(seconds, 300) * 1000
            return planner.handler(event, context)

        call = {"shard": 0, "target": "2026-12-10T15:00:00Z"}
        stand.stack.invoke(replace(planner, handler=hurried), call)
        first = queued(stand)
        stand.stack.invoke(planner, call)
        rest = queued(stand)
        assert (len(first), len(rest)) == (100, 5)
        assert not set(first) & set(rest)
