"""`tulle init`: a product that runs at once, from nothing or from a file of the user's own. Plan first, then apply."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tulle.errors import Conflict
from tulle.formats.manifest import MANIFEST, read_manifest, shown
from tulle.formats.revision import drop_folder
from tulle.product_plane import blank, from_file
from tulle.product_plane.guess import propose
from tulle.product_plane.sniff import read_text_table
from tulle.uris import ProductName

DRAFT = ".draft"


@dataclass(frozen=True)
class NewFile:
    """A file that the plan would write, and its bytes."""

    path: Path
    content: bytes


@dataclass(frozen=True)
class InitPlan:
    """What `apply` will write. Files that arrive in drop folders come last: the product is whole before data comes.

    `notes` say what was assumed of the user's file; `next_steps` are commands that can be pasted.
    """

    product: ProductName
    folder: Path
    files: tuple[NewFile, ...]
    notes: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()

    def shown(self) -> list[str]:
        """The plan as lines: + path."""
        return [f"+ {shown(file.path)}" for file in self.files]


def plan_init(name: ProductName, folder: Path, source: Path | None = None, drops: Path | None = None) -> InitPlan:
    """The plan for a new product in `folder`.

    With `source` it is a product on that CSV file; without, a small working one. `drops` is the root of all drop
    folders if the mesh has one. Nothing is written. Raises `Conflict` E012 if the product exists, `NotThere` E022 or
    `UsageError` E011 for a source that is missing or no table.
    """
    if (folder / MANIFEST).exists() or (folder.exists() and any(folder.iterdir())):
        why = f"{shown(folder)} is there already."
        raise Conflict("E012", f"{name} exists already", where=shown(folder), why=why, fix="choose another name")
    notes: tuple[str, ...] = ()
    if source is None:
        texts, data = blank.texts(name), {blank.FILE: blank.DATA.encode()}
    else:
        table = read_text_table(source)
        proposal = propose(table)
        texts, data = from_file.texts(name, source, table, proposal), {source.name: source.read_bytes()}
        notes = (*table.notes, *proposal.notes)
    manifest = read_manifest(texts[MANIFEST].decode(), shown(folder / MANIFEST))
    inbox = drop_folder(manifest, manifest.file_inputs[0], folder, drops)
    files = [NewFile(folder / path, content) for path, content in texts.items()]
    files += [NewFile(inbox / path, content) for path, content in data.items()]
    return InitPlan(name, folder, tuple(files), notes, _next_steps(name))


def apply(plan: InitPlan) -> tuple[Path, ...]:
    """Writes the plan's files, each whole or not at all, and answers with their paths. Raises `Conflict` E012."""
    taken = next((file.path for file in plan.files if file.path.exists()), None)
    if taken:
        raise Conflict("E012", f"{plan.product} exists already", where=shown(taken), fix="choose another name")
    for file in plan.files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        draft = file.path.with_name(f".{file.path.name}{DRAFT}")
        draft.write_bytes(file.content)
        draft.replace(file.path)
    return tuple(file.path for file in plan.files)


def _next_steps(name: ProductName) -> tuple[str, ...]:
    return (f"tulle test {name}", "tulle up", f"tulle read {name}")
