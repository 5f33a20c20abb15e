"""The examples of the API's document, sent as they stand there."""

import json
from pathlib import Path

from infrastructure.openapi.document import SHIPPED
from tests.flow.published import open_door, post
from tests.flow.small import Book, standing, utc


def test_every_example_of_events_is_taken_when_it_is_signed_and_sent(tmp_path: Path) -> None:
    document = json.loads(SHIPPED.read_text(encoding="utf-8"))
    content = document["paths"]["/webhooks/{source}"]["post"]["requestBody"]["content"]["application/json"]
    with standing(tmp_path, Book(), utc(10, 1)) as stand:
        open_door(stand)
        response = {name: post(stand, json.dumps(one["value"]).encode()) for name, one in content["examples"].items()}
    several = response.pop("array")
    assert {(name, one.status, one.body["status"]) for name, one in response.items()} == {
        (name, 200, "applied") for name in response
    }
    assert several.status == 200
    assert [one["status"] for one in several.body["results"]] == ["parked", "applied"]
