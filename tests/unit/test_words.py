"""One word for one thing: names in code against the glossary of docs/architecture.md."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    path
    for folder in ("functions", "infrastructure")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.stem not in ("__init__", "__main__")
]
ORDINARY = frozenset(
    # Words of programs, of AWS and of the web, used here as everywhere.
    [
        "answer",
        "attempt",
        "batch",
        "bucket",
        "bus",
        "call",
        "change",
        "check",
        "checkpoint",
        "chunk",
        "client",
        "control",
        "csv",
        "decision",
        "email",
        "encoding",
        "entry",
        "error",
        "field",
        "file",
        "header",
        "https",
        "index",
        "instant",
        "item",
        "json",
        "key",
        "lifecycle",
        "line",
        "lock",
        "mapping",
        "mark",
        "message",
        "model",
        "money",
        "name",
        "number",
        "parameter",
        "problem",
        "processor",
        "profile",
        "request",
        "result",
        "row",
        "run",
        "schedule",
        "ses",
        "setting",
        "shard",
        "size",
        "sms",
        "sqs",
        "state",
        "store",
        "stream",
        "switch",
        "table",
        "task",
        "telemetry",
        "template",
        "tenant",
        "text",
        "time",
        "use",
        "user",
        "value",
        "version",
        "view",
        "volume",
        "warning",
        "webhook",
        "wiring",
        "worker",
        "avro",
        "cloudevents",
        "fineract",
        "mambu",
        "native",
        "lender",
        "amount",
        "cap",
        "hour",
        "window",
        "report",
        "plan",
        "sweep",
        "tally",
        "bulk",
        "loan",
        "overdue",
        "chart",
        "size",
        "queue",
        "id",
        "kind",
        "day",
        "rule",
        "rulebook",
        "slot",
        "tail",
        "public",
        "strict",
        "error",
        "list",
        "type",
        "name",
    ]
)
FORMS = (
    "",
    "s",
    "es",
    "d",
    "ed",
    "ing",
    "ings",
    "er",
    "ers",
    "or",
    "ors",
    "able",
    "ables",
    "led",
    "ling",
    "ted",
    "ning",
)
BANNED = {
    "desk",
    "desks",
    "news",
    "heard",
    "told",
    "tell",
    "telling",
    "wish",
    "wishes",
    "aside",
    "hooks",
    "envelope",
    "textbook",
}


def names(path: Path) -> Iterator[str]:
    """The names of a module that others may use: its own, its classes and its functions."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name


def test_no_class_name_stands_twice() -> None:
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_module_name_stands_twice() -> None:
    counted = Counter(path.stem for path in MODULES)
    assert {name for name, number in counted.items() if number > 1} == set()


def test_a_helper_has_a_name_of_its_own_or_shares_it_with_one_other() -> None:
    counted = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
    )
    assert {name: number for name, number in counted.items() if number > 2} == {}


def test_words_that_the_field_does_not_use_stand_in_no_name() -> None:
    used = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        for name in names(path)
        if BANNED & set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))
    }
    assert used == set()


def test_every_noun_of_a_class_or_module_stands_in_the_glossary_or_is_an_ordinary_word() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    glossary = set(re.findall(r"[a-z]+", page[page.index("## Words") : page.index("Planned means")].lower()))
    known = {word + form for word in glossary | ORDINARY for form in FORMS} | {w + "e" for w in glossary} | glossary
    unknown = defaultdict(set)
    for path in MODULES:
        if "functions" not in str(path.relative_to(ROOT)):
            continue
        classes = [n.name for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ClassDef)]
        for name in [path.stem, *(name for name in classes if not name.startswith("_"))]:
            noun = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)[-1].lower()
            if noun not in known:
                unknown[noun].add(name)
    assert dict(unknown) == {}
