"""Strict YAML: one document of mappings, lists and scalars, each of which knows its line and column.

No duplicate keys, anchors, aliases, tags, second documents, nesting beyond 40 levels or texts beyond 1 MB: none of them
says anything that plain YAML cannot, and each has hidden a mistake or an attack somewhere. Scalars stay text until the
reader says what they should be, so that `no` is a country and `1.0` is a version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from tulle.errors import InvalidManifest

T = TypeVar("T")

MOST_BYTES = 1_000_000
MOST_LEVELS = 40
_INTEGER = re.compile(r"[-+]?[0-9]{1,38}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_WORDS |= {".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf")}


@dataclass(frozen=True, order=True, slots=True)
class Mark:
    """A position in a text, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as written. `plain` says that it stood without quotes."""

    value: str
    plain: bool
    mark: Mark

    @property
    def missing(self) -> bool:
        """Whether nothing is written here: an empty value, `~` or `null`."""
        return self.plain and self.value in {"", "~", "null"}


@dataclass(frozen=True, slots=True)
class Sequence:
    values: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in order, each with the mark of the key itself."""

    values: dict[str, Node]
    keys: dict[str, Mark]
    mark: Mark


Node = Scalar | Sequence | Mapping


def parse(text: str, where: str) -> Node:
    """The document in `text`. Raises `InvalidManifest` E020, with `where:line:column`, for what is not allowed."""
    if _size(text, where) > MOST_BYTES:
        raise _refused(where, None, f"the file is larger than {MOST_BYTES:,} bytes")
    events = _Events(text.removeprefix("\ufeff"), where)
    try:
        return events.document()
    except yaml.MarkedYAMLError as problem:
        raise _unreadable(problem, where) from None
    except yaml.reader.ReaderError as problem:
        raise _refused(where, _mark_at(text, problem.position), "a character that YAML does not allow") from None


def plain(node: Node) -> Any:
    """The document as Python values: scalars without quotes become null, booleans and numbers if they look like it."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.values.items()}
    if isinstance(node, Sequence):
        return [plain(value) for value in node.values]
    return _resolved(node.value) if node.plain else node.value


class _Events:
    """Builds nodes from the parser's events, so that nothing is composed before it was looked at."""

    def __init__(self, text: str, where: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._where = where

    def document(self) -> Node:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if node is not None:
                    raise self._wrong(event, "a second document starts here; a file holds one")
                node = self._node(next(self._events), 0)
        if node is None or (isinstance(node, Scalar) and node.missing):
            raise _refused(self._where, Mark(1, 1), "the file is empty")
        return node

    def _node(self, event: Any, depth: int) -> Node:
        self._allow(event, depth)
        mark = _mark(event)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, not event.style, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self._until(yaml.SequenceEndEvent, lambda e: self._node(e, depth + 1))), mark)
        values: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        for key, at, value in self._until(yaml.MappingEndEvent, lambda e: self._pair(e, depth + 1)):
            if key in values:
                raise _refused(self._where, at, f'the key "{key}" stands twice; first on line {keys[key].line}')
            values[key], keys[key] = value, at
        return Mapping(values, keys, mark)

    def _pair(self, event: Any, depth: int) -> tuple[str, Mark, Node]:
        key = self._node(event, depth)
        if not isinstance(key, Scalar):
            raise self._wrong(event, "a key must be a word, not a list or a mapping")
        return key.value, key.mark, self._node(next(self._events), depth)

    def _until(self, end: type[Any], make: Callable[[Any], T]) -> Iterator[T]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield make(event)

    def _allow(self, event: Any, depth: int) -> None:
        if depth >= MOST_LEVELS and isinstance(event, yaml.CollectionStartEvent):
            raise self._wrong(event, f"nested deeper than {MOST_LEVELS} levels")
        if isinstance(event, yaml.AliasEvent):
            raise self._wrong(event, f"the alias *{event.anchor} is not allowed: write the value out")
        if event.anchor is not None:
            raise self._wrong(
                event, f"the anchor &{event.anchor} is not allowed: write the value out where it is needed"
            )
        if event.tag is not None:
            raise self._wrong(event, f"the tag {event.tag} is not allowed")

    def _wrong(self, event: Any, what: str) -> InvalidManifest:
        return _refused(self._where, _mark(event), what)


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _mark_at(text: str, position: int) -> Mark:
    before = text[:position]
    return Mark(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _size(text: str, where: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as problem:
        raise _refused(where, _mark_at(text, problem.start), "a character that is not Unicode") from None


def _unreadable(problem: yaml.MarkedYAMLError, where: str) -> InvalidManifest:
    at = problem.problem_mark or problem.context_mark
    mark = Mark(at.line + 1, at.column + 1) if at else None
    said = " ".join(part for part in (problem.context, problem.problem) if part)
    return _refused(where, mark, "this is not YAML", said)


def _refused(where: str, mark: Mark | None, what: str, why: str = "") -> InvalidManifest:
    return InvalidManifest("E020", what, where=f"{where}:{mark}" if mark else where, why=why)


def _resolved(value: str) -> Any:
    if value in _WORDS:
        return _WORDS[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _NUMBER.fullmatch(value) else value
