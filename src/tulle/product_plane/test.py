"""`tulle test`: a product's cases, run without a mesh, in the same walls and with the same checks as on one."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tulle.errors import TulleError
from tulle.formats.manifest import load_manifest
from tulle.product.manifest import FileFormat, FileInput, Input, Manifest
from tulle.product_plane.cases import Case, input_types, read_cases
from tulle.product_plane.compare import difference
from tulle.times import parse_moment
from tulle.transformation.columns import no_rows
from tulle.transformation.run import Result, Workshop
from tulle.utility_plane.nursery import Nursery

ARRIVED = parse_moment("2026-01-01T00:00Z")
"""When the files of a case arrive. Always the same, so that a case can say what comes of it."""


@dataclass(frozen=True)
class Ran:
    """How one case went. `message` says what differs, empty if it passed; `warnings` are those of the run."""

    name: str
    where: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.message


@dataclass(frozen=True)
class Outcome:
    """How all cases of a product went. A product without cases has not failed, and not passed much either."""

    product: str
    cases: tuple[Ran, ...]

    @property
    def passed(self) -> bool:
        return all(case.passed for case in self.cases)

    @property
    def failed(self) -> tuple[Ran, ...]:
        return tuple(case for case in self.cases if not case.passed)


def run_tests(folder: Path, nursery: Nursery | None = None) -> Outcome:
    """Runs `tests/*.yaml` of the product in `folder`. Several products may share one nursery, which saves its start.

    Raises `InvalidManifest` if its manifest or a file of cases says something it may not; what a case's run raises is
    that case's failure, or what it expected.
    """
    manifest = load_manifest(folder)
    cases = read_cases(manifest, folder)
    if not cases:
        return Outcome(str(manifest.product), ())
    alone = Workshop.alone(folder) if nursery is None else contextlib.nullcontext(Workshop(nursery, folder))
    with alone as workshop:
        return Outcome(str(manifest.product), tuple(_ran(manifest, folder, workshop, case) for case in cases))


def _ran(manifest: Manifest, folder: Path, workshop: Workshop, case: Case) -> Ran:
    start = time.monotonic()
    try:
        result = _run(manifest, folder, workshop, case)
    except TulleError as error:
        message = "" if error.code == case.fails else error.text()
        return Ran(case.name, case.where, message, (), time.monotonic() - start)
    message = f"expected to fail with {case.fails}, and did not" if case.fails else _compared(manifest, case, result)
    return Ran(case.name, case.where, message, result.warnings, time.monotonic() - start)


def _compared(manifest: Manifest, case: Case, result: Result) -> str:
    lines = []
    for output in manifest.outputs:
        if output.name in case.expect:
            came = result.outputs[output.table].rows.to_pylist()
            differs = difference(case.expect[output.name], came)
            count = f"{output.name}: expected {len(case.expect[output.name])} rows, {len(came)} came"
            lines += [count, *(f"  {line}" for line in differs)] if differs else []
    return "\n".join(lines)


def _run(manifest: Manifest, folder: Path, workshop: Workshop, case: Case) -> Result:
    files = [port for port in manifest.file_inputs if port.name in case.given]
    if len(files) == 1 and not manifest.product_inputs:
        return _ingested(manifest, workshop, files[0], case.given[files[0].name])
    inputs = {port.name: _table(port, folder, workshop, case.given) for port in manifest.inputs}
    return workshop.transform(manifest, inputs, at=dict.fromkeys(inputs, ARRIVED))


def _table(port: Input, folder: Path, workshop: Workshop, given: Mapping[str, pa.Table | Path]) -> pa.Table:
    held = given.get(port.name)
    if isinstance(held, Path) and isinstance(port, FileInput):
        return workshop.parse(held, port).rows
    return no_rows(input_types(port, folder).items()) if held is None else held


def _ingested(manifest: Manifest, workshop: Workshop, port: FileInput, given: pa.Table | Path) -> Result:
    """Rows go the way of files: through a file that holds just them, so that what arrives is checked as it would be."""
    if isinstance(given, Path):
        return workshop.ingest(manifest, port.name, given, given.name, ARRIVED)
    names = [name for name, _ in port.format.columns]
    as_parquet = replace(port, format=FileFormat("parquet", port.format.columns))
    inputs = tuple(as_parquet if one is port else one for one in manifest.inputs)
    with tempfile.TemporaryDirectory(prefix="tulle-test-") as place:
        file = Path(place) / "rows.parquet"
        pq.write_table(given.select(names), file)
        return workshop.ingest(replace(manifest, inputs=inputs), port.name, file, "rows", ARRIVED)
