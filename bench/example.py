"""A mesh of the example for a benchmark: a copy in a temporary folder, run by the real commands."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

Found = TypeVar("Found")

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "flights"
FLIGHTS, WEATHER, ONTIME, DAILY = "operations/flights", "weather/hourly", "punctuality/ontime", "punctuality/daily"


@dataclass(frozen=True)
class Published:
    """One entry of a product's ledger: when its file appeared, and what it says."""

    at: float
    entry: dict[str, Any]

    @property
    def moment(self) -> str:
        return json.dumps(self.entry["processing_time"])

    def saw(self, moment: str) -> bool:
        """Whether the entry names that moment of another product: in its provenance, or as a cursor."""
        return moment in json.dumps(self.entry)


class ExampleMesh:
    """`with ExampleMesh() as mesh`: the folder is there; `up()` starts it, leaving the block stops and removes it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tulle-bench-"))
        self.root = self.folder / "flights"
        shutil.copytree(EXAMPLE, self.root, ignore=shutil.ignore_patterns(".tulle", "__pycache__"))
        self.drops = self.root / ".tulle" / "drops"
        runtime = self.folder / "r"
        runtime.mkdir(mode=0o700)
        self._read: dict[Path, Published] = {}
        self._environment = os.environ | {"XDG_RUNTIME_DIR": str(runtime)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tulle("down", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def tulle(self, *words: str, check: bool = True) -> str:
        """The output of `tulle WORDS`, run at the mesh's root."""
        command = [str(Path(sys.executable).parent / "tulle"), *words]
        done = subprocess.run(
            command, cwd=self.root, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )
        if check and done.returncode:
            raise RuntimeError(f"tulle {' '.join(words)} exited {done.returncode}: {done.stderr}")
        return done.stdout

    def up(self) -> None:
        self.tulle("up", "--port", "0")

    def host(self) -> int:
        """The process that all others of the mesh descend from."""
        (file,) = self.root.glob(".tulle/*/mesh.json")
        return int(json.loads(file.read_text())["host_pid"])

    def ledger(self, product: str) -> list[Published]:
        """What a product has published, oldest first."""
        return [self._published(file) for file in sorted(self.root.glob(f".tulle/*/products/{product}/ledger/*.json"))]

    def _published(self, file: Path) -> Published:
        """An entry never changes: reading it once keeps the looking out of what is measured."""
        if file not in self._read:
            self._read[file] = Published(file.stat().st_mtime, json.loads(file.read_bytes()))
        return self._read[file]

    def reached(self, product: str, source: Published) -> Published | None:
        """The first entry of `product` that was made knowing `source`."""
        fresh = (found for found in self.ledger(product) if found.at >= source.at)
        return next((found for found in fresh if found.saw(source.moment)), None)


def until(condition: Callable[[], Found | None], seconds: float = 300) -> Found:
    """The first thing that `condition` gives. Looks often enough not to blur what is measured by file times."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise TimeoutError(f"not within {seconds} s")


def loader() -> ModuleType:
    """The example's own `load.py`, which knows where the files are."""
    return python_file(EXAMPLE / "load.py")


def python_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
