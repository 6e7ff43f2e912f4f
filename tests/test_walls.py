"""The walls between the rooms, and the house numbers. What ARCHITECTURE.md says in prose is held here."""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Iterable

import pytest

from tests.source import ROOT, Import, Module, functions, imports, length, mentions, modules, nesting, test_modules

WORDS = {"errors", "times", "uris"}

MAY_IMPORT: dict[str, set[str]] = {
    "policy": set(),
    "utility_plane": set(),
    "product": {"policy"},
    "formats": {"policy", "product"},
    "storage": {"utility_plane"},
    "transformation": {"product", "utility_plane"},
    "client": {"product", "formats"},
    "container": {"policy", "product", "formats", "utility_plane", "storage", "transformation", "client"},
    "product_plane": {"policy", "product", "formats", "utility_plane", "transformation", "client"},
    "mesh_plane": {"policy", "product", "formats", "utility_plane", "client"},
    "faces": {"product", "formats", "client", "product_plane", "mesh_plane"},
    # Not rooms: the SDK's surface shows what others made, and assembly puts the house together.
    "": {"product", "client"},
    "assembly": {
        "policy",
        "product",
        "formats",
        "utility_plane",
        "storage",
        "transformation",
        "client",
        "container",
        "product_plane",
        "mesh_plane",
        "faces",
    },
}

PROCESS_EDGES: dict[str, str] = {
    "tulle.assembly": "the first frame of the host's processes",
    "tulle.container.door": "a request's fault is answered and logged, the door stays open",
    "tulle.container.worker": "a run's fault is recorded, the container goes on",
    "tulle.faces.cli.main": "the last thing that a command does",
    "tulle.transformation.jobs": "the product's own code may raise anything",
    "tulle.utility_plane.nursery": "a child's fault becomes an error document",
    "tulle.utility_plane.processes": "the first frame of a forked process",
}
"""Where `except Exception` is right: at the edge of a process or of the work it does for somebody else. And why."""

VAGUE = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?|common|misc)(?:_|$)", re.IGNORECASE)
EMPTY = re.compile(r"(?i:^_*(?:utils?|helpers?|managers?|common|misc)$)|(?:Utils?|Helpers?|Manager)$")


def by_name(module: Module) -> str:
    return module.name or "tulle"


each_module = pytest.mark.parametrize("module", modules(), ids=by_name)


@each_module
def test_a_room_imports_only_what_its_walls_allow(module: Module) -> None:
    allowed = set() if module.room in WORDS else MAY_IMPORT[module.room] | {module.room}
    through = [str(found) for found in imports(module) if _room(found.target) not in allowed | WORDS]
    assert through == []


def test_every_room_has_its_row_in_the_table() -> None:
    assert {module.room for module in modules()} - WORDS <= set(MAY_IMPORT)


def test_no_import_cycle() -> None:
    """Imports inside functions and for types count: a cycle that is only hidden is still one."""
    graph = {module.name: {found.target for found in imports(module)} for module in modules()}
    cycles = [sorted(group) for group in _strongly_connected(graph) if len(group) > 1]
    assert cycles == []


@each_module
def test_an_import_by_computed_name_stays_in_its_room(module: Module) -> None:
    """A name that is put together at run time could go through any wall unseen. The SDK's own table is read above."""
    calls = (node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and node.args)
    importing = [call for call in calls if ast.unparse(call.func).split(".")[-1] in ("import_module", "__import__")]
    computed = [f"line {call.lineno}" for call in importing if not _names_a_module(call.args[0], module.room)]
    assert module.name == "tulle" or computed == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {_distribution(line) for line in project["dependencies"]}
    optional = {_distribution(line) for lines in project["optional-dependencies"].values() for line in lines}
    used = {_DISTRIBUTIONS.get(name, name) for name in _third_party()}
    assert used - declared - optional == set()
    assert declared - used - {"tzdata"} == set(), "tzdata is data for zoneinfo; the rest should be imported somewhere"


@each_module
def test_a_module_has_at_most_400_lines(module: Module) -> None:
    assert module.lines <= 400


@each_module
def test_functions_are_short_and_flat(module: Module) -> None:
    long = [f"{f.name} has {length(f)} lines" for f in functions(module.tree) if length(f) > 60]
    deep = [f"{f.name} nests {nesting(f)} deep" for f in functions(module.tree) if nesting(f) > 3]
    assert long + deep == []


def test_nine_functions_of_ten_have_at_most_25_lines() -> None:
    lengths = [length(function) for module in modules() for function in functions(module.tree)]
    assert statistics.quantiles(lengths, n=10)[-1] <= 25


@each_module
def test_a_constructor_takes_at_most_6_parameters(module: Module) -> None:
    wide = [f"line {f.lineno}" for f in functions(module.tree) if f.name == "__init__" and _parameters(f) > 6]
    assert wide == []


@each_module
def test_an_init_only_re_exports(module: Module) -> None:
    """Imports, `__all__`, constants; in the package's own also the two functions by which names are loaded lazily."""
    if module.path.name != "__init__.py":
        return
    lazy = {"__getattr__", "__dir__"} if module.name == "tulle" else set()
    does = [statement for statement in module.tree.body if not _re_exports(statement, lazy)]
    assert [ast.unparse(statement).splitlines()[0] for statement in does] == []


@each_module
def test_names_say_what_a_thing_is(module: Module) -> None:
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = [part for part in module.name.split(".") if VAGUE.search(part)]
    names += [node.name for node in ast.walk(module.tree) if isinstance(node, definitions) and EMPTY.search(node.name)]
    assert names == []


@each_module
def test_everything_is_caught_only_at_the_edge_of_a_process(module: Module) -> None:
    handlers = (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler))
    blind = [f"line {h.lineno}" for h in handlers if _catches_everything(h) and not _only_tidies(h)]
    assert module.name in PROCESS_EDGES or blind == []


def test_the_list_of_process_edges_holds_no_more_than_there_are() -> None:
    assert set(PROCESS_EDGES) <= {module.name for module in modules()}


@pytest.mark.parametrize("module", test_modules(), ids=by_name)
def test_tests_use_the_real_thing_and_wait_for_conditions(module: Module) -> None:
    names = {ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute | ast.Name)}
    imported = {alias.name for node in ast.walk(module.tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.split(".")[-1] in ("mock", "pytest_mock")} == set()
    assert names & {"MagicMock", "monkeypatch.setattr", "time.sleep", "pytest.skip", "pytest.xfail"} == set()


def test_the_locks_name_exact_versions_with_hashes_and_no_host() -> None:
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        text = lock.read_text()
        assert re.search(r"://|--index|--find-links", text) is None, lock.name
        pins = re.findall(r"^[a-z0-9][^\s;]*.*(?:\n {4}--hash.*)*", text, re.MULTILINE)
        assert pins, lock.name
        assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == [], lock.name


def test_the_locks_agree() -> None:
    core, demo, dev = (_pins(name) for name in ("core", "demo", "dev"))
    assert core <= demo <= dev


def _names_a_module(argument: ast.expr, room: str) -> bool:
    """A plain text, which `imports` reads, or one that begins with the room's own name."""
    if isinstance(argument, ast.JoinedStr):
        return ast.unparse(argument).removeprefix("f")[1:].startswith(f"tulle.{room}.")
    return isinstance(argument, ast.Constant)


def _room(dotted: str) -> str:
    return dotted.split(".")[1] if "." in dotted else ""


def _strongly_connected(graph: dict[str, set[str]]) -> Iterable[set[str]]:
    """Groups of modules that reach one another; a module that reaches nobody back is a group of one."""
    reach = {name: _reachable(graph, name) for name in graph}
    seen: set[str] = set()
    for name in graph:
        if name not in seen:
            group = {name} | {other for other in reach[name] if name in reach[other]}
            seen |= group
            yield group


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        fresh = graph.get(todo.pop(), set()) - found
        found |= fresh
        todo += fresh
    return found


_DISTRIBUTIONS = {"yaml": "pyyaml", "jwt": "pyjwt"}


def _distribution(requirement: str) -> str:
    return re.split(r"[<>=\[; ]", requirement)[0].lower()


def _third_party() -> set[str]:
    nodes = [node for module in modules() for node in ast.walk(module.tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"tulle"}


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs) - 1


def _re_exports(statement: ast.stmt, lazy: set[str]) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name in lazy
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) == "TYPE_CHECKING"
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr)


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(each) in ("Exception", "BaseException") for each in kinds)


def _only_tidies(handler: ast.ExceptHandler) -> bool:
    """It ends by letting the error go on as it came."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _pins(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return set(re.findall(r"^[a-z0-9][^\s;]*==[^\s;]+", text, re.MULTILINE))


def test_an_import_says_where_it_is_written() -> None:
    """The finder of imports itself: plain, inside a function, by name in a table, and what starts a process."""
    text = """
import tulle.errors
def lazily():
    from tulle import times
TABLE = {"PortAddress": "tulle.uris:PortAddress"}
COMMAND = ["python", "-m", "tulle.product.reading"]
"""
    tree = ast.parse(text)
    module = Module("tulle.client.example", ROOT / "no such file.py")
    assert {target for target, _ in mentions(module, tree)} == {"tulle.errors", "tulle.times", "tulle.uris"}
    assert "client" in str(Import(modules()[0], "tulle.client.x", 1))
