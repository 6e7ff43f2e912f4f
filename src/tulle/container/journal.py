"""What a container writes of itself: a structured log, and one file per run. No row values, no tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tulle.times import Moment, wall_clock

KEPT_BYTES = 5_000_000
"""The log starts a new file at this size; one older file is kept beside it."""


class Journal:
    """One product's log: JSON lines, newest last."""

    def __init__(self, file: Path, product: str) -> None:
        self._file, self._product = file, product
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)

    def say(self, event: str, level: str = "info", **facts: object) -> None:
        """Adds one line. A log that cannot be written never stops the product."""
        line = {"time": str(wall_clock()), "level": level, "product": self._product, "event": event} | facts
        text = json.dumps(line, default=str) + "\n"
        with self._lock:
            try:
                self._append(text)
            except OSError:
                return

    def tail(self, lines: int) -> list[dict[str, Any]]:
        """The newest `lines` lines, oldest first."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(max(0, self._file.stat().st_size - 400 * lines - 65_536))
            text = file.read().decode("utf-8", "replace")
        return [json.loads(line) for line in text.splitlines()[-lines:] if line.startswith("{") and line.endswith("}")]

    def _append(self, text: str) -> None:
        if self._file.exists() and self._file.stat().st_size > KEPT_BYTES:
            self._file.replace(self._file.with_suffix(".old.log"))
        with self._file.open("a", encoding="utf-8") as file:
            file.write(text)


@dataclass(frozen=True)
class Run:
    """One run of the product: what started it, what it read and at which moments, what came of it."""

    id: str
    trigger: str
    started: Moment
    state: str = "running"
    ended: Moment | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    moment: Moment | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    milliseconds: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: Mapping[str, str] | None = None

    def as_document(self) -> dict[str, Any]:
        """The run as JSON; moments as text."""
        document = {name: value for name, value in asdict(self).items() if value not in (None, (), {})}
        for name in ("started", "ended", "moment"):
            moment = getattr(self, name)
            if moment is not None:
                document[name] = str(moment)
        return document


class Runs:
    """The runs of one product, a file each, named so that their order is their age."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, trigger: str, inputs: Mapping[str, str]) -> Run:
        now = wall_clock()
        self._count += 1
        stamp = now.as_datetime().strftime("%Y%m%dT%H%M%S%f")
        return Run(f"{stamp}-{self._count:03d}", trigger, now, inputs=dict(inputs))

    def end(self, run: Run, state: str, **facts: Any) -> Run:
        """Writes the run's file, whole, and returns the run as it ended. Without room, the ledger must do."""
        ended = replace(run, state=state, ended=wall_clock(), **facts)
        draft = self._folder / f".{run.id}.tmp"
        try:
            draft.write_text(json.dumps(ended.as_document(), indent=1), encoding="utf-8")
            draft.replace(self._file(run.id))
        except OSError:
            draft.unlink(missing_ok=True)
        return ended

    def newest(self, most: int) -> Iterator[dict[str, Any]]:
        """The newest runs, newest first."""
        for file in sorted(self._folder.glob("*.json"), reverse=True)[:most]:
            yield json.loads(file.read_text(encoding="utf-8"))

    def find(self, run_id: str) -> dict[str, Any] | None:
        file = self._file(Path(run_id).name)
        if not file.exists():
            return None
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        log = self.log_file(file.stem)
        return document | ({"log": log.read_text(encoding="utf-8", errors="replace")} if log.exists() else {})

    def log_file(self, run_id: str) -> Path:
        """Where the run's own output goes."""
        return self._folder / f"{run_id}.log"

    def _file(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.json"
