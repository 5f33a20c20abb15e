from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from infrastructure.local.aws.aws_server import AwsServer, aws_server
from infrastructure.local.runtime.effects import EFFECTS, Missed, check
from infrastructure.local.runtime.scene import Scene, noon_zone, scene
from predue.domain import zone

NOW = datetime(2027, 3, 14, 3, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[AwsServer]:
    with aws_server() as one:
        yield one


@pytest.fixture(scope="module")
def made(server: AwsServer) -> Scene:
    """Tests only look at it: nothing in them calls a function."""
    return scene(server, NOW)


@pytest.mark.parametrize("hour", range(24))
def test_at_every_hour_there_is_a_known_zone_in_which_it_is_noon(hour: int) -> None:
    moment = datetime(2026, 12, 31, hour, 59, tzinfo=UTC)
    name = noon_zone(moment)
    assert zone.zone(name) is not None
    assert moment.astimezone(ZoneInfo(name)).hour == 12


def test_every_function_of_the_template_must_do_something_that_is_checked(made: Scene) -> None:
    assert {one.module for one in made.functions} == set(EFFECTS)


@pytest.mark.parametrize("module", sorted(EFFECTS))
def test_a_function_that_answered_and_did_nothing_has_missed(module: str, made: Scene) -> None:
    with pytest.raises(Missed):
        check(made, module, {"statusCode": 200, "body": "</html>", "batchItemFailures": []})


def test_an_answer_that_names_failed_messages_has_missed(made: Scene) -> None:
    with pytest.raises(Missed, match="m-1"):
        check(made, "deliver_sms", {"batchItemFailures": [{"itemIdentifier": "m-1"}]})


def test_a_function_of_which_nobody_says_what_it_does_has_missed(made: Scene) -> None:
    with pytest.raises(Missed, match="does not say"):
        check(made, "another", None)


def test_a_function_gets_its_own_variables_the_shared_ones_and_its_limits(made: Scene) -> None:
    one = made.function("unsubscribe")
    assert (one.logical_id, one.handler, one.timeout, one.memory) == ("Unsubscribe", "unsubscribe.handler", 10, 512)
    assert one.code.name == "functions"
    assert one.variables.keys() >= {"TABLE_NAME", "KEYS_SECRET"}
    assert "BUS_NAME" not in one.variables
    assert made.function("deliver_sms").variables["SMS_QUEUE_URL"].startswith("http://127.0.0.1:")
    assert not any("AWS_ENDPOINT_URL" in other.variables for other in made.functions)


def test_an_event_is_about_the_reminder_that_is_due_now(made: Scene) -> None:
    assert made.slot <= NOW < made.slot + timedelta(hours=3)
    body = made.event("deliver_sms")["Records"][0]["body"]
    assert made.day.isoformat() in body
    assert "2026-12-10" not in str([made.event(module) for module in sorted(EFFECTS)])
