import pytest

from infrastructure.openapi.lifecycle_tables import PAGE, page
from predue.imports.import_state import Import
from predue.lifecycle import Lifecycle

DOOR: Lifecycle[str] = Lifecycle(
    "door", {"open": {"shut": "pushed"}, "shut": {"open": "pulled", "locked": "turned"}, "locked": {}}
)


def test_only_the_steps_of_the_table_are_taken() -> None:
    assert DOOR.step("shut", "locked") == "locked"
    with pytest.raises(ValueError, match="door: there is no step from open to locked"):
        DOOR.step("open", "locked")


def test_a_state_without_steps_is_final() -> None:
    assert [DOOR.final(state) for state in DOOR.steps] == [False, False, True]


def test_the_states_before_a_state_are_those_with_a_step_into_it() -> None:
    assert DOOR.into("open") == ("shut",)


def test_an_import_that_is_done_is_never_applied_again() -> None:
    done = Import("books/core/i.csv", "e", 1, "2026-12-01T00:00:00.000Z", "core", phase="done")
    with pytest.raises(ValueError, match="import: there is no step from done to applying"):
        done.to("applying")


def test_the_page_shows_the_very_tables_that_the_code_executes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run make lifecycles"
