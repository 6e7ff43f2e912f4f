"""The cases of a product's tests: `tests/*.yaml`, read strictly, with the rows in the types that the ports declare.

```yaml
cases:
  - name: words are counted
    given:                       # rows per input, or a file beside the cases; what is left out is empty
      files: [{id: 1, said: hello mesh}]
      others: {file: sample.csv}
    expect:                      # rows per output, in any order; columns that do not matter are left out
      rows: [{id: 1, words: 2}]
  - name: nobody is counted twice
    given: ...
    fails: E032                  # the code of the error that must come instead of rows
```
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from tulle.errors import InvalidManifest, TulleError, nearest
from tulle.formats.manifest import MANIFEST, load_manifest, shown
from tulle.formats.walk import Place, told, top
from tulle.formats.yaml_text import Scalar
from tulle.product.manifest import FileInput, Input, Manifest, Output, ProductInput
from tulle.times import parse_moment
from tulle.transformation.columns import ARROW

Types = dict[str, str]
"""Columns and their declared types."""
_TIMES: Types = {"actual_time": "timestamp", "actual_until": "timestamp", "processing_time": "timestamp"}
_CODE = re.compile(r"E\d{3}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_READ: dict[str, Callable[[str], Any]] = {
    "string": str,
    "bool": lambda text: {"true": True, "false": False}[text],
    "int8": int,
    "int16": int,
    "int32": int,
    "int64": int,
    "float": float,
    "double": float,
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": lambda text: parse_moment(text).as_datetime(),
    "binary": base64.b64decode,
}


@dataclass(frozen=True)
class Case:
    """One case: tables and files by input, rows by output, or the code of the error that must come instead."""

    name: str
    where: str
    given: Mapping[str, pa.Table | Path]
    expect: Mapping[str, list[dict[str, Any]]]
    fails: str = ""


def read_cases(manifest: Manifest, folder: Path) -> list[Case]:
    """All cases in the product's `tests/*.yaml`. Raises `InvalidManifest` E020 or E021, with line and column."""
    return [case for file in sorted((folder / "tests").glob("*.yaml")) for case in _file(manifest, folder, file)]


def _file(manifest: Manifest, folder: Path, file: Path) -> list[Case]:
    where = shown(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidManifest("E020", "the file is not UTF-8", where=where) from None
    root = top(text, where)
    at = root.fields(("cases",))
    known = {port.name: input_types(port, folder) for port in manifest.inputs}
    cases = [_case(place, manifest, known, file) for place in (at["cases"].items() if "cases" in at else ())]
    if root.faults:
        raise told(root.faults.found, root.node, where)
    return cases


def input_types(port: Input, folder: Path) -> Types:
    """The columns of an input as far as they are known: declared here, or in its source's manifest beside this one."""
    if isinstance(port, FileInput):
        return dict(port.format.columns)
    output = _neighbour(port, folder)
    return {column.name: column.type for column in output.columns} if output else {}


def _neighbour(port: ProductInput, folder: Path) -> Output | None:
    """The source's port, if its product lies where products of one mesh do: `domain/product` beside this one."""
    source = port.source
    place = folder.resolve().parents[1] / source.product.domain / source.product.product
    if not (place / MANIFEST).is_file():
        return None
    try:
        outputs = load_manifest(place).outputs
    except TulleError:
        return None
    fitting = [o for o in outputs if source.port in {None, o.name} and source.major in {None, o.major}]
    return max(fitting, key=lambda output: output.major, default=None)


def _case(place: Place, manifest: Manifest, known: Mapping[str, Types], file: Path) -> Case:
    at = place.fields(("name", "given"), ("expect", "fails"))
    if place.is_mapping and ("expect" in at) == ("fails" in at):
        place.wrong("a case says either what to expect or how it fails", "fails: E032")
    given = _under(at.get("given"), known, "input")
    outputs = {o.name: {c.name: c.type for c in o.columns} | _TIMES for o in manifest.outputs}
    expect = _under(at.get("expect"), outputs, "output port")
    mark = place.node.mark
    return Case(
        name=at["name"].text() if "name" in at else "",
        where=f"{shown(file)}:{mark}",
        given={name: _given(below, known[name], file) for name, below in given.items()},
        expect={name: _rows(below, outputs[name]) for name, below in expect.items()},
        fails=at["fails"].matching(_CODE, "the code of an error, as in E032") if "fails" in at else "",
    )


def _under(place: Place | None, known: Mapping[str, object], kind: str) -> dict[str, Place]:
    entries = place.entries() if place else {}
    for name, below in entries.items():
        if name not in known:
            hint = nearest(name, known) or f"There are: {', '.join(known)}"
            below.faults.add(below.path, f"{name} is no {kind} of this product. {hint}", at_key=True)
    return {name: below for name, below in entries.items() if name in known}


def _given(place: Place, types: Types, file: Path) -> pa.Table | Path:
    if not place.is_mapping:
        return _table(place, types)
    at = place.fields(("file",))
    sample = file.parent / (at["file"].text() if "file" in at else "")
    if "file" in at and not sample.is_file():
        here = [path.name for path in file.parent.iterdir() if path != file]
        at["file"].wrong(f"there is no file {sample.name} beside the cases. {nearest(sample.name, here)}".strip())
    return sample


def _table(place: Place, types: Types) -> pa.Table:
    """The rows in the declared types; columns that no row names are there, and null."""
    types = types or _looked_at(place)
    rows = _rows(place, types | {name: kind for name, kind in _TIMES.items() if _names(place, name)})
    columns = {**types, **{name: kind for name, kind in _TIMES.items() if any(name in row for row in rows)}}
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, OverflowError) as problem:
        place.wrong(f"the rows do not fit the types of {place.name}. {problem}")
        return schema.empty_table()


def _names(place: Place, column: str) -> bool:
    return any(column in item.entries() for item in place.items() if item.is_mapping)


def _rows(place: Place, types: Types) -> list[dict[str, Any]]:
    rows = []
    for item in place.items():
        row = {}
        for name, value in item.entries().items():
            if name not in types:
                hint = nearest(name, types) or f"There are: {', '.join(types)}"
                value.faults.add(value.path, f"there is no column {name}. {hint}", at_key=True)
            else:
                row[name] = _value(value, types[name])
        rows.append(row)
    return rows


def _value(place: Place, kind: str) -> Any:
    if isinstance(place.node, Scalar) and place.node.missing:
        return None
    text = place.text(empty=True)
    try:
        return _READ[kind](text)
    except (ValueError, KeyError, ArithmeticError, TulleError):
        place.wrong(f'{place.name} is {kind}, and "{text}" is not')
        return None


def _looked_at(place: Place) -> Types:
    """Types of the columns of an input of which nothing is declared here, from how their values are written."""
    found: dict[str, set[str]] = {}
    for item in place.items():
        for name, value in item.entries().items():
            found.setdefault(name, set()).update(_kinds(value))
    return {name: _covering(kinds) for name, kinds in found.items()}


def _kinds(place: Place) -> set[str]:
    node = place.node
    if not isinstance(node, Scalar) or node.missing:
        return set()
    if not node.plain:
        return {"string"}
    for kind in ("bool", "int64", "double"):
        if _reads(node.value, kind):
            return {kind}
    if _DATE.fullmatch(node.value):
        return {"date"}
    return {"timestamp" if _DATE.match(node.value) and _reads(node.value, "timestamp") else "string"}


def _reads(text: str, kind: str) -> bool:
    try:
        _READ[kind](text)
    except (ValueError, KeyError, TulleError):
        return False
    return True


def _covering(kinds: set[str]) -> str:
    if kinds == {"int64", "double"}:
        return "double"
    return kinds.pop() if len(kinds) == 1 else "string"
