"""The mapping file: a lender's own TOML that says where in a JSON message our fields stand (docs/connectors.md).

Paths are JMESPath: it reads the message and nothing else, and has neither variables nor loops. What else a value
needs is one of the few transforms below.
"""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from jmespath import compile as compile_path
from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from predue.connectors.fields import Fields
from predue.connectors.form import MOST_EVENTS, MessageSource, Reading
from predue.domain import instant
from predue.domain.money import exponent, written
from predue.domain.zone import zone
from predue.errors import BadPolicy, InvalidEvent
from predue.events import models as ev

_MODELS = {kind.model_fields["type"].annotation.__args__[0]: kind for kind in get_args(ev.Event)}
_IDS = frozenset({"event_id", "source", "loan_id", "borrower_id"})
_LONGEST = 400


def _path(value: object) -> Any:
    """A JMESPath expression, compiled."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"a path is a text of at most {_LONGEST} characters")
    try:
        return compile_path(value)
    except JMESPathError:
        raise ValueError("is no JMESPath") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


Path = Annotated[Any, BeforeValidator(_path)]


class _MappingModel(BaseModel):
    """Read strictly: a misspelled key would silently lose a field."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


def _zone(value: object) -> ZoneInfo:
    found = zone(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is no IANA time zone")
    return found


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]


class Value(_MappingModel):
    """Where one field comes from, and at most one transform after an optional `map`.

    A `zone` tells whose day is meant by a timestamp that is stored in UTC.

    `path` looks into the element that `each` found, or the message if there is none; `message` always into the message.
    """

    path: Path = None
    message: Path = None
    constant: str | int | None = None
    concat: "tuple[Given, ...] | None" = None
    separator: str = ""
    map: dict[str, str | int] | None = None
    transform: Literal["date", "epoch_ms", "lower", "minor_units"] | None = None
    zone: Zone | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.zone is not None and self.transform != "date":
            raise ValueError("a zone is for the transform date")
        if sum(origin is not None for origin in (self.path, self.message, self.constant, self.concat)) != 1:
            raise ValueError("takes exactly one of path, message, constant, concat")
        return self


Given = Annotated[Value, BeforeValidator(lambda value: {"path": value} if isinstance(value, str) else value)]
"""A field's value; a bare text is a path."""


class MappingRule(_MappingModel):
    """Messages in which every path of `when` has one of its values become an event of this type, one for `each`."""

    type: Literal[tuple(_MODELS)]  # type: ignore[valid-type]
    when: dict[str, str | int | bool | list[str | int]] = {}
    each: Path = None
    fields: dict[str, Given]

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = self.fields.keys() - (_MODELS[self.type].model_fields.keys() - {"type"})
        if unknown:
            raise ValueError(f"{self.type} has no field {min(unknown)!r}")
        for path in self.when:
            _path(path)
        return self


class MappingFile(_MappingModel):
    """All rules; a message may fit several."""

    rules: Annotated[tuple[MappingRule, ...], Field(min_length=1, max_length=200)]


@lru_cache(maxsize=8)
def read_mapping(text: str) -> MappingFile:
    """Read a mapping file; raises BadPolicy naming key and line."""
    try:
        return MappingFile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        wrong = "; ".join(
            f"line {_line(text, one['loc'])}: {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors()[:5]
        )
        raise BadPolicy(f"the mapping is wrong: {wrong}") from None
    except (ValueError, RecursionError) as error:
        raise BadPolicy(f"the mapping is no TOML: {error}") from None


def _line(text: str, where: tuple[str | int, ...]) -> int:
    """The line on which a key stands, as far as TOML's usual layout tells; else that of its rule."""
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*rules\s*\]\]", line)]
    index = where[1] if len(where) > 1 and isinstance(where[1], int) else 0
    first, last = [*heads, len(lines)][index : index + 2] if index < len(heads) else [0, len(lines)]
    for key in reversed(where[2:]):
        for number in range(first, last):
            if re.match(rf"""\s*["']?{re.escape(str(key))}["']?\s*=""", lines[number]):
                return number + 1
    return first + 1


def read(body: Any, source: MessageSource, _headers: Mapping[str, str]) -> Reading:
    """The events that a message becomes under the source's mapping."""
    message = Fields.of(body).raw
    rules = [rule for rule in read_mapping(source.settings.mapping).rules if _fits(rule, message)]
    if not rules:
        return Reading(ignored=("no rule",))
    return Reading(tuple(_event(rule, message, one, source) for rule in rules for one in _elements(rule, message)))


def _fits(rule: MappingRule, message: Mapping[str, Any]) -> bool:
    return all(
        any(_same(found, one) for one in (wanted if isinstance(wanted, list) else [wanted]))
        for path, wanted in rule.when.items()
        for found in [_found(compile_path(path), message, f"when {path}")]
    )


def _same(found: Any, wanted: str | int | bool) -> bool:  # noqa: FBT001 - the value of a JSON field
    """Equal and of one kind, so that true is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _elements(rule: MappingRule, message: Mapping[str, Any]) -> list[Any]:
    if rule.each is None:
        return [message]
    found = _found(rule.each, message, f"each of {rule.type}")
    if found is not None and not isinstance(found, list):
        raise InvalidEvent(f"each of {rule.type}: is no list")
    if found and len(found) > MOST_EVENTS:
        raise InvalidEvent(f"each of {rule.type}: has more than {MOST_EVENTS} entries")
    return found or []


def _found(path: Any, value: Any, name: str) -> Any:
    """What a path finds; None if there is nothing."""
    try:
        return path.search(value)
    except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
        raise InvalidEvent(f"{name}: the path does not fit what stands there") from None


def _event(rule: MappingRule, message: Mapping[str, Any], element: Any, source: MessageSource) -> ev.Event:
    stated: dict[str, Any] = {"type": rule.type, "source": source.name}
    # The currency comes first: amounts in minor units need it.
    for name in sorted(rule.fields, key=lambda name: name != "currency"):
        value = _value(rule.fields[name], name, message, element, stated)
        if value is not None:
            stated[name] = str(value) if name in _IDS and _is_whole(value) else value
    return ev.read_event(stated)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _value(given: Value, name: str, message: Any, element: Any, stated: Mapping[str, Any]) -> Any:
    """One field's value; None leaves the field out."""
    if given.concat is not None:
        parts = [_value(part, name, message, element, stated) for part in given.concat]
        if not all(isinstance(part, str) or _is_whole(part) for part in parts):
            raise InvalidEvent(f"{name}: a part of it is missing or no text")
        value: Any = given.separator.join(_text_at(part, name) for part in parts)
    elif given.constant is not None:
        value = given.constant
    elif given.path is not None:
        value = _found(given.path, element, name)
    else:
        value = _found(given.message, message, name)
    if value is not None and given.map is not None:
        value = _mapped(given.map, value, name)
    return value if value is None or given.transform is None else _transformed(given, value, name, stated)


def _text_at(value: Any, name: str) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        raise InvalidEvent(f"{name}: is too long") from None


def _mapped(table: Mapping[str, str | int], value: Any, name: str) -> str | int:
    key = {True: "true", False: "false"}[value] if isinstance(value, bool) else value
    if not isinstance(key, str | int) or (text := _text_at(key, name)) not in table:
        raise InvalidEvent(f"{name}: is not in its map")
    return table[text]


def _transformed(given: Value, value: Any, name: str, stated: Mapping[str, Any]) -> Any:
    fields = Fields({name: value})
    match given.transform:
        case "date":
            return fields.day(name, given.zone).isoformat()
        case "lower":
            return fields.text(name).lower()
        case "epoch_ms":
            try:
                return instant.to_ms(instant.from_text(fields.text(name)))
            except (ValueError, OverflowError):
                raise InvalidEvent(f"{name}: is no ISO time with an offset") from None
        case _:
            return written(Decimal(fields.whole(name)).scaleb(-exponent(str(stated.get("currency")))))
