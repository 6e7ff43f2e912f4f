"""A change as a reader gets it: what happened to which fact, when, and from where to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tulle.formats.events import Event
from tulle.times import Moment, parse_moment


@dataclass(frozen=True)
class Change:
    """One change. `op` is insert, correct or retract; `cursor`, given as `since`, goes on after it without loss."""

    op: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    actual_time: Moment
    moment: Moment
    cursor: str
    document: Mapping[str, Any] = field(repr=False, compare=False)


class Changes:
    """Changes, to iterate over. `cursor` says, after each and at the end, from where to go on."""

    def __init__(self, changes: Iterator[Change], cursor: Callable[[], str], close: Callable[[], None]) -> None:
        self._changes, self._cursor, self._close = changes, cursor, close

    @property
    def cursor(self) -> str:
        """The moment to give as `since` to go on without loss."""
        return self._cursor()

    def close(self) -> None:
        """Stops following, also from another thread."""
        self._close()

    def __iter__(self) -> Iterator[Change]:
        return self._changes

    def __next__(self) -> Change:
        return next(self._changes)


def change_of(document: Mapping[str, Any], cursor: str) -> Change:
    """The change that a document of the wire tells."""
    return Change(
        document["op"],
        document.get("before"),
        document.get("after"),
        parse_moment(document["actual_time"]),
        parse_moment(document["processing_time"]),
        cursor,
        document,
    )


def change_of_event(event: Event) -> Change:
    """The change that an event tells."""
    return change_of(event.document(), event.id)
