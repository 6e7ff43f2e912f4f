"""tulle.yaml, the one file that makes a folder the root of a mesh."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tulle.formats.manifest import MANIFEST, shown
from tulle.formats.walk import told, top

MESH_FILE = "tulle.yaml"
DEFAULT_PORT = 8765
_HOST = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
DEFAULT_PRODUCTS = ("products/*/*",)


@dataclass(frozen=True)
class MeshFile:
    """What tulle.yaml says.

    The mesh's name (made up when empty), where its products lie, its known port, and the folder for all drop folders
    where they shall not lie beside the products' code.
    """

    mesh: str = ""
    products: tuple[str, ...] = DEFAULT_PRODUCTS
    port: int = DEFAULT_PORT
    drops: Path | None = None


def load_mesh_file(root: Path) -> MeshFile:
    """What `root/tulle.yaml` says; the defaults where there is no such file. Raises `InvalidManifest` E020, E021."""
    file = root / MESH_FILE
    if not file.exists():
        return MeshFile()
    where = shown(file)
    place = top(file.read_text("utf-8-sig"), where)
    fields = place.fields((), ("mesh", "products", "port", "drops"))
    found = MeshFile(
        fields["mesh"].matching(_HOST, "a name as of a host: lower case letters, digits, - and .")
        if "mesh" in fields
        else "",
        fields["products"].texts() if "products" in fields else DEFAULT_PRODUCTS,
        fields["port"].number(0, 65_535) if "port" in fields else DEFAULT_PORT,
        root / fields["drops"].text() if "drops" in fields else None,
    )
    if place.faults:
        raise told(place.faults.found, place.node, where)
    return found


def product_folders(root: Path, patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """The folders below `root` that hold a product, in order."""
    found = {path.resolve() for pattern in patterns for path in root.glob(pattern) if (path / MANIFEST).is_file()}
    return tuple(sorted(found))


def find_root(start: Path) -> Path | None:
    """The nearest folder with a tulle.yaml, from `start` upwards."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / MESH_FILE).is_file()), None)
