"""The files beside a manifest: is the code it names there, and does it fit what the manifest declares?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from tulle.errors import InvalidManifest, nearest
from tulle.formats.expressions import without_colour
from tulle.formats.walk import Fault
from tulle.product.manifest import Manifest


def code_faults(manifest: Manifest, folder: Path) -> list[Fault]:
    """What is wrong with the files that `manifest` names, below the product's `folder`."""
    transform = manifest.transform
    if transform.sql:
        return list(_sql(folder, transform.sql))
    if transform.python:
        file, _, function = transform.python.rpartition(":")
        return list(_python(manifest, folder, file, function))
    return []


def foreign_table(manifest: Manifest, folder: Path) -> InvalidManifest | None:
    """The error, pointing into the SQL file, if it reads what is not among the inputs."""
    if not manifest.transform.sql:
        return None
    file = folder / manifest.transform.sql
    known = [port.name for port in manifest.inputs]
    query = sqlglot.parse_one(file.read_text(encoding="utf-8-sig"), dialect="duckdb")
    own = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        plain = isinstance(table.this, exp.Identifier) and not table.db
        if not (plain and table.name.lower() in own | {name.lower() for name in known}):
            return _foreign(table, f"{file}", known)
    return None


def _foreign(table: exp.Table, file: str, known: list[str]) -> InvalidManifest:
    meta = next((part.meta for part in table.find_all(exp.Identifier) if "line" in part.meta), {})
    name = exp.Table(this=table.this, db=table.args.get("db"), catalog=table.args.get("catalog")).sql("duckdb")
    hint = nearest(table.name, known) or f"Its inputs: {', '.join(known)}."
    where = f"{file}:{meta['line']}:{max(1, meta['col'] - len(table.name) + 1)}" if meta else file
    dotted = f"{table.db}/{table.name}" if table.db else "domain/product"
    fix = f'declare it under inputs: {table.name or "name"}: {{from: "{dotted}:rows@1"}}'
    return InvalidManifest("E023", f"{name} is not among the inputs", where=where, why=hint, fix=fix)


def _inside(folder: Path, file: str) -> bool:
    return (folder / file).resolve().is_relative_to(folder.resolve())


def _missing(folder: Path, file: str, key: str, ending: str) -> Fault | None:
    if not _inside(folder, file):
        return Fault(("transform", key), f"{file} lies outside the product's folder. Code belongs to its product")
    if not (folder / file).is_file():
        here = sorted(str(path.relative_to(folder)) for path in folder.rglob(f"*{ending}") if "tests" not in path.parts)
        hint = nearest(file, here) or (f"There are: {', '.join(here)}" if here else "")
        return Fault(("transform", key), f"there is no file {file} in the product's folder. {hint}".strip())
    return None


def _sql(folder: Path, file: str) -> Iterator[Fault]:
    missing = _missing(folder, file, "sql", ".sql")
    if missing:
        yield missing
        return
    try:
        statements = [s for s in sqlglot.parse((folder / file).read_text(encoding="utf-8-sig"), dialect="duckdb") if s]
    except UnicodeDecodeError:
        yield Fault(("transform", "sql"), f"{file} is not UTF-8")
        return
    except (SqlglotError, RecursionError) as problem:
        yield Fault(("transform", "sql"), f"{file}{_sql_position(problem)} does not parse as SQL. {_said(problem)}")
        return
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        yield Fault(
            ("transform", "sql"), f"{file} must hold one SELECT. Inputs are its tables, its rows are the output"
        )


def _sql_position(problem: Exception) -> str:
    at = problem.errors[0] if isinstance(problem, ParseError) and problem.errors else {}
    return f":{at['line']}:{at['col']}" if at.get("line") else ""


def _said(problem: Exception) -> str:
    line = without_colour(str(problem)).splitlines()[0] if str(problem) else "it is nested too deep"
    return re.sub(r"\s*Line \d+, Col: \d+\.?", "", re.sub(r"<class '[\w.]*\.(\w+)'>", r"\1", line))


def _python(manifest: Manifest, folder: Path, file: str, function: str) -> Iterator[Fault]:
    missing = _missing(folder, file, "python", ".py")
    if missing:
        yield missing
        return
    try:
        module = ast.parse((folder / file).read_bytes(), filename=file)
    except (SyntaxError, ValueError, RecursionError) as problem:
        line = f":{problem.lineno}" if isinstance(problem, SyntaxError) and problem.lineno else ""
        said = problem.msg if isinstance(problem, SyntaxError) else str(problem)
        yield Fault(("transform", "python"), f"{file}{line} is not Python: {said}")
        return
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    names = {*functions, *_assigned(module)}
    if function not in names:
        hint = nearest(function, names) or (f"It has: {', '.join(sorted(names))}" if names else "")
        yield Fault(("transform", "python"), f"{file} has no function {function}. {hint}".strip())
    elif function in functions:
        yield from _arguments(manifest, functions[function], file)


def _assigned(module: ast.Module) -> Iterator[str]:
    """Names that a module binds otherwise than by def: they may hold functions too."""
    for node in module.body:
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (alias.asname or alias.name for alias in node.names)


def _arguments(manifest: Manifest, function: ast.FunctionDef, file: str) -> Iterator[Fault]:
    """Inputs are passed by name: each needs an argument, and no other argument may be left without a value."""
    spec, inputs = function.args, [port.name for port in manifest.inputs]
    where = f"{file}:{function.lineno}"
    named = [argument.arg for argument in (*spec.args, *spec.kwonlyargs)]
    if len(named) == len(inputs) and not set(named) & {*inputs, "moments"}:
        return  # by place, in the manifest's order
    lost = [name for name in inputs if name not in named] if spec.kwarg is None else []
    if lost:
        yield Fault(
            ("transform", "python"), f"{function.name} at {where} takes no argument {lost[0]}, which is an input"
        )
    optional = {argument.arg for argument in spec.args[len(spec.args) - len(spec.defaults) :]}
    optional |= {a.arg for a, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if default is not None}
    for name in [a.arg for a in spec.posonlyargs] + [n for n in named if n not in {*inputs, *optional, "moments"}]:
        yield Fault(("transform", "python"), f"{function.name} at {where} asks for {name}, which is not an input")
