import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from predue.errors import BadPolicy
from predue.events.owners import GROUPS
from predue.inbound.sources import owners_of, read_sources
from tests.signing import OURS, SOURCES, key

FORMS = ("predue", "other")
NOW = datetime(2026, 12, 10, 15, 0, tzinfo=UTC)


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


SECRET = "s" * 32


@pytest.mark.parametrize("form", ["cloudevents", "mambu"])
def test_a_source_whose_sender_cannot_sign_has_secrets_instead_of_keys(form: str) -> None:
    (source,) = read_sources(json.dumps({"core": {"secrets": [SECRET], "form": form}})).values()
    assert (source.keys, source.secrets) == ((), (SECRET,))


def test_a_source_of_the_bus_needs_neither_and_its_settings_are_read_with_it() -> None:
    told = {"bus": "com.lender.loans", "form": "fineract", "settings": {"payments": "allotted", "grace_days": 3}}
    (source,) = read_sources(json.dumps({"core": told})).values()
    assert (source.bus, source.settings.payments, source.settings.grace_days) == ("com.lender.loans", "allotted", 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"secrets": [SECRET]},
        {"secrets": [SECRET], "form": "fineract"},
        {"secrets": [SECRET], "form": "mambu", "keys": [OURS]},
        {"secrets": ["s" * 31], "form": "mambu"},
        {"secrets": [OURS], "form": "mambu"},
        {"secrets": ["s" * 31 + "\n"], "form": "mambu"},
        {"secrets": [SECRET] * 5, "form": "mambu"},
        {"keys": [OURS], "form": "mapping"},
        {"keys": [OURS], "settings": {"payment": "stated"}},
        {"keys": [OURS], "settings": {"payments": "guessed"}},
        {"bus": ""},
        {"bus": "predue"},
        {"bus": "predue.production"},
        {"bus": "aws.events"},
        {"bus": "with space"},
    ],
)
def test_a_proof_or_setting_that_cannot_be_meant_stops_the_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_sources(json.dumps({"core": wrong}))["core"]
    assert SECRET[:31] not in f"{caught.value} {caught.value.__cause__}"


def test_a_name_on_the_bus_belongs_to_one_source() -> None:
    read = read_sources(json.dumps({"a": {"bus": "com.lender"}, "b": {"bus": "com.lender"}, "c": {"bus": "com.other"}}))
    assert list(read) == ["c"]
    for name in "ab":
        with pytest.raises(BadPolicy, match="bus"):
            read[name]


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
def test_a_source_that_is_wrong_stops_itself_alone_and_its_error_repeats_nothing(wrong: dict[str, Any]) -> None:
    read = read_sources(json.dumps({"other": GOOD | {"keys": [key("other")]}, "core": GOOD | wrong}), FORMS)
    assert list(read) == ["other"]
    with pytest.raises(BadPolicy) as caught:
        read.get("core")
    told = f"{caught.value} {caught.value.__cause__}"
    assert not any(part in told for part in ("hunter2", "whsec", OURS[10:30], "c2hvcnQ", "a~b"))


@pytest.mark.parametrize("text", ["", "words", "[]", "null", '"core"'])
def test_a_secret_of_another_form_stops_the_work(text: str) -> None:
    with pytest.raises(BadPolicy):
        read_sources(text, FORMS)


@pytest.mark.parametrize("wrong", ['"core": null', '"co#re": {}', '"": {}', '"core": []'])
def test_a_name_or_setting_of_no_form_at_all_stops_no_other(wrong: str) -> None:
    read = read_sources(f'{{"other": {json.dumps(GOOD)}, {wrong}}}', FORMS)
    assert (list(read), len(read), len(read.wrong)) == (["other"], 1, 1)
    assert "nobody" not in read


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_key_may_lack_the_padding_of_its_base64(size: int) -> None:
    padded = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    (read,) = read_sources(json.dumps({"core": {"keys": [padded.rstrip("=")]}})).values()
    assert read.keys == (padded,)
    # What signs and what checks both read the key as it is kept.
    assert Webhook(read.keys[0]).sign("m", NOW, "{}") == Webhook(padded).sign("m", NOW, "{}")


def test_a_key_is_long_enough_to_be_no_guess() -> None:
    assert read_sources(json.dumps({"core": {"keys": [key("any")]}}), FORMS)


SECOND = key("second")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"keys": [OURS, SECOND]}, {"keys": [SECOND]}),
        ({"secrets": [SECRET], "form": "mambu"}, {"secrets": ["t" * 32, SECRET], "form": "mambu"}),
    ],
)
def test_one_key_in_two_sources_stops_both_since_a_request_would_be_good_for_both(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    read = read_sources(json.dumps({"core": one, "crm": other}))
    assert list(read) == []
    for name in ("core", "crm"):
        with pytest.raises(BadPolicy, match="one key to two sources") as refused:
            read[name]
        assert SECRET not in str(refused.value)


def test_settings_say_what_a_source_owns_and_which_types_it_may_send() -> None:
    told = {
        "core": {"bus": "core", "owns": ["schedule", "payments"]},
        "crm": {"bus": "crm", "may": ["borrower.opted_out"]},
    }
    sources = read_sources(json.dumps(told))
    assert sources["core"].may is None
    assert sources["crm"].may == frozenset({"borrower.opted_out"})
    owners = owners_of(sources)
    assert owners.several
    assert [owners.owner(group, "L-1", "crm") for group in GROUPS] == ["core", "core", "crm", "crm"]
    assert owners.owner("schedule", "acme~L-1", "crm") == "crm", "another tenant's loan"


@pytest.mark.parametrize("wrong", [{"owns": ["everything"]}, {"may": ["installment.eaten"]}, {"owns": "schedule"}])
def test_what_nobody_can_own_or_send_stops_its_source(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadPolicy, match=r"owns|may"):
        read_sources(json.dumps({"core": {"keys": [OURS], **wrong}}))["core"]


def test_an_aspect_has_one_owner_in_each_tenant() -> None:
    both = {"core": {"bus": "core", "owns": ["consent"]}, "crm": {"bus": "crm", "owns": ["consent"]}}
    read = read_sources(json.dumps(both))
    for name in both:
        with pytest.raises(BadPolicy, match="two owners to: consent"):
            read[name]
    both["crm"]["tenant"] = "acme"
    assert len(read_sources(json.dumps(both))) == 2
