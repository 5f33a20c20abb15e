"""Reads template.yaml and the files nested in it, and resolves their intrinsic functions against resources as they are
made.

The templates are the only description of the stack. Resolution is lazy: asking for a property makes whatever it
refers to.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

REGION = "us-east-1"
ACCOUNT = "123456789012"
_NOTHING = object()
_VARIABLE = re.compile(r"\$\{([^!}][^}]*)\}")


class TemplateError(Exception):
    """A template uses something that the stack on one machine does not understand; it names file and place."""


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml, where PyYAML was built with it: the same, an order of magnitude faster."""


class _Loader(_Base):  # type: ignore[misc]  # either of the two
    """YAML with CloudFormation's short forms, `!Ref x` and the like, read as their long forms."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode), "YAML has no fourth kind of node"
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@lru_cache(maxsize=32)
def _parsed(text: str) -> dict[str, Any]:
    """A template as YAML says it; nobody changes it, so that stacks which are made one after the other share it."""
    # A subclass of SafeLoader, which makes no objects.
    parsed: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506
    return parsed


@dataclass
class Resource:
    """One resource of one file; `path` names it across nested files, such as `Messaging/SmsQueue`."""

    path: str
    type: str
    raw: dict[str, Any]
    file: "TemplateFile"

    @property
    def name(self) -> str:
        """The logical id within its file."""
        return self.path.rpartition("/")[2]

    def get(self, *names: str, default: Any = None) -> Any:
        """A property, resolved; `default` where it is absent."""
        value: Any = self.raw.get("Properties", {})
        for name in names:
            value = self.file.resolve(value)
            if not isinstance(value, dict) or name not in value:
                return default
            value = value[name]
        return self.file.resolve(value, deep=True)


Physical = Callable[[Resource, str], Any]
"""Gives `Ref` (attribute "") or an attribute of a resource, making it first if need be."""


@dataclass
class TemplateFile:
    """One template file with the parameters it is given; `application` is the stack's name."""

    source: Path
    parameters: dict[str, Any]
    physical: Physical
    prefix: str = ""
    application: str = "predue"
    raw: dict[str, Any] = field(init=False)
    nested: dict[str, "TemplateFile"] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.raw = _parsed(self.source.read_text(encoding="utf-8"))

    def resources(self) -> Iterator[Resource]:
        """Every resource of this file and those nested in it whose condition holds."""
        for name, raw in self.raw["Resources"].items():
            if "Condition" in raw and not self._condition(raw["Condition"]):
                continue
            resource = Resource(self.prefix + name, raw["Type"], raw, self)
            yield resource
            if resource.type == "AWS::CloudFormation::Stack":
                yield from self.child(name).resources()

    def child(self, name: str) -> "TemplateFile":
        """The file nested as a resource of that name; its parameters resolve when they are asked for."""
        if name not in self.nested:
            properties = self.raw["Resources"][name]["Properties"]
            source = self.source.parent / properties["TemplateURL"]
            given = {key: _Late(self, value) for key, value in properties.get("Parameters", {}).items()}
            self.nested[name] = TemplateFile(source, given, self.physical, f"{self.prefix}{name}/", self.application)
        return self.nested[name]

    def resolve(self, value: Any, *, deep: bool = False) -> Any:
        """A value with its intrinsic functions replaced; nested ones only if `deep`."""
        if isinstance(value, _Late):
            return value.file.resolve(value.value, deep=True)
        if isinstance(value, list):
            return (
                [found for item in value if (found := self.resolve(item, deep=deep)) is not _NOTHING] if deep else value
            )
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                return self._function(function, argument)
        if not deep:
            return value
        resolved = {key: self.resolve(item, deep=True) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NOTHING}

    def _function(self, function: str, argument: Any) -> Any:
        match function:
            case "Fn::GetAtt":
                return self._attribute(argument[0], argument[1])
            case "Fn::Sub":
                text, given = (argument, {}) if isinstance(argument, str) else argument
                filled = _VARIABLE.sub(lambda found: str(self._variable(found[1], given)), text)
                return filled.replace("${!", "${")
            case "Fn::If":
                condition, then, other = argument
                return self.resolve(then if self._condition(condition) else other, deep=True)
            case "Fn::Join":
                return argument[0].join(str(self.resolve(item)) for item in self.resolve(argument[1]))
        raise TemplateError(f"{self.source.name}: {function} is not understood here")

    def _variable(self, name: str, given: dict[str, Any]) -> Any:
        if name in given:
            return self.resolve(given[name])
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.application,
            "AWS::NoValue": _NOTHING,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.raw.get("Parameters", {}):
            if name in self.parameters:
                return self.resolve(self.parameters[name], deep=True)
            if "Default" in self.raw["Parameters"][name]:
                return self.raw["Parameters"][name]["Default"]
            raise TemplateError(f"{self.source.name}: parameter {name} has neither a value nor a default")
        return self.physical(self._named(name), "")

    def _attribute(self, name: str, attribute: str) -> Any:
        resource = self._named(name)
        if resource.type == "AWS::CloudFormation::Stack":
            child = self.child(name)
            return child.resolve(child.raw["Outputs"][attribute.removeprefix("Outputs.")]["Value"], deep=True)
        return self.physical(resource, attribute)

    def _named(self, name: str) -> Resource:
        if name not in self.raw["Resources"]:
            raise TemplateError(f"{self.source.name}: {name} is neither a parameter nor a resource")
        raw = self.raw["Resources"][name]
        return Resource(self.prefix + name, raw["Type"], raw, self)

    def _condition(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._condition(self.raw["Conditions"][condition])
        (function, argument), *_ = condition.items()
        match function:
            case "Condition":
                return self._condition(argument)
            case "Fn::Equals":
                return bool(self.resolve(argument[0]) == self.resolve(argument[1]))
            case "Fn::Not":
                return not self._condition(argument[0])
            case "Fn::And":
                return all(map(self._condition, argument))
            case "Fn::Or":
                return any(map(self._condition, argument))
        raise TemplateError(f"{self.source.name}: condition {function} is not understood here")


@dataclass(frozen=True)
class _Late:
    """A parameter's value, to be resolved in the file that gives it."""

    file: TemplateFile
    value: Any
