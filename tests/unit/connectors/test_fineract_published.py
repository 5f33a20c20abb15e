"""Fineract's published schemas, held against the messages of `tests/events/fineract` and against what we read.

The schemas are no part of this project (`tests/events/fineract/README.md` says where they are), and lie beside it or
where `FINERACT_SCHEMAS` says. The fingerprints of the envelopes are theirs, and always held.
"""

import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from predue.connectors import read
from predue.connectors.avro import _known as known
from tests.unit.connectors.messages import message, source
from tests.unit.connectors.schemas import encoded

ROOT = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("FINERACT_SCHEMAS") or ROOT.parent / "shared" / "data" / "fineract_avro")
published = pytest.mark.skipif(
    not any(FOLDER.rglob("*.avsc")),
    reason=f"Fineract's schemas are not at {FOLDER}; FINERACT_SCHEMAS names another place",
)
NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "events" / "fineract").glob("*.json"))
OUTBOUNDS = {
    "1fd07bcc226c7826": "MessageV1",
    "ad7fee7b9ca5e780": "BulkMessageItemV1",
    "c4defed1e3cc0ac9": "BulkMessagePayloadV1",
}
"""By the fingerprint of the published schema (commit 4198b0b), which is what each message begins with."""
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "long": (int,),
    "boolean": (bool,),
    "bigdecimal": (int, float),
}


def texts() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.avsc"))]


def schemas() -> tuple[str, ...]:
    """As a source's settings hold all of them."""
    packed = gzip.compress(json.dumps([json.loads(text) for text in texts()]).encode())
    return (f"gzip:{base64.b64encode(packed).decode()}",)


def records() -> dict[str, Any]:
    """The published records by their full names."""
    found = [json.loads(text) for text in texts()]
    return {f"{one['namespace']}.{one['name']}": one for one in found}


def test_the_envelopes_have_the_fingerprints_of_the_published_schemas() -> None:
    assert {mark: schema["name"].rpartition(".")[2] for mark, schema in known(()).items()} == OUTBOUNDS


def unlike(value: Any, kind: Any, named: dict[str, Any], path: str) -> Iterator[str]:
    """Where a value is not what a published type says."""
    union = kind if isinstance(kind, list) else [kind]
    if value is None:
        yield from () if "null" in union else (f"{path}: may not be null",)
    elif isinstance(value, list):
        (items,) = [one["items"] for one in union if isinstance(one, dict) and one["type"] == "array"] or [None]
        for number, one in enumerate(value):
            yield from unlike(one, items, named, f"{path}[{number}]")
    elif isinstance(value, dict):
        (record,) = [named[one] for one in union if isinstance(one, str) and one in named] or [{"fields": []}]
        fields = {one["name"]: one["type"] for one in record["fields"]}
        yield from (f"{path}.{name}: is not published" for name in value.keys() - fields.keys())
        for name, field in fields.items():
            yield from unlike(value.get(name), field, named, f"{path}.{name}")
    elif not any(type(value) in KINDS[one] for one in union if isinstance(one, str) and one in KINDS):
        yield f"{path}: is no {union}"


@published
@pytest.mark.parametrize("name", NAMES)
def test_a_message_has_the_published_fields_with_their_types(name: str) -> None:
    told, named = message(f"fineract/{name}"), records()
    outbound = {field["name"] for field in named["org.apache.fineract.avro.MessageV1"]["fields"]}
    assert told.keys() == outbound
    assert list(unlike(told["data"], told["dataschema"], named, "data")) == []


@published
@pytest.mark.parametrize("name", NAMES)
def test_what_the_published_schemas_write_is_read_as_the_same_events_as_its_json(name: str) -> None:
    told, held = message(f"fineract/{name}"), schemas()
    written = encoded(told, schemas=held)
    assert read("fineract", written, source(schemas=held)) == read("fineract", told, source())
