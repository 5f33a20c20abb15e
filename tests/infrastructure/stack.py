"""The SAM application as its tests see it: every resource of every nested template, with references followed."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": None,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "predue",
    "AWS::URLSuffix": "amazonaws.com",
}
_NOTHING = {"Ref": "AWS::NoValue"}
"""The value of a property that CloudFormation leaves out."""
NESTED = "AWS::CloudFormation::Stack"
FUNCTION = "AWS::Serverless::Function"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as their long ones."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def parse(text: str) -> dict[str, Any]:
    """A template's text as plain data."""
    loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 -- derives from SafeLoader
    assert isinstance(loaded, dict)
    return loaded


def parts(value: object) -> list[Any]:
    """A policy's value, which may be one or a list, as a list."""
    return list(value) if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy document, and where it stands."""

    resource: "Resource"
    body: Mapping[str, Any]

    @property
    def sid(self) -> str:
        return str(self.body.get("Sid", ""))

    @property
    def allows(self) -> bool:
        return str(self.body["Effect"]) == "Allow"

    @property
    def actions(self) -> list[str]:
        return [str(action) for action in parts(self.body["Action"])]

    @property
    def resources(self) -> list[str]:
        return [str(resource) for resource in parts(self.body.get("Resource", []))]

    @property
    def reason(self) -> str | None:
        """Why a wildcard stands in it, as its template's metadata says."""
        reasons = self.resource.template.body.get("Metadata", {}).get("WildcardReasons", {})
        return str(reasons[self.sid]) if self.sid in reasons else None

    def __str__(self) -> str:
        return f"{self.resource}: {self.sid}"


@dataclass(frozen=True)
class Resource:
    """A resource with its properties, every reference followed to a literal or to the resource that it names."""

    template: "Template"
    name: str
    body: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def type(self) -> str:
        return str(self.body["Type"])

    @cached_property
    def properties(self) -> dict[str, Any]:
        own = self.template.resolve(self.body.get("Properties", {}))
        if self.type == FUNCTION:
            own = _merged(self.template.resolve(self.template.body["Globals"]["Function"]), own)
        assert isinstance(own, dict)
        return own

    def is_named_by(self, value: object) -> bool:
        """Whether a resolved value names this resource, by reference or attribute."""
        return isinstance(value, str) and value.startswith(f"<{self.template.name}/{self.name}.")

    def get(self, *path: str) -> Any:
        """The property at a path, or None."""
        value: Any = self.properties
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def statements(self) -> Iterator[Statement]:
        """Every policy statement that it carries, trust included."""
        documents = [self.get("PolicyDocument"), self.get("KeyPolicy"), self.get("AssumeRolePolicyDocument")]
        documents += [policy["PolicyDocument"] for policy in self.get("Policies") or []]
        for document in filter(None, documents):
            for statement in parts(document["Statement"]):
                yield Statement(self, statement)

    def __str__(self) -> str:
        return f"{self.template.name}/{self.name}"


@dataclass(frozen=True, eq=False)
class Template:
    """One template with the values of its parameters."""

    name: str
    body: Mapping[str, Any] = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    children: dict[str, "Template"] = field(default_factory=dict, repr=False)

    def __hash__(self) -> int:
        return hash(self.name)

    def load_children(self) -> None:
        """Load the nested templates in an order in which each finds the outputs that it needs."""
        waiting = {name: body for name, body in self.body["Resources"].items() if body["Type"] == NESTED}
        while waiting:
            ready = {
                name
                for name, body in waiting.items()
                if not any(f'"{other}", "Outputs' in json.dumps(body["Properties"]["Parameters"]) for other in waiting)
            }
            assert ready, f"nested templates need each other: {sorted(waiting)}"
            for name in sorted(ready):
                properties = waiting.pop(name)["Properties"]
                path = properties["TemplateURL"]
                body = parse((ROOT / path).read_text())
                given = self.resolve(properties["Parameters"])
                assert set(given) == set(body["Parameters"]), f"{path} and its parent differ in parameters"
                self.children[name] = Template(name, body, given)

    def resources(self) -> Iterator[Resource]:
        """The template's resources and then those of the nested ones."""
        for name, body in self.body["Resources"].items():
            if "Condition" not in body or self.holds(body["Condition"]):
                yield Resource(self, name, body)
        for child in self.children.values():
            yield from child.resources()

    def holds(self, condition: Any) -> bool:
        """Whether a condition, by name or in full, is true."""
        if isinstance(condition, str):
            return self.holds(self.body["Conditions"][condition])
        ((kind, value),) = condition.items()
        if kind == "Fn::Equals":
            return bool(self.resolve(value[0]) == self.resolve(value[1]))
        if kind == "Fn::Not":
            return not self.holds(value[0])
        assert kind == "Condition", f"unknown condition {kind}"
        return self.holds(value)

    def resolve(self, value: Any) -> Any:
        """A value with its intrinsic functions worked out; what only AWS knows is `<template/resource.attribute>`."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        key = next(iter(value), "")
        if key == "Ref" or key.startswith("Fn::"):
            return self._work_out(key, value[key])
        return {key: self.resolve(inner) for key, inner in value.items() if inner != _NOTHING}

    def _work_out(self, function: str, inner: Any) -> Any:
        match function:
            case "Ref":
                return self._ref(inner)
            case "Fn::GetAtt":
                return self._attribute(inner)
            case "Fn::Sub":
                return re.sub(r"\$\{([^!}][^}]*)\}", lambda found: str(self._named(found[1])), inner)
            case "Fn::If":
                return self.resolve(inner[1 if self.holds(inner[0]) else 2])
            case _:
                raise NotImplementedError(function)

    def _named(self, name: str) -> Any:
        return self._attribute(name.split(".", 1)) if "." in name and "::" not in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        return self.parameters.get(name, f"<{self.name}/{name}.Ref>")

    def _attribute(self, path: Sequence[str]) -> Any:
        name, attribute = path
        if attribute.startswith("Outputs."):
            child = self.children[name]
            return child.resolve(child.body["Outputs"][attribute.removeprefix("Outputs.")]["Value"])
        assert name in self.body["Resources"], f"{self.name} has no {name}"
        return f"<{self.name}/{name}.{attribute}>"


@dataclass(frozen=True)
class Stack:
    """The whole application under one set of parameters."""

    template: Template = field(repr=False)

    @cached_property
    def resources(self) -> list[Resource]:
        return list(self.template.resources())

    def of(self, kind: str) -> list[Resource]:
        """The resources of a type."""
        return [resource for resource in self.resources if resource.type == kind]

    def named_by(self, value: object) -> Resource | None:
        """The resource that a resolved value names."""
        return next((resource for resource in self.resources if resource.is_named_by(value)), None)

    def events(self, kind: str) -> list[tuple[Resource, str, dict[str, Any]]]:
        """The functions' events of a type, with function and name."""
        return [
            (function, name, event["Properties"])
            for function in self.of(FUNCTION)
            for name, event in (function.get("Events") or {}).items()
            if event["Type"] == kind
        ]

    def statements(self) -> list[Statement]:
        """Every policy statement of the application."""
        return [statement for resource in self.resources for statement in resource.statements()]

    def dead_letter_queues(self) -> set[str]:
        """Names of the queues that something names as its place for what failed."""
        found = set()
        for resource in self.resources:
            for key, value in _walk(resource.properties):
                place = {
                    "deadLetterTargetArn": value,
                    "DEFER_DLQ_ARN": value,
                    "DeadLetterConfig": value.get("Arn") if isinstance(value, dict) else None,
                    "OnFailure": value.get("Destination") if isinstance(value, dict) else None,
                }.get(key)
                if place is not None:
                    queue = self.named_by(place)
                    assert queue is not None, f"{resource} names {place}, which is no queue of the application"
                    found.add(queue.name)
        return found


def _walk(value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _merged(common: Any, own: Any) -> Any:
    """SAM's merge of Globals with a function's own settings: maps merge, the rest is replaced."""
    if isinstance(common, dict) and isinstance(own, dict):
        return {
            key: _merged(common[key], own[key]) if key in common and key in own else {**common, **own}[key]
            for key in {**common, **own}
        }
    return own


def load(environment: str = "production", **more: str) -> Stack:
    """The application in an environment, with everything that parameters may switch on."""
    body = parse((ROOT / "template.yaml").read_text())
    given = {
        "Environment": environment,
        "EmailFrom": "reminders@example.com",
        "EmailIdentity": "example.com",
        "SmsOriginationIdentity": "arn:aws:sms-voice:us-east-1:123456789012:pool/pool-0",
        "DomainName": "remind.example.com",
        "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/0",
        "AlarmEmail": "on-call@example.com",
        "Publish": "webhooks",
    }
    defaults = {name: parameter.get("Default") for name, parameter in body["Parameters"].items()}
    assert given.keys() <= defaults.keys()
    template = Template("predue", body, {**defaults, **given, **more})
    template.load_children()
    return Stack(template)


STACK = load()
