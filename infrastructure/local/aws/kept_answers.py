"""Keeps what moto and botocore work out anew at every call though it never changes, a good part of a run's time.

What is kept follows from the arguments alone; what a call does and answers stays theirs. A test compares the two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from botocore import loaders, useragent
from moto.core import responses, utils
from moto.core.model import Shape
from moto.core.serialize import AttributePickerContext, ResponseSerializer, XFormedAttributePicker

_get_value = ResponseSerializer.get_value


def _kept_value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
    """A member of a plain mapping. The names under which it may stand there follow from the model; moto makes them up
    for every member of every answer.
    """
    picker = self._value_picker
    if type(value) is not dict or type(picker) is not XFormedAttributePicker or picker.response_transformers:
        return _get_value(self, value, key, shape)
    kept: dict[str, tuple[str, ...]] = vars(shape).setdefault("_kept_names", {})
    if key not in kept:
        model = self.operation_model
        context = AttributePickerContext(value, key, shape, model, model.service_model, "")
        kept[key] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    return next((value[name] for name in kept[key] if name in value), None)


_load_file = loaders.JSONFileLoader.load_file


@lru_cache(maxsize=128)
def _file(path: str) -> Any:
    return _load_file(loaders.JSONFileLoader(), path)


def _kept_file(_self: loaders.JSONFileLoader, path: str) -> Any:
    """A service's model, which every new session reads from the disk again; the clients of one share it, too."""
    return _file(path)


@contextmanager
def kept_answers() -> Iterator[None]:
    """Within this, moto's answers are put into words, and botocore's requests are made, without the repeated work."""
    replaced: dict[tuple[Any, str], Any] = {
        (ResponseSerializer, "get_value"): _kept_value,
        (loaders.JSONFileLoader, "load_file"): _kept_file,
        (responses, "method_names_from_class"): lru_cache(maxsize=None)(utils.method_names_from_class),
        (useragent, "sanitize_user_agent_string_component"): lru_cache(maxsize=4096)(
            useragent.sanitize_user_agent_string_component
        ),
    }
    before = {(owner, name): getattr(owner, name) for owner, name in replaced}
    try:
        for (owner, name), function in replaced.items():
            setattr(owner, name, function)
        yield
    finally:
        for (owner, name), function in before.items():
            setattr(owner, name, function)
