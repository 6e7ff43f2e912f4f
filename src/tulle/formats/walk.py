"""Walks a strict YAML document with a form in mind: what is unknown, missing or of the wrong kind is collected.

A `Place` is a node and the way to it. Its methods answer with the value asked for, or note a fault and answer with a
harmless stand-in, so that one look at a document finds all that is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from tulle.errors import InvalidManifest, nearest
from tulle.formats import yaml_text
from tulle.formats.yaml_text import Mark, Node, Scalar

Path = tuple[str | int, ...]
"""The way to a node from the top of its document."""

Word = TypeVar("Word", bound=str)

MOST_TOLD = 12


@dataclass(frozen=True)
class Fault:
    """Something a document may not say, where, and what to write instead."""

    path: Path
    text: str
    fix: str = ""
    at_key: bool = False
    code: str = "E021"


@dataclass
class Faults:
    """What was found wrong with one document."""

    found: list[Fault] = field(default_factory=list)

    def add(self, path: Path, text: str, fix: str = "", *, at_key: bool = False) -> None:
        self.found.append(Fault(path, text, fix, at_key))

    def __bool__(self) -> bool:
        return bool(self.found)


@dataclass(frozen=True)
class Place:
    """A node of the document and how it was reached."""

    node: Node
    path: Path
    faults: Faults

    @property
    def name(self) -> str:
        """What to call this place in a message."""
        words = [part for part in self.path if isinstance(part, str)]
        return words[-1] if words else "the manifest"

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml_text.Mapping)

    @property
    def is_text(self) -> bool:
        return isinstance(self.node, Scalar) and not self.node.missing

    def wrong(self, text: str, fix: str = "") -> None:
        """Notes a fault at this place."""
        self.faults.add(self.path, text, fix)

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Place]:
        """The places below this mapping by key; notes unknown keys, with the nearest known one, and missing ones."""
        required = tuple(required)
        known = (*required, *optional)
        entries = self.entries()
        meant = ""
        for key, place in entries.items():
            if key not in known:
                hint = nearest(key, known) or f"Known here: {', '.join(known)}"
                self.faults.add(place.path, f'unknown key "{key}". {hint}', _rename(hint), at_key=True)
                meant += hint
        if not self.is_mapping:
            return {}
        for key in required:
            # A misspelt key is one mistake, not two.
            if key not in entries and not re.search(rf"\b{key}\b", meant):
                self.wrong(f'the key "{key}" is missing in {self.name}')
        return {key: place for key, place in entries.items() if key in known}

    def entries(self) -> dict[str, Place]:
        """The places below this mapping by key, whatever the keys are."""
        if not isinstance(self.node, yaml_text.Mapping):
            self.wrong(f"{self.name} must be a mapping (key: value), not {_kind(self.node)}")
            return {}
        return {key: Place(value, (*self.path, key), self.faults) for key, value in self.node.values.items()}

    def items(self) -> list[Place]:
        """The places in this list."""
        if not isinstance(self.node, yaml_text.Sequence):
            self.wrong(f"{self.name} must be a list, not {_kind(self.node)}", _as_list(self))
            return []
        return [Place(value, (*self.path, number), self.faults) for number, value in enumerate(self.node.values)]

    def text(self, *, empty: bool = False) -> str:
        """The text of this scalar; an empty one only if `empty` says so."""
        if not isinstance(self.node, Scalar):
            self.wrong(f"{self.name} must be a text, not {_kind(self.node)}")
            return ""
        if not empty and (self.node.missing or not self.node.value.strip()):
            self.wrong(f"{self.name} is empty")
        return "" if self.node.missing else self.node.value

    def texts(self) -> tuple[str, ...]:
        """The texts of this list."""
        return tuple(place.text() for place in self.items())

    def choice(self, options: Iterable[Word], meant: Mapping[str, str] | None = None) -> Word:
        """One of `options`. `meant` maps words of other systems to ours, for the hint."""
        text, options = self.text(), tuple(options)
        if text and text not in options:
            better = (meant or {}).get(text.lower(), "")
            hint = f"Did you mean {better}?" if better else nearest(text, options) or f"One of {', '.join(options)}"
            self.wrong(f'{self.name} cannot be "{text}". {hint}', _rename(hint, f"{self.name}: "))
        return next((option for option in options if option == text), options[0])

    def flag(self) -> bool:
        """true or false."""
        text = self.text()
        if text and text not in {"true", "false"}:
            self.wrong(f'{self.name} must be true or false, not "{text}"')
        return text == "true"

    def number(self, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text()
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            self.wrong(f"{self.name} must be a whole number from {least} to {most}")
            return least
        return int(text)

    def matching(self, pattern: re.Pattern[str], said: str) -> str:
        """A text of a certain form, which `said` puts in words."""
        text = self.text()
        if text and not pattern.fullmatch(text):
            self.wrong(f'{self.name} "{text}" is not {said}')
        return text


def top(text: str, where: str) -> Place:
    """The top of the document in `text`."""
    return Place(yaml_text.parse(text, where), (), Faults())


def told(faults: Iterable[Fault], root: Node | None, where: str) -> InvalidManifest:
    """One error for all faults, in the order of the document: the first in full, the others with their positions."""
    placed = sorted(((_mark_of(root, fault), fault) for fault in faults), key=lambda pair: pair[0])
    mark, first = placed[0]
    others = [f"{at}  {fault.text}" if root else fault.text for at, fault in placed[1:]]
    more = [f"and {len(others) - MOST_TOLD} more"] if len(others) > MOST_TOLD else []
    what, _, hint = first.text.partition(". ")
    why = "\n".join([*([hint] if hint else []), *(["also:"] if others else []), *others[:MOST_TOLD], *more])
    fix = first.fix or next((fault.fix for _, fault in placed if fault.fix), "")
    return InvalidManifest(first.code, what, where=f"{where}:{mark}" if root else where, why=why, fix=fix)


def _mark_of(root: Node | None, fault: Fault) -> Mark:
    """Where the fault stands: the deepest node on its path that exists."""
    if root is None:
        return Mark(1, 1)
    node, mark = root, root.mark
    for part in fault.path:
        below: Node | None = None
        if isinstance(node, yaml_text.Mapping) and isinstance(part, str) and part in node.values:
            below, mark = node.values[part], node.keys[part]
        elif isinstance(node, yaml_text.Sequence) and isinstance(part, int) and part < len(node.values):
            below = node.values[part]
            mark = below.mark
        if below is None:
            return mark
        node = below
    missing = isinstance(node, Scalar) and node.missing
    return mark if fault.at_key or missing else node.mark


def _kind(node: Node) -> str:
    if isinstance(node, Scalar):
        return "nothing" if node.missing else f'the text "{node.value[:40]}"'
    return "a list" if isinstance(node, yaml_text.Sequence) else "a mapping"


def _as_list(place: Place) -> str:
    return f"{place.name}: [{place.node.value}]" if isinstance(place.node, Scalar) and place.is_text else ""


def _rename(hint: str, before: str = "") -> str:
    """The nearest known word as a fix, if the hint names just one."""
    match = re.fullmatch(r"Did you mean ([^,?]+)\?", hint)
    return f"{before}{match[1]}" if match else ""
