import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from predue.domain.policy import (
    Cap,
    HoursSetting,
    ImportsSetting,
    LenderSetting,
    Pack,
    Policy,
    StageSetting,
    read_policy,
)

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = (DOCS / "policy.example.toml").read_text(encoding="utf-8")
PAGE = (DOCS / "policy.md").read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "lender": LenderSetting,
    "hours": HoursSetting,
    "stages": StageSetting,
    "caps": Cap,
    "imports": ImportsSetting,
}


def keys_of_a_policy() -> Iterator[str]:
    for name in Policy.model_fields:
        if name in TABLES:
            yield from (f"{name}.{key}" for key in TABLES[name].model_fields)
        else:
            yield name


def stands_in_example(key: str) -> bool:
    """Whether a key is set, or shown in a comment, at its place in the example."""
    table, _, name = key.rpartition(".")
    sections = re.split(r"^\[+([a-z]+)\]+$", EXAMPLE, flags=re.MULTILINE)
    texts = dict.fromkeys(TABLES, "") | {"": sections[0]}
    for found, text in zip(sections[1::2], sections[2::2], strict=True):
        texts[found] += text
    return re.search(rf"^(# )?{name} = ", texts[table], flags=re.MULTILINE) is not None


def test_the_example_is_the_default_policy() -> None:
    assert read_policy(EXAMPLE) == Policy()


def test_the_example_with_its_commented_keys_switched_on_is_a_policy_too() -> None:
    switched_on = re.sub(r"^# (?=[a-z_]+ = )", "", EXAMPLE, flags=re.MULTILINE)
    assert read_policy(switched_on).allow_list


@pytest.mark.parametrize("key", list(keys_of_a_policy()))
def test_every_key_of_the_policy_stands_in_the_example_and_on_its_page(key: str) -> None:
    assert stands_in_example(key), f"docs/policy.example.toml does not show {key}"
    assert f"| `{key}` |" in PAGE, f"docs/policy.md has no row for {key}"


@pytest.mark.parametrize("key", list(Pack.model_fields))
def test_every_key_of_a_pack_stands_on_its_page(key: str) -> None:
    assert f"| `{key}` |" in PAGE.partition("## Packs")[2], f"docs/policy.md has no row for the pack's {key}"
