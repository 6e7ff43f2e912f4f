"""What a revision of a product is, and where its files arrive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from tulle.errors import TulleError
from tulle.formats import yaml_text
from tulle.product.manifest import FileInput, Manifest

MANIFEST = "product.yaml"
NEVER = ("__pycache__", "node_modules")


def revision(folder: Path) -> str:
    """The sha256 over the manifest and every file of the product's folder, as `sha256:...`.

    Left out is what is not the product's code: drop folders, dot files, caches and compiled files. Names and lengths
    are part of it, so that moving a text from one file to another is another revision.
    """
    digest = hashlib.sha256()
    for file in sorted(_files(folder, _drops(folder)), key=lambda path: path.relative_to(folder).as_posix()):
        name, content = file.relative_to(folder).as_posix().encode(), file.read_bytes()
        digest.update(b"%d:%b%d:" % (len(name), name, len(content)))
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def drop_folder(manifest: Manifest, port: FileInput, product_folder: Path, drops_root: Path | None) -> Path:
    """Where the files of an input port arrive.

    With a root for all drop folders (`drops:` in tulle.yaml) it is `<root>/<domain>/<product>/<input>`, so that data
    never lands beside code; else the `folder` of the manifest, from the product's folder on.
    """
    if drops_root is not None:
        return drops_root / manifest.product.domain / manifest.product.product / port.name
    return product_folder / port.folder


def _drops(folder: Path) -> set[Path]:
    """The drop folders that the manifest names; none if it cannot be read: a broken product has a revision too."""
    try:
        document = yaml_text.plain(yaml_text.parse((folder / MANIFEST).read_text(encoding="utf-8-sig"), MANIFEST))
    except (OSError, UnicodeDecodeError, TulleError):
        return set()
    inputs = document.get("inputs") if isinstance(document, dict) else None
    ports = inputs.values() if isinstance(inputs, dict) else ()
    named = [port["folder"] for port in ports if isinstance(port, dict) and isinstance(port.get("folder"), str)]
    return {(folder / name).resolve() for name in named}


def _files(folder: Path, drops: set[Path]) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = [f for f in folders if not f.startswith(".") and f not in NEVER]
        folders[:] = [f for f in folders if (here / f).resolve() not in drops]
        for name in files:
            if not name.startswith(".") and not name.endswith((".pyc", ".pyo")):
                yield here / name
