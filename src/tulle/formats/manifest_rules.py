"""What the parts of a manifest owe each other: pure, over the values. Each fault knows the way to its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from tulle.errors import nearest
from tulle.formats.expressions import bare_column, expression_problem, rule_problem
from tulle.formats.routes import RESERVED_DOMAINS, RESERVED_PORTS
from tulle.formats.walk import Fault, Path
from tulle.product.manifest import FileInput, Input, Manifest, Output, ProductInput

TIMES = ("timestamp", "date")


def rule_faults(manifest: Manifest) -> list[Fault]:
    """All contradictions between the parts of `manifest`."""
    faults = [*_names(manifest), *_inputs(manifest), *_transform(manifest), *_scope(manifest)]
    for path, output in ports(manifest):
        faults += [*_columns(path, output), *_key(path, output), *_times(path, output, manifest), *_rules(path, output)]
    return faults


def ports(manifest: Manifest) -> Iterator[tuple[Path, Output]]:
    """Each output port and the way to it. A second major of a port stands under `name@major`."""
    seen: set[str] = set()
    for output in manifest.outputs:
        key = output.table if output.name in seen else output.name
        seen.add(output.name)
        yield ("outputs", key), output


def _names(manifest: Manifest) -> Iterator[Fault]:
    """Words of addresses that the mesh and every product already use."""
    if manifest.product.domain in RESERVED_DOMAINS:
        yield Fault(("product",), f"no domain may be called {manifest.product.domain}: the mesh itself answers there")
    for path, output in ports(manifest):
        if output.name in RESERVED_PORTS:
            yield Fault(path, f"no output port may be called {output.name}: every product answers there", "rows")


def _inputs(manifest: Manifest) -> Iterator[Fault]:
    if not manifest.inputs:
        yield Fault((), "the product has no inputs. Files: inputs: {files: {folder: drop}}; another product: from:")
    if len(manifest.file_inputs) > 1 or (manifest.file_inputs and manifest.product_inputs):
        said = "a product takes files from one folder, or reads products: make the other files a product of their own"
        yield Fault(("inputs", manifest.inputs[-1].name), said)
    names = [port.name for port in manifest.inputs]
    for port in manifest.inputs:
        if isinstance(port, ProductInput):
            yield from _product_input(manifest, port, names)
        elif PurePath(port.folder) == PurePath():
            said = "the drop folder cannot be the product's own folder: code and data would mix"
            yield Fault(("inputs", port.name, "folder"), said, "folder: drop")


def _product_input(manifest: Manifest, port: ProductInput, names: list[str]) -> Iterator[Fault]:
    path, source = ("inputs", port.name), port.source.product
    if source == manifest.product:
        yield Fault((*path, "from"), "a product cannot read itself. Its code sees what its inputs hold now, in full")
    elif manifest.archetype == "source-aligned" and source.domain != manifest.product.domain:
        yield Fault(
            (*path, "from"),
            f"a source-aligned product of {manifest.product.domain} cannot read {source}."
            " It publishes its own domain's facts; what joins domains is an aggregate or consumer-aligned",
            "archetype: aggregate",
        )
    for number, name in enumerate(port.wait_for):
        if name not in names or name == port.name:
            hint = nearest(name, names) or f"Its inputs: {', '.join(names)}"
            yield Fault((*path, "wait_for", number), f"{name} is no other input of this product. {hint}")


def _transform(manifest: Manifest) -> Iterator[Fault]:
    transform = manifest.transform
    if transform.sql and len(manifest.outputs) > 1:
        yield Fault(
            ("transform", "sql"), "one SQL file gives one output port. For several, use python: file.py:function"
        )
    if transform.sql or transform.python:
        return
    if len(manifest.inputs) > 1 or len(manifest.outputs) > 1:
        yield Fault(
            (),
            "with several inputs or outputs the product needs a transform:"
            " without one, rows pass as they came from one input to one output",
            "transform: {sql: transform.sql}",
        )
        return
    for port in manifest.file_inputs:
        yield from _passing(port, manifest.outputs[0])


def _passing(port: FileInput, output: Output) -> Iterator[Fault]:
    """Rows that pass as they came: each output column must be a column of the file, of the same type."""
    declared = dict(port.format.columns)
    for number, column in enumerate(output.columns):
        name = column.source or column.name
        path: Path = ("outputs", output.name, "columns", number, "source" if column.source else "name")
        if name not in declared:
            hint = nearest(name, declared) or f"Declared: {', '.join(declared)}"
            yield Fault(path, f"the files of {port.name} have no column {name}. {hint}")
        elif declared[name] != column.type:
            said = f"{name} is {declared[name]} in the files of {port.name} and {column.type} here"
            yield Fault((*path[:-1], "type"), said, f"type: {declared[name]}")


def _columns(path: Path, output: Output) -> Iterator[Fault]:
    if not output.columns:
        yield Fault((*path, "columns"), "columns is empty: a port has at least one")
    yield from _twice(path, "name", [column.name.lower() for column in output.columns])
    yield from _twice(path, "source", [column.source or column.name for column in output.columns])


def _twice(path: Path, kind: str, names: list[str]) -> Iterator[Fault]:
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Fault((*path, "columns", number, kind), f"the {kind} {name} stands twice among the columns")


def _key(path: Path, output: Output) -> Iterator[Fault]:
    known = [column.name for column in output.columns]
    for number, name in enumerate(output.key):
        if name not in known:
            yield Fault((*path, "key", number), f"the key names {name}, which is not a column. {_near(name, known)}")
        elif name in output.key[:number]:
            yield Fault((*path, "key", number), f"{name} stands twice in the key")


def _times(path: Path, output: Output, manifest: Manifest) -> Iterator[Fault]:
    time, types = output.actual_time, {column.name: column.type for column in output.columns}
    where: Path = (*path, "actual_time")
    if time.arrival and not manifest.file_inputs:
        yield Fault(where, "arrival is when a file arrived, and this product has no files. Name a column or a constant")
    if time.arrival and "arrival" in types:
        yield Fault(where, "there is also a column called arrival", "actual_time: {column: arrival}")
    for part, name in (("column", time.column), ("until", time.until)):
        place = (*where, part)
        if name is not None and name not in types:
            hint = _near(name, [column for column, kind in types.items() if kind in TIMES] or types)
            yield Fault(place, f"actual_time names {name}, which is not a column. {hint}")
        elif name is not None and types[name] not in TIMES:
            yield Fault(place, f"actual_time must be a timestamp or a date; {name} is {types[name]}")
    if time.until and time.until == time.column:
        yield Fault((*where, "until"), f"from and until are both {time.until}")


def _rules(path: Path, output: Output) -> Iterator[Fault]:
    known = {column.name: column.type for column in output.columns}
    for number, expectation in enumerate(output.expectations):
        problem = rule_problem(expectation.rule, known)
        if problem:
            yield Fault(
                (*path, "expectations", number, "rule"), f'the rule "{expectation.rule}" cannot be used: {problem}'
            )


def _scope(manifest: Manifest) -> Iterator[Fault]:
    inputs = {port.name: port for port in manifest.inputs}
    for name, pairs in manifest.scope:
        if name not in inputs:
            said = f"the scope names {name}, which is not an input. {_near(name, inputs)}"
            yield Fault(("scope", name), said, at_key=True)
            continue
        if not pairs:
            yield Fault(("scope", name), f"the scope of {name} is empty. Leave {name} out: then it touches everything")
        for column, expression in pairs:
            yield from _scope_pair(manifest, inputs[name], column, expression)


def _scope_pair(manifest: Manifest, port: Input, column: str, expression: str) -> Iterator[Fault]:
    path: Path = ("scope", port.name, column)
    for output in manifest.outputs:
        known = [c.name for c in output.columns]
        if column not in known:
            said = f"the scope names {column}, which is not a column of {output.table}. {_near(column, known)}"
            yield Fault(path, said, at_key=True)
    known_here = [name for name, _ in port.format.columns] if isinstance(port, FileInput) else None
    problem = expression_problem(expression, known_here)
    if problem and not (known_here and bare_column(expression) in known_here):
        yield Fault(path, f'the scope "{expression}" cannot be used: {problem}')


def _near(name: str, known: Iterable[str]) -> str:
    known = list(known)
    return nearest(name, known) or f"There are: {', '.join(known)}"
