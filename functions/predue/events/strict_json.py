"""JSON as it is taken from outside: strictly, and only so deep that what handles it later may recurse."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

_DEEPEST = 32


def read(text: str | bytes) -> Any:
    """The JSON of a text; raises ValueError, and nothing else, whatever the text is."""
    try:
        parsed = json.loads(
            text, object_pairs_hook=_without_twins, parse_constant=_no_number, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if any(depth > _DEEPEST for depth in _depths(parsed)):
        raise ValueError("it is nested too deeply")
    return parsed


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names everything once: of two values nobody could say which was meant and signed for."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return made


def _no_number(_word: str) -> Any:
    raise ValueError("no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):
        raise ValueError("a number beyond what a double holds")
    return value


def _whole(digits: str) -> int:
    if len(digits) > 40:  # noqa: PLR2004 - far longer than any that a field takes
        raise ValueError("a number beyond what any field holds")
    return int(digits)


def _depths(value: Any) -> Iterator[int]:
    """How deep each container lies; walks without recursion, since depth is what is in question."""
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, dict | list):
            yield depth
            waiting += [(inner, depth + 1) for inner in (one.values() if isinstance(one, dict) else one)]
