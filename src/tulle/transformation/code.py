"""The product's own code: one SELECT over its inputs, or a Python function that takes them."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tulle.errors import CheckFailed, nearest
from tulle.product.manifest import Manifest
from tulle.times import Moment
from tulle.transformation.engine import Connection, tables

Tables = Mapping[str, pa.Table]

_NO_TABLE = re.compile(r'Table with name "?([^"\s]+)"? does not exist')


def by_sql(connection: Connection, code: Path, file: str, inputs: Tables) -> pa.Table:
    """The rows of the SELECT in `file`, which sees the inputs as tables. Raises E023 for any other table, else E034."""
    text = _read(code, file)
    statement = _only_select(connection, text, file)
    with tables(connection, inputs):
        try:
            return connection.sql(statement).to_arrow_table()
        except duckdb.Error as error:
            print(f"{file}: {error}", file=sys.stderr)  # noqa: T201 - the run's log is the team's own
            raise _sql_fault(connection, file, text, inputs, error) from None


def by_python(
    code: Path, spec: str, manifest: Manifest, inputs: Tables, at: Mapping[str, Moment]
) -> dict[str, pa.Table]:
    """What `file.py:function` makes of the inputs, per output port. What the code raises is passed on as it is."""
    file, _, name = spec.partition(":")
    function = _function(code, file, name)
    args, named = _arguments(function, spec, {port.name: inputs[port.name] for port in manifest.inputs}, at)
    result = function(*args, **named)
    names = [output.name for output in manifest.outputs]
    if not isinstance(result, dict):
        if len(names) > 1:
            why = f"Its outputs: {', '.join(names)}."
            raise CheckFailed("E035", f"{spec} must return a dict with a table per output port", where=file, why=why)
        return {names[0]: _table(result, spec)}
    if missing := [name for name in names if name not in result]:
        raise CheckFailed("E035", f"{spec} returned nothing for {', '.join(missing)}", where=file)
    return {name: _table(result[name], spec) for name in names}


def _read(code: Path, file: str) -> str:
    try:
        return (code / file).read_text()
    except (FileNotFoundError, UnicodeError) as error:
        raise CheckFailed("E034", f"{file} cannot be read: {type(error).__name__}", where=file) from None


def _only_select(connection: Connection, text: str, file: str) -> duckdb.Statement:
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise CheckFailed("E034", f"{file} is no SQL", where=_sql_place(file, error), why=_first_line(error)) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        why = "It sees the inputs as tables and returns the rows of the output port."
        raise CheckFailed("E034", f"{file} must hold one SELECT and nothing else", where=file, why=why)
    return statements[0]


def _sql_fault(connection: Connection, file: str, text: str, inputs: Tables, error: duckdb.Error) -> CheckFailed:
    place = _sql_place(file, error)
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        if strange := _strange_tables(connection, text, inputs, error):
            why = "\n".join([*filter(None, [nearest(strange[0], inputs)]), f"Declared: {', '.join(inputs)}."])
            what = f"{file} reads {', '.join(strange)}, which the manifest does not declare"
            return CheckFailed("E023", what, where=place, why=why, fix="declare it under inputs")
        return CheckFailed("E034", f"{file} does not fit its inputs", where=place, why=_first_line(error))
    if isinstance(error, duckdb.PermissionException):
        why = "It reads its declared inputs, as tables, and nothing else: no file, no network."
        return CheckFailed("E034", f"{file} reached for something it may not", where=place, why=why)
    if isinstance(error, duckdb.OutOfMemoryException):
        return CheckFailed("E034", f"{file} needs more memory than its limits allow", where=place)
    why = "The engine's whole message is in the run's log."
    return CheckFailed("E034", f"{file} failed: {type(error).__name__}", where=place, why=why)


def _strange_tables(connection: Connection, text: str, inputs: Tables, error: duckdb.Error) -> list[str]:
    """The tables that a statement names and the manifest does not."""
    try:
        used = {name.strip('"') for name in connection.get_table_names(text, qualified=True)}
    except duckdb.Error:  # it looks into the tables it knows, and may stumble there
        missing = _NO_TABLE.search(str(error))
        used = {missing[1]} if missing else set()
    folded = {name.lower() for name in inputs}
    return sorted(name for name in used if name.lower() not in folded)


def _sql_place(file: str, error: duckdb.Error) -> str:
    line = next((line for line in str(error).splitlines() if line.startswith("LINE ")), "")
    number = line[5:].partition(":")[0]
    return f"{file}:{number}" if number.isdigit() else file


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _function(code: Path, file: str, name: str) -> Callable[..., Any]:
    path = code / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise CheckFailed("E034", f"there is no {file}", where=file)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        hint = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        raise CheckFailed("E034", f"{file} has no function {name}", where=file, why=hint)
    found: Callable[..., Any] = function
    return found


def _arguments(
    function: Callable[..., Any], spec: str, inputs: Tables, at: Mapping[str, Moment]
) -> tuple[tuple[pa.Table, ...], dict[str, Any]]:
    """The inputs by name where the function's parameters are named like them, else in the manifest's order."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return (), dict(inputs)
    by_name = {p.name: inputs[p.name] for p in parameters if p.name in inputs}
    moments: dict[str, Any] = {}
    if "moments" not in inputs and any(p.name == "moments" for p in parameters):
        moments["moments"] = {name: moment.as_datetime() for name, moment in at.items()}
    required = [p for p in parameters if p.default is p.empty and p.name not in (*by_name, *moments)]
    if by_name and not required:
        return (), by_name | moments
    if not by_name and len(required) == len(inputs):
        return tuple(inputs.values()), moments
    takes, has = ", ".join(p.name for p in parameters) or "nothing", ", ".join(inputs)
    why = f"It takes {takes}; the inputs are {has}."
    raise CheckFailed("E034", f"{spec} does not take the product's inputs", where=spec.partition(":")[0], why=why)


def _table(result: Any, spec: str) -> pa.Table:
    """Whatever the function returned as Arrow: tables, readers, relations, data frames, or a list of rows."""
    if isinstance(result, pa.Table):
        return result
    if isinstance(result, list):
        return pa.Table.from_pylist(result)
    if hasattr(result, "to_arrow_table"):
        return result.to_arrow_table()
    if type(result).__module__.startswith("pandas."):
        return pa.Table.from_pandas(result, preserve_index=False)
    if hasattr(result, "__arrow_c_stream__") or hasattr(result, "__arrow_c_array__"):
        return pa.table(result)
    got = f"It returned {type(result).__name__}."
    raise CheckFailed("E035", f"{spec} did not return a table", where=spec.partition(":")[0], why=got)
