"""The caller's side of a product's own code: hands jobs to the nursery, and takes tables back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from tulle.errors import CheckFailed
from tulle.product.manifest import FileInput, Limits, Manifest, Output
from tulle.times import Moment
from tulle.transformation import wire
from tulle.transformation.checks import Failing, identity_of
from tulle.transformation.engine import warm
from tulle.transformation.jobs import Ask, Batch, Make, Parse, Touch, run_job
from tulle.transformation.parse import Parsed, Source
from tulle.transformation.scope import EVERYTHING, Everything, Parts, named, needed, touched_plainly
from tulle.utility_plane.nursery import Bounds, Nursery, isolation

QUERY_LIMITS = Limits(memory_mb=1024, seconds=30)
LONGEST_LOG = 20_000
"""Characters of what the code printed that a result carries; its log file has all."""


@dataclass(frozen=True)
class Made:
    """What a run made for one output: rows to publish; rows set aside, with the rule they break in `_rule`."""

    rows: pa.Table
    set_aside: pa.Table | None = None
    kept: pa.Table | None = None
    failing: tuple[Failing, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a run made, per table (`rows@1`), what was noticed, what the code printed, and milliseconds by part."""

    outputs: Mapping[str, Made]
    warnings: tuple[str, ...] = ()
    log: str = ""
    took: Mapping[str, float] = field(default_factory=dict)


class Workshop:
    """Runs one product's code and its readers' statements, each job in a child of its own that is used once."""

    def __init__(self, nursery: Nursery, code: Path, query_limits: Limits = QUERY_LIMITS) -> None:
        self._nursery, self._code, self._query_limits = nursery, code.resolve(), query_limits

    @staticmethod
    def nursery() -> Nursery:
        """A nursery that knows this room's jobs. To be started before the process opens anything."""
        return Nursery.start(run_job, warm)

    @classmethod
    @contextlib.contextmanager
    def alone(cls, code: Path) -> Iterator[Workshop]:
        """A workshop with a nursery of its own, for as long as the block lasts: without a mesh, for tests."""
        nursery = cls.nursery()
        try:
            yield cls(nursery, code)
        finally:
            nursery.stop()

    @staticmethod
    def isolation() -> tuple[str, ...]:
        """What this machine's kernel cannot hold of the walls around a child; nothing when they are whole."""
        return isolation()

    def parse(self, file: Path, port: FileInput, name: str = "") -> Parsed:
        """The rows of a file in the columns that the input port declares."""
        source = Source(file.resolve(), name or file.name, port.format)
        with contextlib.ExitStack() as opened:
            out = wire.memory(opened)
            report = self._job(Parse(source), [out], Limits(), [source.path])
            return Parsed(_written(out), source, tuple(report["warnings"]))

    def ingest(
        self, manifest: Manifest, port: str, file: Path, name: str, arrived: Moment, log: Path | None = None
    ) -> Result:
        """Outputs from one file, read, transformed and checked in one child."""
        path = file.resolve()
        return self._make(Make(manifest, self._code, Batch(port, path, name, arrived)), {}, (), log)

    def transform(
        self,
        manifest: Manifest,
        inputs: Mapping[str, pa.Table],
        scope: object = EVERYTHING,
        at: Mapping[str, Moment] | None = None,
        log: Path | None = None,
    ) -> Result:
        """Outputs from tables, each as of its moment. A scope that is no tuple of parts means everything."""
        parts = scope if isinstance(scope, tuple) else ()
        task = Make(manifest, self._code, None, tuple(inputs), len(parts), dict(at or {}))
        return self._make(task, inputs, parts, log)

    def scope(self, manifest: Manifest, changed: Mapping[str, pa.Table]) -> Parts | Everything:
        """The part of the outputs that changed rows touch. They hold old and new values alike, as rows."""
        if not named(manifest, changed):
            return EVERYTHING
        plain = touched_plainly(manifest, changed)
        if plain is not None:
            return plain
        with contextlib.ExitStack() as opened:
            given = [wire.memory(opened, needed(manifest, name, table)) for name, table in changed.items()]
            answers = [wire.memory(opened) for _ in changed]
            report = self._job(Touch(manifest, tuple(changed)), [*given, *answers], manifest.limits, [])
            return tuple(_written(fd) for fd in answers[: report["parts"]])

    def query(
        self, sql: str, views: Mapping[str, str], readable: Sequence[Path], limits: Limits | None = None
    ) -> pa.Table:
        """The rows of a reader's statement over views, given as SQL over files below `readable`."""
        return self._ask(sql, views, {}, readable, limits)

    def query_tables(self, sql: str, tables: Mapping[str, pa.Table], limits: Limits | None = None) -> pa.Table:
        """The rows of a reader's statement over tables."""
        return self._ask(sql, {}, tables, (), limits)

    def _ask(
        self,
        sql: str,
        views: Mapping[str, str],
        tables: Mapping[str, pa.Table],
        readable: Sequence[Path],
        limits: Limits | None,
    ) -> pa.Table:
        limits = limits or self._query_limits
        paths = tuple(path.resolve() for path in readable)
        with contextlib.ExitStack() as opened:
            given = [wire.memory(opened, table) for table in tables.values()]
            out = wire.memory(opened)
            nothing = opened.enter_context(Path(os.devnull).open("wb")).fileno()
            bounds = Bounds(limits.seconds, limits.memory_mb, paths, "E204", "the statement")
            task = Ask(sql, dict(views), tuple(tables), paths, limits.memory_mb)
            self._nursery.run({"task": task}, [*given, out], bounds, nothing)
            return _written(out)

    def _make(self, task: Make, inputs: Mapping[str, pa.Table], parts: Parts, log: Path | None) -> Result:
        manifest = task.manifest
        with contextlib.ExitStack() as opened:
            given = [wire.memory(opened, table) for table in (*inputs.values(), *parts)]
            outs = [wire.memory(opened) for _ in manifest.outputs for _ in ("rows", "set aside")]
            printed = _log(opened, log)
            readable = [self._code, *([task.batch.file] if task.batch else [])]
            report = self._job(task, [*given, *outs], manifest.limits, readable, printed)
            pairs = zip(manifest.outputs, report["outputs"], outs[::2], outs[1::2], strict=True)
            made = {output.table: _made(output, said, rows, aside) for output, said, rows, aside in pairs}
            return Result(made, tuple(report["warnings"]), _tail(printed), report["took"])

    def _job(
        self, task: object, fds: Sequence[int], limits: Limits, readable: Sequence[Path], log: int | None = None
    ) -> dict[str, Any]:
        return self._nursery.run({"task": task}, fds, Bounds(limits.seconds, limits.memory_mb, tuple(readable)), log)


def _log(opened: contextlib.ExitStack, path: Path | None) -> int:
    """Where the code's own output goes: the run's log, or memory."""
    if path is None:
        return wire.memory(opened)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    opened.callback(os.close, fd)
    return fd


def _tail(fd: int) -> str:
    size = os.fstat(fd).st_size
    return os.pread(fd, LONGEST_LOG, max(size - LONGEST_LOG, 0)).decode(errors="replace")


def _written(fd: int) -> pa.Table:
    table = wire.read(fd)
    if table is None:
        raise CheckFailed("E034", "the job ended without a result")
    return table


def _made(output: Output, said: Mapping[str, Any], rows: int, aside: int) -> Made:
    failing = tuple(Failing(**{**one, "identities": tuple(one["identities"])}) for one in said["failing"])
    set_aside = wire.read(aside)
    kept = set_aside.select(list(identity_of(output))) if set_aside is not None else None
    return Made(_written(rows), set_aside, kept, failing)
