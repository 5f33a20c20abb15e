import re
from pathlib import Path

import pytest

from tests.mutations.drawn import drawn
from tests.mutations.table import ROOT, Mutation, mutations, page


def broken(mutation: Mutation) -> str:
    """What is wrong with a row, if anything: its change must fit the code, and its test be there."""
    try:
        changed = mutation.mutated(ROOT)
        if mutation.file.endswith(".py"):
            compile(changed, mutation.file, "exec")
    except (ValueError, SyntaxError) as error:
        return f"{mutation.name}: {error}"
    file, _, test = mutation.test.partition("::")
    if f"def {test.partition('[')[0]}(" not in (ROOT / file).read_text(encoding="utf-8"):
        return f"{mutation.name}: there is no {mutation.test}"
    same = changed == (ROOT / mutation.file).read_text(encoding="utf-8")
    return f"{mutation.name}: changes nothing" if same else ""


def test_every_row_changes_a_text_that_stands_once_and_names_a_test_that_is_there() -> None:
    assert list(filter(None, map(broken, mutations()))) == []


def test_a_text_that_stands_twice_or_not_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\nb = 1\n")
    for before in ("= 1", "= 2"):
        with pytest.raises(ValueError, match="stands"):
            Mutation("name", "guard", "code.py", before, "= 3", 1, "why", "test").mutated(tmp_path)


@pytest.mark.parametrize(
    ("after", "test", "says"),
    [("(", "::here", "SyntaxError|never closed"), ("= 3", "::not", "no "), ("= 1", "::here", "nothing")],
)
def test_a_row_that_shows_nothing_is_named(after: str, test: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("a = 1\ndef here(): ...\n")
    name = str(tmp_path / "code.py")
    assert re.search(says, broken(Mutation("row", "guard", name, "= 1", after, 1, "why", name + test)))


def test_no_two_mutations_share_a_name() -> None:
    names = [mutation.name for mutation in mutations()]
    assert len(set(names)) == len(names)


def test_every_promise_has_a_guard_whose_loss_is_shown() -> None:
    assert {mutation.promise for mutation in mutations()} >= set(range(1, 11))


def test_the_page_of_mutations_has_a_row_for_each() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [mutation.name for mutation in mutations()]


def test_a_seed_draws_changes_that_compile_and_whose_tests_are_there() -> None:
    chosen = drawn(40, 7)
    assert chosen == drawn(40, 7) != drawn(40, 8)
    for one in chosen:
        compile(one.mutated(ROOT), one.file, "exec")
        assert one.mutated(ROOT) != (ROOT / one.file).read_text(encoding="utf-8")
        assert all((ROOT / test).exists() for test in one.tests)
    assert {one.file for one in drawn(20, 7, "gate,ledger")} == {
        "functions/predue/reminders/gate.py",
        "functions/predue/domain/ledger.py",
    }
