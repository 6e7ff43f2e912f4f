"""What is published, in memory: the entries in order, and per table the files, to find those that a read needs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tulle.storage.shapes import Entry, FileFacts
from tulle.times import EVERYTHING, Moment, Period


@dataclass(frozen=True, slots=True)
class Placed:
    """A file and the commit that it came with."""

    seq: int
    moment: Moment
    facts: FileFacts

    @property
    def fixes(self) -> bool:
        """Whether its rows supersede others."""
        return self.facts.layer == "fix"

    def within(self, period: Period) -> bool:
        """Whether all of its rows have an actual time in `period`."""
        start, end = period.start, period.end
        return (start is None or start <= self.facts.min_actual) and (end is None or self.facts.max_actual < end)

    def meets(self, period: Period) -> bool:
        """Whether some of its rows may have an actual time in `period`."""
        start, end = period.start, period.end
        return (end is None or self.facts.min_actual < end) and (start is None or start <= self.facts.max_actual)


@dataclass(frozen=True)
class Files:
    """The files of one table that a read has to look at.

    `rows` hold the rows that are asked for. `fixes` hold the rows that supersede some of them: all of them, whatever
    their own actual time or values.
    """

    rows: tuple[Placed, ...]
    fixes: tuple[Placed, ...]

    @property
    def touched(self) -> frozenset[int]:
        """The commits of `rows` of which some row is superseded."""
        return frozenset(seq for placed in self.fixes for seq in placed.facts.touches)

    @property
    def plain(self) -> tuple[Placed, ...]:
        """Files of which every row is a belief that still holds."""
        touched = self.touched
        return tuple(placed for placed in self.rows if not placed.fixes and placed.seq not in touched)

    @property
    def mixed(self) -> tuple[Placed, ...]:
        """The other files."""
        plain = {placed.facts.path for placed in self.plain}
        return tuple(placed for placed in self.rows if placed.facts.path not in plain)


def files_of(placed: Sequence[Placed], moment: Moment, period: Period = EVERYTHING) -> Files:
    """The files for a read at `moment`, pruned by the ranges of both times."""
    known = placed[: bisect_right(placed, moment, key=lambda each: each.moment)]
    return with_fixes([each for each in known if each.meets(period)], known)


def with_fixes(rows: Iterable[Placed], known: Iterable[Placed]) -> Files:
    """`rows` and those of the `known` files that supersede rows of their commits."""
    rows = tuple(rows)
    seqs = {each.seq for each in rows}
    fixes = tuple(each for each in known if each.fixes and not seqs.isdisjoint(each.facts.touches))
    return Files(rows, fixes)


@dataclass
class Index:
    """Grows by one entry per commit. Not locked: the log does that."""

    entries: list[Entry] = field(default_factory=list)
    placed: dict[str, list[Placed]] = field(default_factory=dict)
    cursors: dict[str, Any] = field(default_factory=dict)
    consumed: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    parked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    standing: set[int] = field(default_factory=set)

    def adopt(self, entry: Entry) -> None:
        """Takes in a published entry."""
        self.entries.append(entry)
        for table, tally in entry.tables.items():
            files = self.placed.setdefault(table, [])
            files.extend(Placed(entry.seq, entry.processing_time, facts) for facts in tally.files)
        for name, cursor in entry.story.cursors.items():
            self._move(name, cursor)
        self._park(entry)
        if entry.story.standing:
            self.standing.add(entry.seq)

    def at(self, moment: Moment) -> Entry | None:
        """The newest entry published at or before `moment`."""
        place = bisect_right(self.entries, moment, key=lambda entry: entry.processing_time)
        return self.entries[place - 1] if place else None

    def _move(self, name: str, cursor: Any) -> None:
        self.cursors[name] = cursor
        files = cursor if isinstance(cursor, list | tuple) else [cursor]
        taken = [each for each in files if isinstance(each, Mapping) and "sha256" in each]
        if taken:
            self.consumed.setdefault(name, []).extend(taken)

    def _park(self, entry: Entry) -> None:
        for each in entry.story.parked:
            self.parked[str(each["id"])] = each
        for name in entry.story.unparked:
            self.parked.pop(name, None)
