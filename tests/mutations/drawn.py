"""Small changes of the rules, drawn by chance: comparisons, constants, arithmetic, conditions, statements.

Unlike the table's, nobody chose them, so they show what no test looks at. Some change no behaviour: a person judges.
"""

import ast
import random
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path

from tests.mutations.table import ROOT

_PACKAGE = ROOT / "functions" / "predue"
_UNIT = ROOT / "tests" / "unit"
_IMPURE = {"aws", "connectors", "runtime", "errors.py", "ports.py", "wiring.py", "https.py"}
"""What holds no rules: adapters, forms of messages, and what only declares."""
_ALSO = {"early_warning": ("case",), "closing": ("case",)}
"""Modules whose behaviour stands in tests of another name, too."""
_COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.LtE], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn], ast.NotIn: [ast.In],
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}
_ENDS: dict[type[ast.stmt], type[ast.stmt]] = {ast.Continue: ast.Break, ast.Break: ast.Continue}


@dataclass(frozen=True)
class Drawn:
    """One change: in `file`, from `start` to `end` (in bytes), stands `after`; `tests` are the files that match."""

    name: str
    file: str
    start: int
    end: int
    after: str
    tests: tuple[str, ...]

    def mutated(self, root: Path) -> str:
        """The file's text with the change."""
        raw = (root / self.file).read_bytes()
        return (raw[: self.start] + self.after.encode() + raw[self.end :]).decode()


def _conditions(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Conditions of a node with what could stand for them; comparisons and the like are changed where they stand."""
    match node:
        case ast.comprehension(ifs=ifs):
            yield from ((one, ast.Constant(value=True)) for one in ifs)
        case ast.If(test=test) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield test, ast.UnaryOp(ast.Not(), test)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in an expression's place and would mean something else."""
    match node:
        case ast.Compare(ops=[op]):
            yield from (_but(node, ops=[other()]) for other in _COMPARISONS[type(op)])
        case ast.BoolOp(op=op, values=values):
            yield _but(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            yield from (_but(node, values=[one for one in values if one is not left]) for left in values)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            yield inner
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            yield _but(node, op=_ARITHMETIC[type(op)]())
        case ast.IfExp(body=body, orelse=other):
            yield _but(node, body=other, orelse=body)
        case ast.Name(id=name) if name in _NAMES:
            yield ast.Name(_NAMES[name])


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in a statement's place; most are left out."""
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(None)
        case ast.Continue() | ast.Break():
            yield _ENDS[type(node)]()
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call() | ast.YieldFrom() | ast.Yield()):
            yield ast.Pass()


def _but(node: ast.AST, **fields: object) -> ast.AST:
    other = deepcopy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs; types and decorators say nothing of behaviour that a change could show."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_params", "format_spec"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                yield node
                yield from _code(node)


def _importing(name: str, paths: Iterable[Path]) -> list[Path]:
    """The files that import a module of this dotted name."""
    package, _, stem = name.rpartition(".")
    imports = re.compile(rf"from {re.escape(name)} import|from {re.escape(package)} import [\w, (]*\b{stem}\b")
    return [path for path in paths if imports.search(path.read_text(encoding="utf-8"))]


def _named(stem: str) -> list[Path]:
    return [*_UNIT.rglob(f"test_{stem}.py"), *_UNIT.rglob(f"test_{stem}_*.py")]


def _tests(module: Path) -> tuple[str, ...]:
    """The unit tests that match a module: its own by name, those that import it, and those of who imports it."""
    name = ".".join(module.relative_to(_PACKAGE.parent).with_suffix("").parts)
    users = [_named(path.stem) for path in _importing(name, sorted(_PACKAGE.rglob("*.py")))]
    also = chain(*map(_named, _ALSO.get(module.stem, ())))
    paths = [*_named(module.stem), *also, *_importing(name, sorted(_UNIT.rglob("test_*.py"))), *chain(*users)]
    return tuple(dict.fromkeys(str(path.relative_to(ROOT)) for path in paths if "local" not in path.parts))


def _changes(module: Path) -> Iterator[Drawn]:
    raw = module.read_bytes()
    starts = list(accumulate(map(len, raw.splitlines(keepends=True)), initial=0))
    file, tests = str(module.relative_to(ROOT)), _tests(module)
    for node in _code(ast.parse(raw)):
        for place, other in [*((node, like) for like in chain(_values(node), _statements(node))), *_conditions(node)]:
            assert isinstance(place, ast.expr | ast.stmt), "only these are changed"
            assert place.end_lineno is not None
            assert place.end_col_offset is not None
            start = starts[place.lineno - 1] + place.col_offset
            end = starts[place.end_lineno - 1] + place.end_col_offset
            after = ast.unparse(other) if isinstance(other, ast.stmt) else f"({ast.unparse(other)})"
            name = f"{module.stem}:{place.lineno}  {' '.join(raw[start:end].decode().split())}  ->  {after}"
            yield Drawn(name, file, start, end, after, tests)


def drawn(number: int, seed: int, only: str = "") -> list[Drawn]:
    """So many different changes of the rules; the same seed draws the same ones. `only` names modules, by comma."""
    rules = [path for path in sorted(_PACKAGE.rglob("*.py")) if not set(path.parts) & _IMPURE]
    wanted = [path for path in rules if path.stem in (only.split(",") if only else {one.stem for one in rules})]
    found = [change for path in wanted for change in _changes(path) if change.tests]
    return random.Random(seed).sample(found, min(number, len(found)))  # noqa: S311 - no secret
