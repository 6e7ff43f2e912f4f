"""A proposal for a stranger's file: names and types of its columns, its null marker, key and actual time."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tulle.product_plane.kinds import NULLS, TEXT, Kind, kind_of
from tulle.product_plane.names import column_names
from tulle.product_plane.sniff import TextTable

MOST_IN_KEY = 4
MOST_CANDIDATES = 12
SEARCH_ROWS = 20_000
_ID = re.compile(r"(^|_)(id|key|code|nr|no|num|number|nummer|uuid|kennung|schluessel|isbn|iata|sku)($|_)|_?id$")
_TIME = re.compile(r"time|date|stamp|datum|zeit|hour|_at$|^at$|when|tag$|day|month")
_LATER = re.compile(r"end|until|bis|_to$|expire|due|update|modif")
_BIRTH = re.compile(r"birth|born|geb|dob")


@dataclass(frozen=True)
class Guess:
    """One column: its name in the file and ours, what it holds, and what is null in it besides the main marker."""

    source: str
    name: str
    kind: Kind
    markers: tuple[str, ...]
    nulls: int
    distinct: int


@dataclass(frozen=True)
class Proposal:
    """All that was guessed of a file. `time` is None where no column holds when a row was true."""

    columns: tuple[Guess, ...]
    null: str
    key: tuple[str, ...]
    time: Guess | None
    repeated: int
    notes: tuple[str, ...]

    def column(self, name: str) -> Guess:
        return next(column for column in self.columns if column.name == name)


def propose(table: TextTable) -> Proposal:
    """The proposal for `table`; the notes say what was assumed."""
    texts = [table.column(number) for number in range(len(table.header))]
    looks = [_look(values) for values in texts]
    null = _null(looks)
    names = column_names(table.header)
    columns = tuple(
        _guess(source, name, look, null, table.quoted)
        for source, name, look in zip(table.header, names, looks, strict=True)
    )
    time, others = _time(columns)
    key, repeated, said = _key(columns, texts, time)
    doubts = [f"{c.name}: read as {c.kind.form}; {c.kind.doubt}" for c in columns if c.kind.doubt]
    notes = (*_null_notes(columns, null), *doubts, *_time_notes(time, others), *said)
    return Proposal(columns, null, key, time, repeated, notes)


@dataclass(frozen=True)
class _Look:
    counts: Counter[str]
    kind: Kind
    markers: tuple[str, ...]


def _look(values: list[str]) -> _Look:
    """The kind of a column once what people write for null is left out; text keeps all but the empty ones."""
    counts = Counter(values)
    kind = kind_of({value for value in counts if value not in NULLS})
    if kind == TEXT:
        return _Look(counts, TEXT, ())
    return _Look(counts, kind, tuple(marker for marker in NULLS if marker in counts))


def _null(looks: list[_Look]) -> str:
    """The marker of null that most columns use which hold more than text. An empty cell is null anyway."""
    used = Counter(marker for look in looks for marker in look.markers if marker)
    often = Counter({marker: sum(look.counts[marker] for look in looks) for marker in used})
    return max(used, key=lambda marker: (used[marker], often[marker])) if used else ""


def _guess(source: str, name: str, look: _Look, null: str, quoted: frozenset[str]) -> Guess:
    """What is null in this column besides empty cells and the main marker without quotes; in text, nothing is."""
    empty = {*look.markers, null, ""}
    others = tuple(marker for marker in look.markers if marker not in {null, ""} or marker in quoted)
    distinct = len([value for value in look.counts if value not in empty])
    return Guess(source, name, look.kind, others, sum(look.counts[marker] for marker in empty), distinct)


def _time(columns: Sequence[Guess]) -> tuple[Guess | None, list[Guess]]:
    """The best column for actual time, and the others that could be it."""
    times = [c for c in columns if c.kind.type in {"timestamp", "date"} and not _BIRTH.search(c.name)]
    whole = sorted((c for c in times if not c.nulls and c.distinct), key=lambda c: _time_rank(c, columns))
    return (whole[0], [c for c in times if c is not whole[0]]) if whole else (None, times)


def _time_rank(column: Guess, columns: Sequence[Guess]) -> tuple[bool, bool, bool, int]:
    return (
        bool(_LATER.search(column.name)),
        column.kind.type != "timestamp",
        not _TIME.search(column.name),
        columns.index(column),
    )


def _key(
    columns: Sequence[Guess], texts: list[list[str]], time: Guess | None
) -> tuple[tuple[str, ...], int, list[str]]:
    """The key, how many rows repeat others wholly, and what to tell."""
    rows = len(texts[0]) if texts else 0
    values = {column.name: text for column, text in zip(columns, texts, strict=True)}
    for names in _candidates(columns, time):
        own = [*names, *([time.name] if time and time.name not in names else [])]
        if rows and _unique([values[name] for name in own]):
            return names, 0, [_key_note(names, time, rows)]
    repeated = rows - len(set(zip(*texts, strict=True))) if texts else 0
    names = tuple(column.name for column in columns if not column.nulls) or (columns[0].name,)
    own = [*names, *([time.name] if time else [])]
    if _unique_beside(values, own, texts, repeated):
        return names, repeated, [_whole_note(names, repeated)]
    names = tuple(column.name for column in columns)
    return names, repeated, [f"key: all columns, some of them empty. Nothing tells the rows apart: {', '.join(names)}"]


def _candidates(columns: Sequence[Guess], time: Guess | None) -> Iterator[tuple[str, ...]]:
    """Keys to try, the likeliest first: an id, the time with one name, two, ...; measures never are part of one."""
    able = [c for c in columns if c is not time and not c.nulls and c.kind.type in {"string", "int64", "date", "bool"}]
    ids = [c for c in able if _ID.search(c.name)]
    named = [c for c in able if c not in ids and c.kind.type == "string"]
    ordered = [*ids, *named, *(c for c in able if c not in ids and c not in named)][:MOST_CANDIDATES]
    yield from ((c.name,) for c in ids)
    if time:
        yield from ((c.name,) for c in named if c.distinct == 1)
    elif named or able:
        yield from ((c.name,) for c in ordered)
    if time:
        yield (time.name,)
        yield from ((c.name,) for c in named)
    for size in range(1, MOST_IN_KEY + 1):
        yield from (tuple(c.name for c in group) for group in itertools.combinations(ordered, size))


def _unique(columns: list[list[str]]) -> bool:
    """Whether no two rows agree in all `columns`; a first look at some rows spares most of the long ones."""
    head = [column[:SEARCH_ROWS] for column in columns]
    if len(set(zip(*head, strict=True))) < len(head[0]):
        return False
    return len(columns[0]) <= SEARCH_ROWS or len(set(zip(*columns, strict=True))) == len(columns[0])


def _unique_beside(values: dict[str, list[str]], own: list[str], texts: list[list[str]], repeated: int) -> bool:
    """Whether `own` tells all rows apart that differ at all."""
    return len(set(zip(*(values[name] for name in own), strict=True))) == len(texts[0]) - repeated


def _key_note(names: tuple[str, ...], time: Guess | None, rows: int) -> str:
    beside = f" with {time.name}" if time and time.name not in names else ""
    return f"key: {', '.join(names)}{beside} tells all {rows:,} rows apart"


def _whole_note(names: tuple[str, ...], repeated: int) -> str:
    note = f"key: {', '.join(names)}, as nothing less tells rows apart"
    return f"{note}; rows that repeat others wholly are dropped ({repeated:,})" if repeated else note


def _null_notes(columns: Sequence[Guess], null: str) -> list[str]:
    notes = [f'null is written "{null}"'] if null else []
    for column in columns:
        if column.markers:
            marks = " and ".join(f'"{marker}"' for marker in column.markers)
            notes.append(f"{column.name}: {marks} is null too")
    return notes


def _time_notes(time: Guess | None, others: list[Guess]) -> list[str]:
    if time is None:
        why = f" ({', '.join(c.name for c in others)} is empty in places)" if others else ""
        return [f"actual time: arrival of the file, as no column says when a row was true{why}"]
    beside = f"; or is it {', '.join(c.name for c in others)}?" if others else ""
    zone = " (no zone given, read as UTC)" if time.kind.type == "timestamp" and not time.kind.zoned else ""
    midnight = " (00:00 UTC of the day)" if time.kind.type == "date" else ""
    return [f"actual time: {time.name}{zone}{midnight}{beside}"]
