"""What one product consists of at run time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tulle.container.decisions import Decisions
from tulle.container.journal import Journal, Runs
from tulle.errors import NotThere, TulleError, nearest
from tulle.policy.decide import Resource
from tulle.product.manifest import TYPES, Manifest, Output
from tulle.storage.log import Log
from tulle.storage.shapes import TableShape
from tulle.transformation.run import Workshop


@dataclass(frozen=True)
class Parts:
    """The parts of one product: what it declares, where its code and its data lie, and the means to run it."""

    manifest: Manifest
    revision: str
    code: Path
    place: Path
    mesh_id: str
    log: Log
    workshop: Workshop
    journal: Journal
    runs: Runs
    decisions: Decisions

    @property
    def address(self) -> str:
        return str(self.manifest.product)

    @property
    def uri(self) -> str:
        return self.manifest.product.uri(self.mesh_id)

    @property
    def resource(self) -> Resource:
        """The product as policy sees it."""
        manifest = self.manifest
        return Resource(self.address, manifest.team, manifest.readers, manifest.owner)

    def output(self, port: str | None, major: int | None = None) -> Output:
        """The output port a reader means; the newest major where they leave it open. Raises `NotThere` E404."""
        outputs = self.manifest.outputs
        named = [o for o in outputs if o.name == (port or outputs[0].name)]
        chosen = [o for o in named if major is None or o.major == major]
        if chosen:
            return max(chosen, key=lambda o: o.major)
        known = [o.table for o in outputs]
        asked = f"{port}@{major}" if major else str(port)
        hint = nearest(asked, known) or f"Its ports: {', '.join(known)}"
        what, fix = f"{self.address} has no output port {asked}", f"tulle describe {self.address}"
        raise NotThere("E404", what, why=hint, fix=fix)


@dataclass
class Condition:
    """How the product is doing: the one mutable value of a container, changed only by its worker."""

    state: str = "Starting"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    error: TulleError | None = None
    running: str | None = None
    waiting: dict[str, str] = field(default_factory=dict)
    upstream: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, by: int = 1) -> None:
        """Adds to one of the numbers that the observability port shows."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + by


class Bell:
    """Rings once for everyone who waits for the next publication."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], object]] = []
        self._rings = 0

    def ring(self) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], object]) -> Callable[[], object]:
        """Calls `listener` at every ring, from the ringing thread, until the returned function is called."""
        with self._changed:
            self._listeners.append(listener)
        return lambda: self._leave(listener)

    def _leave(self, listener: Callable[[], object]) -> None:
        with self._changed:
            if listener in self._listeners:
                self._listeners.remove(listener)


def shape_of(output: Output) -> TableShape:
    """The table that an output port needs."""
    columns = tuple((column.name, TYPES[column.type]) for column in output.columns)
    return TableShape(output.table, columns, output.key, output.facts, output.actual_time.until is not None)
