import io
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws import stack
from infrastructure.local.aws.stack import PARAMETERS, ROOT, Stack
from infrastructure.local.runs import run
from infrastructure.local.sam import resources
from infrastructure.local.sam.template import TemplateError, TemplateFile
from predue.aws import clients

START = datetime(2026, 12, 10, tzinfo=UTC)
EVERYTHING = {"DomainName": "remind.example", "CertificateArn": "arn:aws:acm:us-east-1:1:x", "Publish": "webhooks"}
"""What parameters may switch on."""


def types(root: Path = ROOT) -> set[str]:
    """Every resource type of the templates, whatever its condition."""
    parameters = PARAMETERS | EVERYTHING
    file = TemplateFile(root / "template.yaml", parameters, lambda _resource, _attribute: "")
    return {resource.type for resource in file.resources()}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The templates in a folder of their own, which the stack reads instead."""
    (tmp_path / "infrastructure").mkdir()
    shutil.copy(ROOT / "template.yaml", tmp_path)
    for path in (ROOT / "infrastructure").glob("*.yaml"):
        shutil.copy(path, tmp_path / "infrastructure")
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    with run.moto():
        yield tmp_path


def start(application: str = "predue", **parameters: Any) -> Stack:
    return Stack(START, log=io.StringIO(), wire=io.StringIO(), parameters=parameters, application=application)


def test_every_resource_type_is_made_played_or_knowingly_left_out_and_only_one_of_them() -> None:
    known = [set(resources.MADE), set(resources.PLAYED), set(resources.LEFT_OUT)]
    assert types() <= set.union(*known)
    assert sum(map(len, known)) == len(set.union(*known))


def test_every_resource_type_that_is_made_can_be_taken_away() -> None:
    assert set(resources.REMOVED) == set(resources.MADE)


def test_no_resource_type_is_known_that_no_template_uses() -> None:
    assert set(resources.MADE) | set(resources.PLAYED) | set(resources.LEFT_OUT) == types()


def test_what_is_played_or_left_out_says_how_or_why() -> None:
    assert all(len(text) > 10 for text in {**resources.PLAYED, **resources.LEFT_OUT}.values())


@pytest.mark.usefixtures("copied")
def test_every_handler_file_is_a_function_of_the_template_and_the_other_way_round() -> None:
    deployed = {name.removeprefix("predue-").replace("-", "_") for name in start(Publish="webhooks").functions}
    assert deployed == {path.stem for path in (ROOT / "functions").glob("*.py")}


@pytest.mark.usefixtures("copied")
def test_queues_feed_functions_with_the_settings_of_their_templates() -> None:
    made = start()
    sources = {url.rpartition("/")[2]: poller.source for url, poller in made.pollers.items()}
    assert set(sources) == {"predue-sms", "predue-email", "predue-receipts", "predue-events", "predue-imports"}
    sms = sources["predue-sms"]
    assert sms.function is made.functions["predue-deliver-sms"]
    assert (sms.batch_size, sms.visibility.total_seconds(), sms.max_receives) == (5, 180, 5)
    assert sms.dead_letters_url.endswith("/predue-sms-dead-letters")
    receipts = sources["predue-receipts"]
    assert (receipts.max_receives, receipts.batch_size, receipts.window.total_seconds()) == (10, 100, 30)


@pytest.mark.usefixtures("copied")
def test_a_route_that_is_not_in_the_template_is_not_found() -> None:
    made = start()
    assert {(route.method, route.path) for route in made.routes} == {
        ("GET", "/unsubscribe/{token}"),
        ("POST", "/unsubscribe/{token}"),
        ("POST", "/webhooks/{source}"),
    }
    for method, path in (("GET", "/"), ("DELETE", "/unsubscribe/x"), ("GET", "/unsubscribe/x/y"), ("GET", "/other/x")):
        assert made.request(method, path)["statusCode"] == 404


@pytest.mark.usefixtures("copied")
def test_a_function_sees_its_own_variables_and_no_other() -> None:
    made = start()
    assert "BUS_NAME" in made.functions["predue-close-day"].environment
    assert "BUS_NAME" not in made.functions["predue-plan-reminders"].environment
    assert made.functions["predue-unsubscribe"].environment.keys() >= {"TABLE_NAME", "KEYS_SECRET"}


@pytest.mark.usefixtures("copied")
def test_where_nothing_is_published_there_is_no_stream_no_rule_and_no_function_for_it() -> None:
    without, bus_only = start(), start(Publish="bus", application="other")
    assert not {"predue-publish-events", "predue-call-webhooks"} & set(without.functions)
    assert "predue-webhooks" not in {arn.rpartition(":")[2] for arn in without.queue_arns}
    tables = [clients.client("dynamodb").describe_table(TableName=f"{name}-Table") for name in ("predue", "other")]
    assert ["StreamSpecification" in found["Table"] for found in tables] == [False, True]
    assert "other-publish-events" in bus_only.functions
    assert "other-call-webhooks" not in bus_only.functions


CHANGES = [
    ("infrastructure/storage.yaml", "Type: AWS::SSM::Parameter", "Type: AWS::SSM::Document", "AWS::SSM::Document"),
    ("infrastructure/messaging.yaml", "Type: AWS::Events::EventBus", "Type: AWS::Pipes::Pipe", "AWS::Pipes::Pipe"),
    ("template.yaml", "Type: AWS::Serverless::HttpApi", "Type: AWS::Serverless::Api", "AWS::Serverless::Api"),
    ("template.yaml", "cron(0/15 * * * ? *)", "rate(15 minutes)", "rate"),
    ("template.yaml", "cron(0/15 * * * ? *)", "cron(0/15 9-20 * * ? *)", "cron"),
    ("template.yaml", "Type: ScheduleV2", "Type: CloudWatchEvent", "CloudWatchEvent"),
    ("template.yaml", "Ref Shards", "Ref Shardz", "Shardz"),
    ("template.yaml", "Messaging.Outputs.BusName", "Messaging.Outputs.BusNme", "BusNme"),
    ("template.yaml", "!GetAtt Storage.Outputs.TableName", "!ImportValue TableName", "ImportValue"),
    ("infrastructure/messaging.yaml", "!Ref SmsQueue\n", "!GetAtt SmsQueue.Url\n", "Url"),
]


@pytest.mark.parametrize(("file", "old", "new", "named"), CHANGES)
def test_what_the_stack_does_not_understand_stops_it_by_name(
    file: str, old: str, new: str, named: str, copied: Path
) -> None:
    path = copied / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises((TemplateError, KeyError), match=named):
        start()


def test_a_handler_that_does_not_exist_stops_the_stack(copied: Path) -> None:
    path = copied / "template.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("close_day.handler", "close_days.handler"))
    with pytest.raises(ModuleNotFoundError):
        start()
