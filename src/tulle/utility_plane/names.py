"""Names: which door answers for a product. Written by each container, read by everyone, owned by nobody's process.

One file per name, replaced atomically, so that names outlive the mesh plane and any process that wrote one.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import NotRequired, Protocol, TypedDict

from tulle.errors import UsageError
from tulle.uris import NAME

MESH_PLANE = "_mesh/plane"
"""The name under which the mesh plane's own door is found. It is no product: `all` leaves it out."""


class Record(TypedDict):
    """Where a product is now: its permanent URI, its door's address, its stage, process and folder.

    `door` is empty until its container serves. `error` is the document of what keeps it from serving.
    """

    uri: str
    door: str
    stage: str
    pid: int
    folder: str
    error: NotRequired[dict[str, str]]


class Names(Protocol):
    """From `domain/product` to its record."""

    def register(self, name: str, record: Record) -> None: ...

    def resolve(self, name: str) -> Record | None: ...

    def remove(self, name: str, pid: int) -> None: ...

    def all(self) -> dict[str, Record]: ...


class FolderNames:
    """Names kept as `domain/product.json` below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def register(self, name: str, record: Record) -> None:
        """Says where `name` is from now on, whole or not at all."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file)
        Path(temporary).replace(path)

    def resolve(self, name: str) -> Record | None:
        """The record of `name`, or None where nobody has registered it."""
        try:
            return self._read(self._path(name))
        except UsageError:
            return None

    def remove(self, name: str, pid: int) -> None:
        """Forgets `name` if `pid` is still the process behind it: a successor's record stays."""
        record = self.resolve(name)
        if record and record["pid"] == pid:
            self._path(name).unlink(missing_ok=True)

    def all(self) -> dict[str, Record]:
        """Every product's record by name, in order of name."""
        found = {}
        for path in sorted(self.folder.glob("[a-z]*/*.json")):
            record = self._read(path)
            if record and not path.name.startswith("."):
                found[f"{path.parent.name}/{path.stem}"] = record
        return found

    def _path(self, name: str) -> Path:
        domain, _, product = name.partition("/")
        if name != MESH_PLANE and not (NAME.fullmatch(domain) and NAME.fullmatch(product)):
            raise UsageError("E010", f'"{name}" is no name of a product')
        return self.folder / domain / f"{product}.json"

    @staticmethod
    def _read(path: Path) -> Record | None:
        try:
            record: Record = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return record
