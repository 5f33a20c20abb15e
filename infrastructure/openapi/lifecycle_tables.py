"""`make lifecycles`: writes the tables of docs/architecture.md anew from those that the code runs."""

from pathlib import Path
from typing import Any

from predue.borrowers.ports import EVENT
from predue.domain.case import CASE
from predue.domain.ledger import CONTACT
from predue.domain.record import RECORD
from predue.imports.import_state import IMPORT
from predue.lifecycle import Lifecycle

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
BEGIN, END = "<!-- lifecycles: made by `make lifecycles` -->\n", "<!-- end of lifecycles -->"


def tables() -> str:
    """The lifecycles as Markdown: one row a step, and one for each state that is final."""
    rows = ["| of | from | to | when |", "|---|---|---|---|"]
    for one in (CONTACT, RECORD, EVENT, IMPORT, CASE):
        rows += _step_rows(one)
    return "\n".join(rows) + "\n"


def _step_rows(one: Lifecycle[Any]) -> list[str]:
    steps = [
        f"| {one.of} | `{old}` | `{new}` | {why} |" for old, into in one.steps.items() for new, why in into.items()
    ]
    final = ", ".join(f"`{state}`" for state in one.steps if one.final(state))
    return [*steps, f"| {one.of} | {final} | | final |"] if final else steps


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
