"""What runs in a child: one job, given as a mapping and descriptors, answered by a report. The child then ends."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tulle.errors import CheckFailed, TulleError
from tulle.product.manifest import Manifest, Output
from tulle.times import Moment
from tulle.transformation import wire
from tulle.transformation.checks import checked, shaped
from tulle.transformation.code import by_python, by_sql
from tulle.transformation.columns import no_rows
from tulle.transformation.engine import Connection, lock, take
from tulle.transformation.parse import Parsed, Source, parse
from tulle.transformation.query import query
from tulle.transformation.scope import Parts, restricted, touched, within

Report = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """A file to take in: the input port it came to, its bytes, its name, when it arrived."""

    input: str
    file: Path
    name: str
    arrived: Moment


@dataclass(frozen=True)
class Make:
    """Make the outputs of a product: from a file, or from tables at their moments, restricted to the scope `parts`.

    `tables` names the inputs that came as descriptors; after them come `parts` scope tables, then two descriptors per
    output for its rows and for those set aside.
    """

    manifest: Manifest
    code: Path
    batch: Batch | None = None
    tables: tuple[str, ...] = ()
    parts: int = 0
    at: Mapping[str, Moment] = field(default_factory=dict)


@dataclass(frozen=True)
class Touch:
    """Find the scope that changed rows touch. Their inputs' tables come as descriptors, then those for the answer."""

    manifest: Manifest
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """Answer a reader's statement. `tables` come as descriptors, then the one for the answer."""

    sql: str
    views: Mapping[str, str]
    tables: tuple[str, ...]
    readable: tuple[Path, ...]
    memory_mb: int


@dataclass(frozen=True)
class Parse:
    """Read one file. The rows go to the only descriptor."""

    source: Source


def run_job(job: dict[str, Any], fds: list[int]) -> Report:
    """Does the one job this process is for."""
    task = job["task"]
    if isinstance(task, Make):
        return _Making(task, fds).report()
    if isinstance(task, Touch):
        return _touch(task, fds)
    if isinstance(task, Ask):
        given = _given(task.tables, fds)
        count = query(take(), task.sql, task.views, given, task.readable, task.memory_mb, fds[-1])
        return {"rows": count}
    assert isinstance(task, Parse)
    parsed = parse(take(), task.source)
    wire.write(fds[0], parsed.rows)
    return {"warnings": list(parsed.warnings)}


def _touch(task: Touch, fds: Sequence[int]) -> Report:
    parts = touched(take(), task.manifest, _given(task.tables, fds))
    for fd, part in zip(fds[len(task.tables) :], parts, strict=False):
        wire.write(fd, part)
    return {"parts": len(parts)}


def _given(names: Sequence[str], fds: Sequence[int]) -> dict[str, pa.Table]:
    given = {}
    for name, fd in zip(names, fds, strict=False):
        table = wire.read(fd)
        assert table is not None, "inputs are always written, if only as a schema"
        given[name] = table
    return given


class _Making:
    """The run of one `Make`, step by step, with the milliseconds that each took."""

    def __init__(self, task: Make, fds: Sequence[int]) -> None:
        self._task, self._manifest = task, task.manifest
        self._connection: Connection = take()
        inputs, parts = len(task.tables), len(task.tables) + task.parts
        self._inputs, self._parts, self._outs = fds[:inputs], fds[inputs:parts], fds[parts:]
        self._took: dict[str, float] = {}
        self._warnings: list[str] = []

    def report(self) -> Report:
        parsed = self._timed("parse", self._parsed)
        parts = tuple(_given([str(n) for n in range(len(self._parts))], self._parts).values())
        inputs = self._timed("read", lambda: self._input_tables(parsed, parts))
        made = self._timed("transform", lambda: self._made(inputs))
        source = parsed.source if parsed and not self._has_code() else None
        outputs = self._timed("check", lambda: self._outputs(made, parts, source))
        return {"outputs": outputs, "warnings": self._warnings, "took": self._took}

    def _timed(self, name: str, step: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = step()
        self._took[name] = round((time.perf_counter() - start) * 1000, 1)
        return result

    def _has_code(self) -> bool:
        return bool(self._manifest.transform.sql or self._manifest.transform.python)

    def _parsed(self) -> Parsed | None:
        batch = self._task.batch
        if batch is None:
            return None
        port = next(port for port in self._manifest.file_inputs if port.name == batch.input)
        parsed = parse(self._connection, Source(batch.file, batch.name, port.format))
        self._warnings += parsed.warnings
        return parsed

    def _input_tables(self, parsed: Parsed | None, parts: Parts) -> dict[str, pa.Table]:
        """Every input of the product as a table; a file input to which no file came is empty."""
        given = _given(self._task.tables, self._inputs)
        given |= {p.name: no_rows(p.format.columns) for p in self._manifest.file_inputs if p.name not in given}
        if parsed and self._task.batch:
            given[self._task.batch.input] = parsed.rows
        if parts:
            names = list(given)
            given = {n: restricted(self._connection, self._manifest, n, given[n], parts) for n in names}
        return given

    def _made(self, inputs: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        transform, names = self._manifest.transform, [output.name for output in self._manifest.outputs]
        if transform.sql:
            lock(self._connection, self._manifest.limits.memory_mb)
            rows = by_sql(self._connection, self._task.code, transform.sql, inputs)
            return dict.fromkeys(names, rows)
        if transform.python:
            return self._by_python(transform.python, inputs)
        return dict.fromkeys(names, next(iter(inputs.values())))

    def _by_python(self, spec: str, inputs: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        try:
            return by_python(self._task.code, spec, self._manifest, inputs, self._task.at)
        except (TulleError, MemoryError):
            raise
        except BaseException as fault:  # noqa: BLE001 - the product's own code may raise anything
            traceback.print_exc()
            raise _code_fault(fault, self._task.code, spec) from None

    def _outputs(self, made: Mapping[str, pa.Table], parts: Parts, source: Source | None) -> list[Report]:
        return [
            self._output(output, made[output.name], parts, source, number)
            for number, output in enumerate(self._manifest.outputs)
        ]

    def _output(self, output: Output, rows: pa.Table, parts: Parts, source: Source | None, number: int) -> Report:
        arrived = self._task.batch.arrived if self._task.batch else None
        table = shaped(rows, output, arrived, source)
        if parts:
            table = within(self._connection, table, parts)
        result = checked(self._connection, table, output, source)
        wire.write(self._outs[2 * number], result.rows)
        if result.set_aside is not None:
            wire.write(self._outs[2 * number + 1], result.set_aside)
        self._warnings += [f"{output.table}: {failing}" for failing in result.failing]
        return {"table": output.table, "failing": [asdict(failing) for failing in result.failing]}


def _code_fault(fault: BaseException, code: Path, spec: str) -> CheckFailed:
    """The error of code that raised: the last line of its traceback, and the line of the product's own file."""
    file = spec.partition(":")[0]
    frames = traceback.extract_tb(fault.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(code)]
    place = f"{Path(own[-1].filename).relative_to(code)}:{own[-1].lineno}" if own else file
    last = traceback.format_exception_only(fault)[-1].strip()
    if isinstance(fault, SyntaxError) and fault.filename:
        place = f"{Path(fault.filename).name}:{fault.lineno}"
    refused = isinstance(fault, PermissionError) or "Cannot access file" in last
    why = [last] + (
        ["It can reach its declared inputs and nothing else: no file, network or process."] if refused else []
    )
    if isinstance(fault, SystemExit):
        why = ["It called for the end of its process."]
    sys.stderr.flush()
    return CheckFailed("E034", f"{spec} failed: {type(fault).__name__}", where=place, why="\n".join(why))
