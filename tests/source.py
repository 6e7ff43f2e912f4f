"""The project's own source as syntax trees: what imports what, however it is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
_DOTTED = re.compile(r"tulle(\.[a-z_][a-z0-9_]*)+(:[A-Za-z_]\w*)?")


@dataclass(frozen=True)
class Module:
    """One Python file: its dotted name, and its text as a tree."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return _parse(self.path)

    @property
    def lines(self) -> int:
        return len(self.path.read_text().splitlines())

    @property
    def room(self) -> str:
        """The room it lies in (`storage`), or its own name for those that lie in none (`errors`, `assembly`)."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""


@dataclass(frozen=True)
class Import:
    """`module` mentions `target` (dotted name) in line `line`."""

    module: Module
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module.path.relative_to(ROOT)}:{self.line} {self.module.name} -> {self.target}"


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package."""
    return tuple(Module(_dotted(path), path) for path in sorted(SOURCE.rglob("*.py")))


@cache
def test_modules() -> tuple[Module, ...]:
    """Every module of the tests."""
    return tuple(Module(_dotted(path, ROOT), path) for path in sorted((ROOT / "tests").rglob("*.py")))


test_modules.__test__ = False  # type: ignore[attr-defined]  # its name reads like a test's


@cache
def imports(module: Module) -> tuple[Import, ...]:
    """What of the package `module` imports: plainly, inside a function, for types only, or by a name in a text.

    A text that is a dotted name of the package counts, since tables of such names are how lazy imports are written; the
    argument after `-m` does not, for it starts a process, nor does the name of a log.
    """
    known = {m.name for m in modules()}
    found = {(target, line) for target, line in mentions(module, module.tree) if target in known}
    return tuple(Import(module, target, line) for target, line in sorted(found) if target != module.name)


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module, inner ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, its docstring not counted."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How many blocks deep the deepest statement lies. `elif` is no deeper than `if`; an inner function starts anew."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        deepest = max(deepest, nesting(child, depth + _opens_block(node, child)))
    return deepest


def _opens_block(parent: ast.AST, child: ast.AST) -> int:
    blocks = ast.If | ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try | ast.Match
    chained = isinstance(parent, ast.If) and isinstance(child, ast.If) and child in parent.orelse
    return int(isinstance(child, blocks) and not chained)


def _dotted(path: Path, root: Path = SOURCE) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def mentions(module: Module, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every dotted name that `tree` imports in some way, and the line; names of other packages too."""
    left_out = _texts_that_import_nothing(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from_import(module, node)
        elif isinstance(node, ast.Constant) and node not in left_out and _DOTTED.fullmatch(str(node.value)):
            yield str(node.value).partition(":")[0], node.lineno


def _from_import(module: Module, node: ast.ImportFrom) -> Iterator[tuple[str, int]]:
    base = node.module or ""
    if node.level:
        package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
        for _ in range(node.level - 1):
            package = package.rpartition(".")[0]
        base = f"{package}.{base}".rstrip(".")
    known = {m.name for m in modules()}
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield (inner if inner in known else base), node.lineno


def _texts_that_import_nothing(tree: ast.Module) -> set[ast.AST]:
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple):
            pairs = zip(node.elts, node.elts[1:], strict=False)
            left_out |= {after for flag, after in pairs if isinstance(flag, ast.Constant) and flag.value == "-m"}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
            left_out |= set(node.args)
    return left_out
