"""The stream as Lambda brings it, over moto's own stream of a table and functions that do as a test says."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.events.models import EventPattern

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.aws.streams import Stream, StreamSource
from infrastructure.local.runs import run
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue.aws import clients

START = datetime(2026, 12, 10, tzinfo=UTC)
FILTERS = (EventPattern(None, {"eventName": ["INSERT"]}),)
Answer = Callable[[list[str]], Any]


class Line:
    """A table, its stream and a function; time goes from one thing on the agenda to the next."""

    def __init__(self, batch_size: int = 3) -> None:
        self.clock = VirtualClock(START)
        self.agenda: list[tuple[datetime, Callable[[], None]]] = []
        self.batches: list[list[str]] = []
        self.failures: list[str] = []
        self.dead: list[str] = []
        self.answer: Answer = lambda _names: None
        made = clients.client("dynamodb").create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]
        function = Function("f", lambda _event, _context: None, {}, 30)
        window, oldest = timedelta(seconds=10), timedelta(hours=1)
        source = StreamSource(function, made, FILTERS, batch_size, window, oldest, "dead")
        put = lambda _arn, body: self.dead.append(body)  # noqa: E731 - one of the line's hands
        self.stream = Stream(source, self.clock, self._at, self._invoke, self._failed, put, nullcontext)

    def _at(self, moment: datetime, happening: Callable[[], None]) -> None:
        self.agenda.append((moment, happening))

    def _invoke(self, _function: Function, event: Any) -> Any:
        names = [record["dynamodb"]["Keys"]["pk"]["S"] for record in event["Records"]]
        self.batches.append(names)
        answer = self.answer(names)
        failed = [
            one["dynamodb"]["SequenceNumber"]
            for one in event["Records"]
            if one["dynamodb"]["Keys"]["pk"]["S"] == answer
        ]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    def _failed(self, _function: Function, error: BaseException) -> None:
        self.failures.append(type(error).__name__)

    def write(self, *names: str) -> None:
        for name in names:
            clients.client("dynamodb").put_item(TableName="t", Item={"pk": {"S": name}})
        self.stream.note_written()

    def go_on(self, until: timedelta = timedelta(hours=2)) -> None:
        while due := [one for one in self.agenda if one[0] < START + until]:
            first = min(due, key=lambda one: one[0])
            self.agenda.remove(first)
            self.clock.move_to(max(first[0], self.clock()))
            first[1]()


@pytest.fixture
def line() -> Iterator[Line]:
    with run.moto():
        clients.forget()
        yield Line()
        clients.forget()


def test_changes_come_in_order_in_batches_and_what_the_filter_keeps_away_does_not_come(line: Line) -> None:
    line.write("a", "b", "a", "c", "d")
    line.go_on()
    assert line.batches == [["a", "b", "c"], ["d"]]
    assert line.dead == []


def test_a_batch_that_is_not_full_waits_a_while_for_more(line: Line) -> None:
    line.write("a")
    line.go_on(timedelta(seconds=9))
    assert line.batches == []
    line.write("b")
    line.go_on(timedelta(seconds=11))
    assert line.batches == [["a", "b"]]


def test_what_a_function_names_comes_again_with_all_that_is_after_it(line: Line) -> None:
    tries = iter(["b", "b", None])
    line.answer = lambda _names: next(tries, None)
    line.write("a", "b", "c")
    line.go_on()
    assert line.batches == [["a", "b", "c"], ["b", "c"], ["b", "c"]]


def test_a_function_that_raises_gets_half_as_many_until_the_one_that_it_cannot_take_is_alone(line: Line) -> None:
    def fails(names: list[str]) -> None:
        if "b" in names:
            raise ValueError

    line.answer = fails
    line.write("a", "b", "c")
    line.go_on(timedelta(minutes=50))
    assert line.batches[:2] == [["a", "b", "c"], ["a"]]
    assert ["b"] in line.batches
    assert set(line.failures) == {"ValueError"}
    assert ["c"] not in line.batches


def test_what_is_too_old_goes_to_the_dead_letters_by_its_place_and_the_rest_goes_on(line: Line) -> None:
    def fails(names: list[str]) -> None:
        if "a" in names:
            raise ValueError

    line.answer = fails
    line.write("a")
    line.go_on(timedelta(minutes=30))
    line.write("b")
    line.go_on()
    assert line.batches[-1] == ["b"]
    assert len(line.dead) == 1
    assert "startSequenceNumber" in line.dead[0]
