"""The API's document: made of the code, valid, and the one that ships."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from infrastructure.openapi import document, examples
from predue.events.models import Event

SHIPPED = json.loads(document.SHIPPED.read_text(encoding="utf-8"))


def test_the_document_that_ships_is_what_the_code_makes() -> None:
    assert document.SHIPPED.read_text(encoding="utf-8") == document.text(), "run: make openapi"


def test_the_document_is_valid_openapi_3_1() -> None:
    assert SHIPPED["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(SHIPPED).iter_errors()) == []


def test_every_route_of_the_template_is_described_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {f"{method.upper()} {path}" for path, operations in SHIPPED["paths"].items() for method in operations}
    assert described == document.routes()
    monkeypatch.setattr(document, "routes", lambda: described | {"GET /more"})
    with pytest.raises(document.UnknownRoute, match="GET /more"):
        document.document()


def test_every_kind_of_event_has_an_example() -> None:
    kinds = {one.model_fields["type"].annotation for one in get_args(Event)}
    assert {get_args(kind)[0] for kind in kinds} == set(examples.requests()) - {"array"}


def _examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each example of a body with its schema."""
    for path, operations in SHIPPED["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {})} | operation["responses"]
            for name, body in bodies.items():
                for kind, content in body.get("content", {}).items():
                    for label, example in content.get("examples", {}).items():
                        yield f"{method} {path} {name} {kind} {label}", content["schema"], example["value"]


@pytest.mark.parametrize(("schema", "example"), [pytest.param(*one, id=label) for label, *one in _examples()])
def test_every_example_fits_its_schema(schema: dict[str, Any], example: Any) -> None:
    registry = Registry().with_resource("urn:document", Resource.from_contents(SHIPPED, DRAFT202012))
    whole = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
    assert list(Draft202012Validator(whole, registry=registry).iter_errors(example)) == []


def test_a_status_of_the_webhook_has_an_example_for_each_of_its_problems() -> None:
    answers = SHIPPED["paths"]["/webhooks/{source}"]["post"]["responses"]
    shown = {
        example["value"]["type"]
        for answer in answers.values()
        for example in answer["content"].get("application/problem+json", {}).get("examples", {}).values()
    }
    assert shown == {one.type for one in examples.problems()} | {"urn:predue:problem:try-again"}
