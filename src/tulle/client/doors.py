"""Where things are: the mesh that a caller means, and the door of each of its products.

A door is the product's own address. On one machine it is read from the names folder, so that neither the mesh plane nor
the front door is needed; from elsewhere the front door is asked, and passes questions on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tulle.errors import NotThere, TulleError, Unavailable, UsageError, lost_product
from tulle.formats.running import Running, all_running, running_in
from tulle.uris import ProductName

STATE = Path(".tulle") / "mesh"
"""Where the state of a mesh lies beside its tulle.yaml."""
_MESH_FILE = "tulle.yaml"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Place:
    """One running mesh: its front door and, where it runs on this machine, its state folder and its issuer."""

    mesh: str
    front_door: str
    state: Path | None = None
    issuer_socket: Path | None = None


class Names(Protocol):
    """From `domain/product` to a record with `door`, as containers register it."""

    def resolve(self, name: str) -> Mapping[str, Any] | None: ...

    def all(self) -> Mapping[str, Mapping[str, Any]]: ...


def find_mesh(where: str | Path | None = None, start: Path | None = None) -> Place:
    """The mesh that is meant. Raises `NotThere` E003 where there is none.

    That is `where` (a folder or an address), else the one of the nearest tulle.yaml, else the one that TULLE_MESH
    names, else the only one that runs.
    """
    if where:
        return _named(str(where))
    root = _nearest_root(start or Path.cwd())
    if root is not None:
        found = _of_root(root)
        if found:
            return found
    named = os.environ.get("TULLE_MESH")
    if named:
        return _named(named)
    if root is not None:
        raise NotThere("E003", "this mesh is not running", where=str(root / _MESH_FILE), fix=f"cd {root} && tulle up")
    return _only_one()


def place_in(state: Path) -> Place:
    """The mesh that runs on a state folder. Raises `NotThere` E003 if none does."""
    running = running_in(state)
    if running is None:
        raise NotThere("E003", "no mesh is running here", where=str(state), fix="tulle up")
    return _place(running)


class FolderNames:
    """Names as the containers of this machine write them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def resolve(self, name: str) -> Mapping[str, Any] | None:
        return _read(self._folder / f"{name}.json")

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        found = {f"{p.parent.name}/{p.stem}": _read(p) for p in sorted(self._folder.glob("[a-z]*/[a-z]*.json"))}
        return {name: record for name, record in found.items() if record}


class Doors:
    """The doors of one mesh. Nothing is remembered: a container that restarts has a new door."""

    def __init__(self, names: Names, front_door: str = "") -> None:
        self.names, self.front_door = names, front_door

    def door(self, product: ProductName) -> str:
        """Where to ask `product`. Raises `NotThere` E404 for an unknown one, `Unavailable` E006 without a door."""
        record = self.names.resolve(str(product))
        if record is None:
            raise lost_product(str(product), self.names.all())
        if record.get("error"):
            raise _cannot_begin(product, record["error"])
        door = str(record.get("door") or "")
        if not door:
            raise away(product, "Its container is starting.")
        return door if self._reachable(door) else self.front_door

    def all(self) -> tuple[ProductName, ...]:
        """Every product of the mesh, in order of name."""
        return tuple(ProductName(*name.split("/", 1)) for name in sorted(self.names.all()))

    def _reachable(self, door: str) -> bool:
        """A loopback door is one's own only if the front door is on this machine, too."""
        return not self.front_door or is_loopback(self.front_door) or not is_loopback(door)


def away(product: ProductName | None, why: str) -> Unavailable:
    """The error for a product, or a front door, that does not answer."""
    if product is None:
        return Unavailable("E006", "the mesh's front door does not answer", why=why, fix="tulle status")
    return Unavailable("E006", f"{product} does not answer", why=why, fix=f"tulle status {product}")


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return urlsplit(address).hostname in _LOOPBACK


def _cannot_begin(product: ProductName, error: Mapping[str, str]) -> Unavailable:
    said = f"[{error.get('code', 'E000')}] {error.get('what', '')}"
    where, fix = error.get("where", ""), error.get("fix") or f"tulle status {product}"
    told = Unavailable(
        "E006", f"{product} cannot begin", where=where, why=f"{said}\n{error.get('why', '')}".strip(), fix=fix
    )
    told.retryable = False  # its files must change first
    return told


def _named(where: str) -> Place:
    if "://" not in where:
        return place_in(Path(where).expanduser())
    parts = urlsplit(where)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("E010", f'"{where}" is no address of a mesh', fix="TULLE_MESH=http://127.0.0.1:8765")
    address = where.rstrip("/")
    # a mesh of this user on this machine is known with its issuer, however it was named
    here = [m for m in all_running() if is_loopback(where) and urlsplit(m.front_door).port == parts.port]
    return _place(here[0]) if here else Place(parts.netloc, address)


def _of_root(root: Path) -> Place | None:
    running = running_in(root / STATE)
    if running:
        return _place(running)
    meshes = all_running()
    below = [mesh for mesh in meshes if Path(mesh.state).is_relative_to(root / STATE.parent)]
    name = _mesh_name(root) if meshes and not below else ""
    found = below or [mesh for mesh in meshes if name and mesh.mesh == name]
    return _place(found[0]) if found else None


def _mesh_name(root: Path) -> str:
    from tulle.formats.mesh_file import load_mesh_file

    try:
        return load_mesh_file(root).mesh
    except TulleError:
        return ""


def _nearest_root(start: Path) -> Path | None:
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / _MESH_FILE).is_file()), None)


def _only_one() -> Place:
    meshes = all_running()
    if len(meshes) == 1:
        return _place(meshes[0])
    if not meshes:
        raise NotThere("E003", "no mesh is running here", fix="tulle demo")
    listed = "\n".join(f"{mesh.mesh}  {mesh.front_door}  {mesh.state}" for mesh in meshes)
    raise UsageError("E003", "several meshes are running: say which", why=listed, fix=f"TULLE_MESH={meshes[0].state}")


def _place(running: Running) -> Place:
    return Place(running.mesh, running.front_door.rstrip("/"), Path(running.state), Path(running.issuer_socket))


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None
