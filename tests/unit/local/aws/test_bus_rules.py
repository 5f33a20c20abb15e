"""Rules of a bus: which events they take, and what their targets hear of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws.bus_rules import BusRule
from infrastructure.local.sam.template import Resource, TemplateError, TemplateFile

EVENT = {
    "source": "aws.ses",
    "detail-type": "Email Delivered",
    "detail": {"mail": {"tags": {"set": ["ours"], "id": ["r-1", "r-2"]}, "to": 'a"b'}, "number": 7},
}


def rule(folder: Path, properties: dict[str, Any]) -> BusRule:
    usual = {"EventPattern": {"source": ["aws.ses"]}, "Targets": [{"Id": "t", "Arn": "arn"}]}
    raw = {"Type": "AWS::Events::Rule", "Properties": usual | properties}
    (folder / "t.yaml").write_text(json.dumps({"Resources": {"BusRule": raw}}), encoding="utf-8")
    file = TemplateFile(folder / "t.yaml", {}, lambda resource, _attribute: resource.path)
    return BusRule(Resource("BusRule", raw["Type"], raw, file))  # type: ignore[arg-type]  # a literal's type


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ({"source": ["aws.ses"]}, True),
        ({"source": ["other", "aws.ses"], "detail-type": ["Email Delivered"]}, True),
        ({"source": ["aws.ses"], "detail-type": ["Email Bounced"]}, False),
        ({"detail": {"mail": {"tags": {"set": ["ours"]}}}}, True),
        ({"detail": {"mail": {"tags": {"set": ["theirs"]}}}}, False),
        ({"detail": {"mail": {"tags": {"id": [{"exists": True}]}}}}, True),
        ({"detail": {"mail": {"tags": {"none": [{"exists": True}]}}}}, False),
    ],
)
def test_a_rule_takes_the_events_of_its_pattern(pattern: dict[str, Any], taken: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column
    told = list(rule(tmp_path, {"EventPattern": pattern}).stated(EVENT))
    assert told == ([("arn", json.dumps(EVENT))] if taken else [])


def test_a_rule_that_is_switched_off_takes_nothing(tmp_path: Path) -> None:
    assert list(rule(tmp_path, {"State": "DISABLED"}).stated(EVENT)) == []


def test_a_target_hears_what_its_transformer_makes_as_json_whatever_the_values_hold(tmp_path: Path) -> None:
    paths = {"id": "$.detail.mail.tags.id[1]", "to": "$.detail.mail.to", "n": "$.detail.number", "no": "$.detail.none"}
    transformer = {"InputPathsMap": paths, "InputTemplate": '{"id": [<id>], "to": <to>, "n": <n>, "no": <no>}'}
    made = rule(tmp_path, {"Targets": [{"Id": "t", "Arn": "arn", "InputTransformer": transformer}]})
    ((arn, body),) = made.stated(EVENT)
    assert (arn, json.loads(body)) == ("arn", {"id": ["r-2"], "to": 'a"b', "n": 7, "no": ""})


def test_a_target_may_hear_a_part_and_every_target_hears(tmp_path: Path) -> None:
    targets = [{"Id": "a", "Arn": "one", "InputPath": "$.detail.number"}, {"Id": "b", "Arn": "two"}]
    told = list(rule(tmp_path, {"Targets": targets}).stated(EVENT))
    assert told == [("one", "7"), ("two", json.dumps(EVENT))]


def test_a_path_that_is_none_is_refused(tmp_path: Path) -> None:
    made = rule(tmp_path, {"Targets": [{"Id": "a", "Arn": "one", "InputPath": "detail"}]})
    with pytest.raises(TemplateError, match="no JSON path"):
        list(made.stated(EVENT))
