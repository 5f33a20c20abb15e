"""Event patterns, as EventBridge's rules and the filters of event source mappings write them: the part that the
templates use. Anything else stops the stack.
"""

from collections.abc import Mapping
from typing import Any

from infrastructure.local.template import TemplateError


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether an event has every field of the pattern, each with one of the values that stand there (EventBridge user
    guide, "Amazon EventBridge event patterns").
    """
    if not isinstance(event, Mapping):
        return False
    return all(_field(wanted, event.get(name)) for name, wanted in pattern.items())


def _field(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return matches(wanted, value)
    if not isinstance(wanted, list):
        raise TemplateError(f"a pattern names {wanted!r}, which is no list of values")
    return any(_value(one, value) for one in wanted)


def _value(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return bool(wanted == value)
    if list(wanted) != ["prefix"]:
        raise TemplateError(f"a pattern asks for {list(wanted)}, which is not played here")
    return isinstance(value, str) and value.startswith(wanted["prefix"])
