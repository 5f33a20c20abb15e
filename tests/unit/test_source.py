import json
from typing import Any

import pytest

from predue.errors import BadPolicy
from predue.source import read_sources
from tests.signing import OURS, SOURCES, key

FORMS = ("predue", "other")


def test_sources_are_read_with_their_keys_tenant_and_form() -> None:
    sources = read_sources(json.dumps(SOURCES), FORMS)
    assert sorted(sources) == ["acme", "core"]
    assert len(sources["core"].keys) == 2
    assert (sources["acme"].tenant, sources["acme"].form) == ("acme", "predue")


def test_no_source_at_all_is_a_form_too() -> None:
    assert read_sources("{}", FORMS) == {}


def test_tenant_and_form_may_be_left_out() -> None:
    (source,) = read_sources(json.dumps({"core": {"keys": [OURS]}}), FORMS).values()
    assert (source.name, source.tenant, source.form) == ("core", "", "predue")


GOOD: dict[str, Any] = {"keys": [OURS], "tenant": "", "form": "predue"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": []},
        {"keys": OURS},
        {"keys": [OURS] * 5},
        {"keys": [None]},
        {"keys": ["hunter2"]},
        {"keys": ["whsec_"]},
        {"keys": ["whsec_c2hvcnQ="]},
        {"keys": ["whsec_***" + "A" * 40]},
        {"keys": [OURS.removeprefix("whsec_")]},
        {"keys": ["whsec_" + "A" * 200]},
        {"tenant": "a~b"},
        {"tenant": "a#b"},
        {"tenant": None},
        {"form": "sap"},
        {"form": None},
        {"kees": [OURS]},
    ],
)
def test_a_source_of_another_form_stops_the_work_and_its_error_repeats_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_sources(json.dumps({"core": GOOD | wrong}), FORMS)
    told = f"{caught.value} {caught.value.__cause__}"
    assert not any(part in told for part in ("hunter2", "whsec", OURS[10:30], "c2hvcnQ", "a~b"))


@pytest.mark.parametrize("text", ["", "words", "[]", "null", '"core"', '{"core": null}', '{"co#re": {}}', '{"": {}}'])
def test_a_secret_of_another_form_stops_the_work(text: str) -> None:
    with pytest.raises(BadPolicy):
        read_sources(text, FORMS)


def test_a_key_is_long_enough_to_be_no_guess() -> None:
    assert read_sources(json.dumps({"core": {"keys": [key("any")]}}), FORMS)
