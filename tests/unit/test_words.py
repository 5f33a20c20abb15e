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
        "address",
        "answer",
        "queue",
        "report",
        "room",
        "use",
        "ending",
        "deliver",
        "attempt",
        "batch",
        "book",
        "bucket",
        "bus",
        "call",
        "change",
        "check",
        "checkpoint",
        "chunk",
        "client",
        "conflict",
        "control",
        "csv",
        "decision",
        "delivery",
        "deliveries",
        "email",
        "encoding",
        "entry",
        "error",
        "field",
        "file",
        "formatting",
        "header",
        "https",
        "index",
        "ingest",
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
        "messaging",
        "model",
        "money",
        "name",
        "native",
        "parameter",
        "problem",
        "processor",
        "profile",
        "publishing",
        "render",
        "request",
        "result",
        "row",
        "rule",
        "run",
        "schedule",
        "ses",
        "set",
        "setting",
        "size",
        "sms",
        "sqs",
        "state",
        "store",
        "stream",
        "strict",
        "switch",
        "table",
        "task",
        "telemetry",
        "template",
        "time",
        "tenant",
        "user",
        "value",
        "view",
        "volume",
        "webhook",
        "wiring",
        "worker",
        "avro",
        "cloudevents",
        "fineract",
        "mambu",
        "cap",
        "hours",
        "note",
        "rulebook",
        "plan",
        "sweep",
        "tally",
        "unsubscribe",
    ]
)
BEFELL = frozenset(
    [
        "overdue",
        "public",
        "busy",
        "gone",
        "kept",
        "later",
        "missing",
        "paid",
        "retryable",
        "sent",
        "unreachable",
        "unusable",
        "usable",
        "ahead",
    ]
)
"""What befell somebody or something, as events and errors are called; forms of verbs are told by their endings."""
FORMS = ("", "s", "es", "er", "ers")
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
    known = {word + form for word in glossary | ORDINARY for form in FORMS} | BEFELL
    unknown = defaultdict(set)
    for path in MODULES:
        if "functions" not in str(path.relative_to(ROOT)):
            continue
        classes = [n.name for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ClassDef)]
        for name in [path.stem, *(name for name in classes if not name.startswith("_"))]:
            noun = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)[-1].lower()
            if noun not in known and not noun.endswith(("ed", "ing")):
                unknown[noun].add(name)
    assert dict(unknown) == {}
