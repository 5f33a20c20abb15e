from pathlib import Path

import pytest

from tests.mutations.table import ROOT, Mutation, mutations, page


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_the_text_that_a_mutation_changes_stands_in_the_code_exactly_once(mutation: Mutation) -> None:
    assert mutation.mutated(ROOT) != (ROOT / mutation.file).read_text(encoding="utf-8")
    compile(mutation.mutated(ROOT), mutation.file, "exec") if mutation.file.endswith(".py") else None


def test_a_text_that_stands_twice_or_not_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\nb = 1\n")
    for before in ("= 1", "= 2"):
        with pytest.raises(ValueError, match="stands"):
            Mutation("name", "guard", "code.py", before, "= 3", 1, "why", "test").mutated(tmp_path)


@pytest.mark.parametrize("mutation", mutations(), ids=lambda mutation: mutation.name)
def test_the_test_that_must_catch_a_mutation_is_there(mutation: Mutation) -> None:
    file, _, name = mutation.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


def test_no_two_mutations_share_a_name() -> None:
    names = [mutation.name for mutation in mutations()]
    assert len(set(names)) == len(names)


def test_every_promise_has_a_guard_whose_loss_is_shown() -> None:
    assert {mutation.promise for mutation in mutations()} >= set(range(1, 11))


def test_the_page_of_mutations_has_a_row_for_each() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [mutation.name for mutation in mutations()]
