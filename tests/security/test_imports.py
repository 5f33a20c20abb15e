"""Imports point inward, handlers are thin, and nothing happens at import."""

import ast
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
HANDLERS = sorted(FUNCTIONS.glob("*.py"))
RULES = sorted(
    path
    for path in (FUNCTIONS / "predue").rglob("*.py")
    if path.parent.name not in ("aws", "runtime") and path.stem != "wiring"
)
ADAPTERS = sorted((FUNCTIONS / "predue" / "aws").glob("*.py"))
names = pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.stem)


def imported(path: Path) -> set[str]:
    """The full names of every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_imports_neither_aws_nor_an_adapter_nor_a_handler_nor_the_local_stack(path: Path) -> None:
    handlers = {handler.stem for handler in HANDLERS}
    assert not tops(path) & ({"boto3", "botocore"} | handlers | {"infrastructure", "tests", "moto"})
    assert not {name for name in imported(path) if name.startswith("predue.aws")}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_reads_no_clock_and_no_environment(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    clocks = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "datetime.today"}
    assert not calls & (clocks | {"os.getenv", "os.environ.get", "print"})
    assert "os" not in tops(path)


@pytest.mark.parametrize("path", [*HANDLERS, *RULES], ids=lambda path: path.stem)
def test_only_an_adapter_imports_the_sdk(path: Path) -> None:
    assert not tops(path) & {"boto3", "botocore"}


@pytest.mark.parametrize("path", [*ADAPTERS, *HANDLERS], ids=lambda path: path.stem)
def test_what_is_deployed_knows_nothing_of_the_local_stack_and_no_other_handler(path: Path) -> None:
    assert not tops(path) & ({"infrastructure", "tests", "moto"} | {one.stem for one in HANDLERS})


@names
def test_a_handler_translates_in_twenty_lines_or_fewer(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.body[-1].end_lineno is not None
            assert node.body[-1].end_lineno - node.body[0].lineno < 20, node.name
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80


@names
def test_a_handler_holds_definitions_and_nothing_that_acts(path: Path) -> None:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        assert isinstance(node, kinds), ast.unparse(node)
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), ast.unparse(node)


_LOOK = """
import json, socket, sys, time
began = set(sys.modules)
def refused(*_args, **_kwargs):
    raise AssertionError("an import opens a connection")
socket.socket.connect = socket.create_connection = refused
import botocore.session
made = []
original = botocore.session.Session.create_client
botocore.session.Session.create_client = lambda self, name, *a, **k: made.append(name) or original(self, name, *a, **k)
{imports}
print(json.dumps({{"made": made, "modules": sorted(set(sys.modules) - began)}}))
"""


@lru_cache
def after_import(*modules: str) -> dict[str, list[str]]:
    """What the import of modules in a process of their own makes and loads, with none of the template's environment."""
    script = _LOOK.format(imports="\n".join(f"import {module}" for module in modules))
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(FUNCTIONS)}
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return {str(name): list(values) for name, values in json.loads(done.stdout).items()}


@names
def test_importing_a_handler_makes_no_client_and_needs_no_environment(path: Path) -> None:
    assert after_import(path.stem)["made"] == []


HEAVY = {"phonenumbers", "babel", "aws_xray_sdk", "jinja2", "holidays", "requests", "moto", "infrastructure"}
NEEDED: dict[str, set[str]] = {
    "plan_reminders": set(),
    "close_day": set(),
    "deliver_sms": {"babel"},
    "deliver_email": {"babel"},
    "record_receipts": set(),
    "unsubscribe": set(),
    "ingest": set(),
    "ingest_events": set(),
    "import_book": set(),
    "publish_events": set(),
    "call_webhooks": set(),
}


READERS = {"ingest", "ingest_events", "import_book"}
"""The handlers that read events."""


def test_every_handler_says_what_heavy_modules_it_needs() -> None:
    assert set(NEEDED) == {path.stem for path in HANDLERS}


@names
def test_a_handler_loads_only_the_heavy_modules_that_it_needs(path: Path) -> None:
    loaded = {module.partition(".")[0] for module in after_import(path.stem)["modules"]}
    assert loaded & HEAVY == NEEDED[path.stem]


@names
def test_a_handler_loads_no_provider_resolver_or_events_that_it_does_not_use(path: Path) -> None:
    loaded = set(after_import(path.stem)["modules"])
    delivers = path.stem.startswith("deliver_")
    assert ("predue.aws.providers" in loaded) is delivers
    assert ("aws_lambda_powertools.event_handler" in loaded) is (path.stem == "unsubscribe")
    assert ("predue.events.applying" in loaded) is (path.stem in READERS)
    # What reads the subscribers knows a source's keys, and with them the forms of sources.
    assert ("predue.events.models" in loaded) is (path.stem in READERS | {"call_webhooks"})
    assert "aws_lambda_powertools.utilities.batch" not in loaded


def test_planner_and_closing_run_load_no_models_of_events() -> None:
    loaded = set(after_import("predue.reminders.planner", "predue.reminders.closing")["modules"])
    assert {"predue.reminders.planner", "predue.reminders.closing"} <= loaded
    assert not {"predue.events.models", "predue.events.event_fields", "predue.connectors"} & loaded


def test_no_name_that_is_a_modules_own_is_imported_by_another() -> None:
    ours = [*FUNCTIONS.rglob("*.py"), *(FUNCTIONS.parent / "infrastructure").rglob("*.py")]
    names = {name for path in ours for name in imported(path) if name.startswith(("predue.", "infrastructure."))}
    assert len(names) > 100
    assert not {name for name in names if name.rpartition(".")[2].startswith("_")}
