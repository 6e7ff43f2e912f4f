"""What the mesh plane has heard from products' own ports. It can be lost: it fills itself again by asking them.

Every entry says when it was last heard. A product that does not answer keeps what it said before, with the reason why
it could not be asked now.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tulle.client.calls import Call, Calls
from tulle.client.mesh import Mesh
from tulle.client.together import side_by_side
from tulle.errors import Denied, TulleError, lost_product
from tulle.mesh_plane import lineage, search
from tulle.mesh_plane.status import line
from tulle.times import wall_clock
from tulle.uris import ProductName

FRESH = 1.0
"""For how many seconds what was heard is good enough to answer from."""
PATIENCE = 0.5
"""How long one product may keep the others waiting."""


@dataclass(frozen=True)
class Entry:
    """One product as it described itself: `heard` is when it last did, `error` what kept it from doing so now."""

    product: str
    description: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    heard: str = ""
    error: Mapping[str, str] = field(default_factory=dict)


class Index:
    """Search, lineage and status over all products. `file` keeps it over a restart; it may be deleted at any time."""

    def __init__(self, mesh: Mesh, file: Path | None = None) -> None:
        self._calls = Calls(mesh.calls.doors, mesh.calls.token, PATIENCE)
        self._file = file
        self._entries = _kept(file)
        self._asking = threading.Lock()
        self._asked = -FRESH

    def search(self, words: str) -> dict[str, Any]:
        """Products that match `words`, best first, each with why; a hint where none does."""
        return search.search(self._descriptions(), words)

    def lineage(self, name: str | None = None) -> dict[str, Any]:
        """What is made from what: all of it, or around one product. Raises `NotThere` E404 for an unknown one."""
        entries = self.entries()
        if name is not None and name not in entries:
            raise lost_product(name, entries)
        provenances = {product: entry.provenance for product, entry in entries.items()}
        return lineage.lineage(lineage.edges(self._descriptions(), provenances), entries, name)

    def status(self) -> dict[str, Any]:
        """One line per product: its state, and why nothing happens there."""
        entries = self.entries()
        return {"products": [line(e.product, e.status, e.heard, e.error) for e in entries.values()]}

    def entries(self) -> dict[str, Entry]:
        """What is known of every product, heard within the last second where they answer."""
        with self._asking:
            if time.monotonic() - self._asked >= FRESH:
                self._refresh()
            return dict(self._entries)

    def refresh(self) -> None:
        """Asks every product now. One that has no name any more is forgotten."""
        with self._asking:
            self._refresh()

    def _refresh(self) -> None:
        products = self._calls.doors.all()
        heard = side_by_side(self._hear, products)
        self._entries = {entry.product: entry for entry in heard}
        self._asked = time.monotonic()
        self._keep()

    def _hear(self, product: ProductName) -> Entry:
        known = self._entries.get(str(product), Entry(str(product)))
        try:
            description, status = self._ask(product, ""), self._ask(product, "/observability/status")
            provenance = self._if_open(product, "/observability/provenance")
            return Entry(str(product), description, status, provenance, str(wall_clock()))
        except Denied as refusal:
            return replace(known, heard=str(wall_clock()), error=refusal.as_document())
        except TulleError as away:
            return replace(known, error=away.as_document())

    def _ask(self, product: ProductName, tail: str) -> dict[str, Any]:
        document: dict[str, Any] = self._calls.document(Call(f"/{product}{tail}", product, seconds=5.0))
        return document

    def _if_open(self, product: ProductName, tail: str) -> dict[str, Any]:
        """A document that a product may keep to its readers; nothing where the mesh plane is none of them."""
        try:
            return self._ask(product, tail)
        except Denied:
            return {}

    def _descriptions(self) -> dict[str, Mapping[str, Any]]:
        return {name: entry.description for name, entry in self.entries().items()}

    def _keep(self) -> None:
        """Writes the index beside, whole; where that fails it stays in memory, which is enough."""
        if self._file is None:
            return
        document = json.dumps({"entries": [asdict(entry) for entry in self._entries.values()]})
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(document, "utf-8")
            temporary.replace(self._file)
        except OSError:
            temporary.unlink(missing_ok=True)


def _kept(file: Path | None) -> dict[str, Entry]:
    """What an earlier life has heard; nothing if the file is gone or was written by another version."""
    if file is None:
        return {}
    try:
        document = json.loads(file.read_text("utf-8"))
        return {each["product"]: Entry(**each) for each in document["entries"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
