"""product.yaml, read into a `Manifest`. Every complaint points at line and column, and all of them come at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tulle.errors import InvalidManifest, UsageError
from tulle.formats import manifest_inputs, manifest_outputs
from tulle.formats.manifest_code import code_faults, foreign_table
from tulle.formats.manifest_rules import rule_faults
from tulle.formats.revision import drop_folder, revision
from tulle.formats.walk import Fault, Place, told, top
from tulle.product.manifest import Archetype, Limits, Manifest, Output, Scope, Transform
from tulle.uris import ProductName, parse_product

__all__ = ["MANIFEST", "check", "drop_folder", "load_manifest", "read_manifest", "revision"]

MANIFEST = "product.yaml"
ARCHETYPES: tuple[Archetype, ...] = ("source-aligned", "aggregate", "consumer-aligned")
REQUIRED = ("product", "archetype", "team", "purpose", "outputs")
OPTIONAL = ("owner", "domain_system", "inputs", "transform", "scope", "readers", "limits", "tags")
READER = re.compile(r"\*|(?:person|service|team):\S+|product:[a-z0-9_-]+/[a-z0-9_-]+")
TEAM = re.compile(r"[\w][\w .-]*")


def read_manifest(text: str, where: str) -> Manifest:
    """The manifest in `text`; `where` names it in errors.

    Raises `InvalidManifest`: E020 if it is not strict YAML, E021 for what a manifest may not say.
    """
    root = top(text, where)
    return _finish(root, _declared(root), where, [])


def load_manifest(folder: Path) -> Manifest:
    """The manifest of the product in `folder`, checked together with the files beside it.

    Raises `InvalidManifest` as `read_manifest` does, and E023 if the SQL file reads what is not among the inputs.
    """
    file = folder / MANIFEST
    where = shown(file)
    root = top(_text(file, where), where)
    manifest = _declared(root)
    beside = [] if root.faults else code_faults(manifest, folder)
    manifest = _finish(root, manifest, where, beside)
    _no_foreign_table(manifest, folder)
    return manifest


def check(manifest: Manifest, folder: Path) -> None:
    """Raises what `load_manifest` would, for a manifest made elsewhere: parts that contradict, files missing."""
    faults = [*rule_faults(manifest), *code_faults(manifest, folder)]
    if faults:
        raise told(faults, None, shown(folder / MANIFEST))
    _no_foreign_table(manifest, folder)


def shown(file: Path) -> str:
    """The path as an error shows it: from here if it lies below, else in full."""
    absolute = file.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _finish(root: Place, manifest: Manifest, where: str, beside: list[Fault]) -> Manifest:
    faults = [*root.faults.found] or [*rule_faults(manifest), *beside]
    if faults:
        raise told(faults, root.node, where)
    return manifest


def _text(file: Path, where: str) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InvalidManifest(
            "E020", f"there is no {MANIFEST} here", where=where, fix="tulle init domain/name"
        ) from None
    except IsADirectoryError:
        raise InvalidManifest("E020", f"{MANIFEST} is a folder", where=where) from None
    except UnicodeDecodeError as problem:
        line = file.read_bytes()[: problem.start].count(b"\n") + 1
        raise InvalidManifest("E020", "the file is not UTF-8", where=f"{where}:{line}") from None


def _no_foreign_table(manifest: Manifest, folder: Path) -> None:
    foreign = foreign_table(manifest, folder)
    if foreign:
        raise foreign


def _declared(root: Place) -> Manifest:
    at = root.fields(REQUIRED, OPTIONAL)
    outputs = _outputs(at)
    return Manifest(
        product=_product(at),
        archetype=at["archetype"].choice(ARCHETYPES) if "archetype" in at else "aggregate",
        team=at["team"].matching(TEAM, "a team's name") if "team" in at else "",
        purpose=" ".join(at["purpose"].text().split()) if "purpose" in at else "",
        inputs=tuple(manifest_inputs.read(place, outputs) for place in _under(at, "inputs").values()),
        transform=_transform(at),
        outputs=outputs,
        scope=_scope(at),
        readers=_readers(at),
        owner=at["owner"].text() if "owner" in at else "",
        domain_system=at["domain_system"].text() if "domain_system" in at else "",
        limits=_limits(at),
        tags=at["tags"].texts() if "tags" in at else (),
    )


def _under(at: Mapping[str, Place], key: str) -> dict[str, Place]:
    return at[key].entries() if key in at else {}


def _product(at: Mapping[str, Place]) -> ProductName:
    nobody = ProductName("nobody", "nothing")
    if "product" not in at:
        return nobody
    text = at["product"].text()
    try:
        return parse_product(text) if text else nobody
    except UsageError:
        at["product"].wrong(
            f'"{text}" is no name of a product. A name is domain/product in lower case letters, digits, - and _'
        )
        return nobody


def _outputs(at: Mapping[str, Place]) -> tuple[Output, ...]:
    entries = _under(at, "outputs")
    if "outputs" in at and at["outputs"].is_mapping and not entries:
        at["outputs"].wrong("outputs is empty: a product serves at least one port")
    return tuple(manifest_outputs.read(place) for place in entries.values())


def _transform(at: Mapping[str, Place]) -> Transform:
    if "transform" not in at:
        return Transform()
    place = at["transform"]
    parts = place.fields((), ("sql", "python"))
    if place.is_mapping and len(parts) != 1:
        place.wrong("transform names one file: sql or python", "transform: {sql: transform.sql}")
        return Transform()
    if "sql" in parts:
        return Transform(sql=parts["sql"].matching(re.compile(r".+\.sql"), "the name of an .sql file"))
    python = re.compile(r".+\.py:[^\W\d]\w*")
    return Transform(python=parts["python"].matching(python, "file.py:function")) if parts else Transform()


def _scope(at: Mapping[str, Place]) -> Scope:
    return tuple(
        (name, tuple((column, value.text()) for column, value in place.entries().items()))
        for name, place in _under(at, "scope").items()
    )


def _readers(at: Mapping[str, Place]) -> tuple[str, ...]:
    if "readers" not in at:
        return ()
    said = 'a reader: "*", person:name, service:name, team:name or product:domain/name'
    return tuple(place.matching(READER, said) for place in at["readers"].items())


def _limits(at: Mapping[str, Place]) -> Limits:
    if "limits" not in at:
        return Limits()
    parts, usual = at["limits"].fields((), ("memory_mb", "seconds")), Limits()
    return Limits(
        memory_mb=parts["memory_mb"].number(64, 1_000_000) if "memory_mb" in parts else usual.memory_mb,
        seconds=parts["seconds"].number(1, 86_400) if "seconds" in parts else usual.seconds,
    )
