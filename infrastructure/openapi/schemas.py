"""JSON schemas of what goes in and out, made of the models that read and write it."""

from collections.abc import Iterator
from typing import Annotated, Any

from babel.numbers import list_currencies
from pydantic import Field, TypeAdapter
from pydantic.json_schema import models_json_schema

from predue.events.models import Event
from predue.inbound.problem import Problem, Results, ResultsProblem, Taken
from predue.inbound.webhook import MOST_MESSAGES

Schema = dict[str, Any]
_AT = "#/components/schemas/{model}"
_TENANTS = ("borrower_id", "loan_id")


def ref(name: str) -> Schema:
    """Refers to a schema of the document by its name."""
    return {"$ref": _AT.format(model=name)}


def schemas() -> dict[str, Schema]:
    """The document's schemas by name."""
    return dict(sorted((_event_schema() | _answers() | _others()).items()))


def _event_schema() -> dict[str, Schema]:
    """`Event`, one of its kinds; the models' own `source` may be left out, since the address names it."""
    event = TypeAdapter(Annotated[Event, Field(discriminator="type")]).json_schema(ref_template=_AT)
    kinds: dict[str, Schema] = event.pop("$defs")
    for kind in kinds.values():
        kind["required"].remove("source")
        for name in _TENANTS:
            if name in kind["properties"]:
                kind["properties"][name] = _of_one_tenant(kind["properties"][name])
        if "currency" in kind["properties"]:
            kind["properties"]["currency"] = _currency(kind["properties"]["currency"])
    event["description"] = "One happening. Fields that are not named here are ignored."
    return {name: _untitled(kind) for name, kind in kinds.items()} | {"Event": event}


def _of_one_tenant(schema: Schema) -> Schema:
    """An id of a borrower or loan: it holds no `~`, which parts tenants (predue.inbound.webhook)."""
    if "anyOf" in schema:
        return schema | {"anyOf": [_of_one_tenant(one) for one in schema["anyOf"]]}
    return schema | {"pattern": schema["pattern"].replace("[^#", "[^#~")} if "pattern" in schema else schema


def _currency(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [_currency(one) for one in schema["anyOf"]]}
    return ref("Currency") if schema.get("type") == "string" else schema


def _answers() -> dict[str, Schema]:
    models = [(model, "serialization") for model in (Taken, Results, Problem, ResultsProblem)]
    _, found = models_json_schema(models, ref_template=_AT)  # type: ignore[arg-type]
    return {name: _untitled(schema) for name, schema in found["$defs"].items()}


def _others() -> dict[str, Schema]:
    return {
        "Currency": {"type": "string", "enum": sorted(list_currencies()), "description": "A code of ISO 4217."},
        "News": {
            "description": f"One event, or up to {MOST_MESSAGES} of them. At most 1 MiB, each event at most 16 KiB.",
            "anyOf": [
                ref("Event"),
                {"type": "array", "items": ref("Event"), "minItems": 1, "maxItems": MOST_MESSAGES},
            ],
        },
        "Message": {
            "description": "What API Gateway itself says, before or instead of a function.",
            "type": "object",
            "properties": {"message": {"type": ["string", "null"]}},
            "required": ["message"],
        },
    }


def _untitled(schema: Schema) -> Schema:
    """Without pydantic's titles of fields, which repeat their names."""
    for one in _within(schema):
        if isinstance(one.get("properties"), dict):
            for field in one["properties"].values():
                field.pop("title", None)
    return schema


def _within(schema: Any) -> Iterator[Schema]:
    if isinstance(schema, dict):
        yield schema
        for one in schema.values():
            yield from _within(one)
    elif isinstance(schema, list):
        for one in schema:
            yield from _within(one)
