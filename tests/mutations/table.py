"""The guards that promises lean on, each with a change that breaks it and the test that must notice: `table.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "build" / "mutations.md"

_HEAD = """# Mutations

What holds the promises up, taken away piece by piece. Each row is one guard in the code, a change that breaks it, the
promise of docs/architecture.md that leans on it, and a test that fails then. `make mutants` applies
each change to a copy of the project and shows that the test fails, by its own assertion; `make mutants NAME=<name>`
does one. The table is `tests/mutations/table.toml`; `make guards` makes this page from it.
"""


@dataclass(frozen=True)
class Mutation:
    """One guard taken away: in `file` the text `before`, which stands there once, becomes `after`.

    `also` is a second such pair in the same file, for what moves from one place to another. `test` is the node id of
    the test that must fail then; `promise` is the number of the promise, and `why` what would happen to a borrower.
    """

    name: str
    guard: str
    file: str
    before: str
    after: str
    promise: int
    why: str
    test: str
    also: tuple[str, str] | tuple[()] = ()

    @property
    def tests(self) -> tuple[str, ...]:
        """The one test, where several could stand."""
        return (self.test,)

    def mutated(self, root: Path) -> str:
        """The file's text with the change; raises ValueError unless `before` stands in it exactly once."""
        text = (root / self.file).read_text(encoding="utf-8")
        for before, after in [(self.before, self.after), *([self.also] if self.also else [])]:
            found = text.count(before)
            if found != 1:
                raise ValueError(f"{self.name}: the text to change stands {found} times in {self.file}")
            text = text.replace(before, after)
        return text


def mutations() -> list[Mutation]:
    """Every mutation, in the order of the table."""
    raw = tomllib.loads((Path(__file__).with_name("table.toml")).read_text(encoding="utf-8"))
    return [Mutation(**one | {"also": tuple(one.get("also", ()))}) for one in raw["mutation"]]


def page() -> str:
    """The page that lists them."""
    rows = ["| mutation | guard | promise | without it | caught by |", "|---|---|---|---|---|"]
    for one in mutations():
        file, _, test = one.test.partition("::")
        words = test.removeprefix("test_").replace("_", " ")
        rows.append(
            f"| `{one.name}` | {one.guard} (`{one.file.removeprefix('functions/')}`) | {one.promise} | {one.why} "
            f"| {words} (`{file.removeprefix('tests/')}`) |"
        )
    return _HEAD + "\n" + "\n".join(rows) + "\n"
