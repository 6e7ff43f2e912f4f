"""Scopes: which part of the output a change of an input touches, and the rows of the inputs that this part is made of.

The manifest gives, per input, output columns as expressions over a row of that input. The expressions of the changed
rows, old and new, are the scope: one table of distinct values per input. An input that the manifest leaves out touches
everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from tulle.product.manifest import TYPES, Manifest
from tulle.times import Moment
from tulle.transformation.columns import ARROW, INSTANT
from tulle.transformation.engine import Connection, quoted, rows, tables


class Everything:
    """The scope that is the whole output."""

    def __repr__(self) -> str:
        return "EVERYTHING"


EVERYTHING = Everything()
Parts = tuple[pa.Table, ...]
Predicate = tuple[str, str, Any]

MOST_VALUES = 50
"""Up to so many distinct values are sent upstream one by one; beyond, their range."""

MOST_PLAINLY = 20_000
"""Up to so many distinct values are looked at without a child: more take longer here than there."""

_BARE = re.compile(r'\s*(?:([A-Za-z_]\w*)|"([^"]+)")\s*')
_LOCAL_DAY = re.compile(r"""\s*local_day\(\s*(?:([A-Za-z_]\w*)|"([^"]+)")\s*,\s*'([^']+)'\s*\)\s*""", re.IGNORECASE)
_WORDS = {"null", "true", "false", "current_date", "current_timestamp"}
_PER_PART = "_part_{}"


def named(manifest: Manifest, changed: Iterable[str]) -> bool:
    """Whether the manifest says what the changed inputs touch, in columns that every output has."""
    scopes = dict(manifest.scope)
    used = {column for name in changed for column, _ in scopes.get(name, ())}
    known = [{column.name for column in output.columns} | {"actual_time"} for output in manifest.outputs]
    return all(scopes.get(name) for name in changed) and all(used <= columns for columns in known)


def needed(manifest: Manifest, name: str, table: pa.Table) -> pa.Table:
    """The table without the columns that the scope of input `name` cannot be made from; the fewer travel the better."""
    text = " ".join(expression for _, expression in dict(manifest.scope)[name]).lower()
    return table.select([c for c in table.column_names if c.lower() in text] or table.column_names[:1])


def touched_plainly(manifest: Manifest, changed: Mapping[str, pa.Table]) -> Parts | None:
    """What `touched` gives, where only columns and their local days are asked of the changed rows; None elsewhere.

    It runs no code of the product, so that it needs no child.
    """
    by_columns: dict[tuple[str, ...], list[pa.Table]] = {}
    for name, table in changed.items():
        part = _plain_part(manifest, sorted(dict(manifest.scope)[name]), table)
        if part is None:
            return None
        by_columns.setdefault(tuple(part.column_names), []).append(part)
    return tuple(pa.concat_tables(t).group_by(list(columns)).aggregate([]) for columns, t in by_columns.items())


def _plain_part(manifest: Manifest, pairs: Sequence[tuple[str, str]], table: pa.Table) -> pa.Table | None:
    sources = [_plain_source(expression) for _, expression in pairs]
    names = list(dict.fromkeys(name for name, _ in sources))
    if not set(names) <= set(table.column_names):
        return None
    few = table.select(names).group_by(names).aggregate([])
    if few.num_rows > MOST_PLAINLY:
        return None
    declared = {column.name: ARROW[column.type] for output in manifest.outputs for column in output.columns}
    made = {
        column: few[name] if zone is None else _local_days(few[name], zone)
        for (column, _), (name, zone) in zip(pairs, sources, strict=True)
    }
    return pa.table(made) if all(v.type == declared.get(c, INSTANT) for c, v in made.items()) else None


def _plain_source(expression: str) -> tuple[str, str | None]:
    """The column that an expression is, or is the local day of, and the zone of that day; an empty name elsewhere."""
    if (match := _BARE.fullmatch(expression)) and expression.strip().lower() not in _WORDS:
        return match[1] or match[2], None
    match = _LOCAL_DAY.fullmatch(expression)
    return (match[1] or match[2], match[3]) if match else ("", None)


def _local_days(instants: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    here = ZoneInfo(zone)
    micros = instants.cast(INSTANT).cast(pa.int64()).to_pylist()
    days = [None if m is None else Moment(m).as_datetime().astimezone(here).date() for m in micros]
    return pa.chunked_array([days], pa.date32())


def touched(connection: Connection, manifest: Manifest, changed: Mapping[str, pa.Table]) -> Parts:
    """One table of distinct values per set of output columns, from the changed rows of each input."""
    scopes, by_columns = dict(manifest.scope), dict[tuple[str, ...], list[pa.Table]]()
    for name, table in changed.items():
        pairs = sorted(scopes[name])
        values = ", ".join(f"{_valued(manifest, c, e)} AS {quoted(c)}" for c, e in pairs)
        with tables(connection, {"_changed": table}):
            part = rows(connection, f"SELECT DISTINCT {values} FROM _changed")
        by_columns.setdefault(tuple(column for column, _ in pairs), []).append(part)
    return tuple(_distinct(connection, parts) for parts in by_columns.values())


def restricted(connection: Connection, manifest: Manifest, name: str, table: pa.Table, parts: Parts) -> pa.Table:
    """The rows of an input that belong to the scope: those whose own expressions agree with it where they can."""
    pairs = dict(dict(manifest.scope).get(name, ()))
    shared = [[column for column in part.column_names if column in pairs] for part in parts]
    if not all(shared):  # a part that says nothing of this input's rows needs all of them
        return table
    used = sorted({column for columns in shared for column in columns})
    values = ", ".join(f"{_valued(manifest, column, pairs[column])} AS {quoted('_scope ' + column)}" for column in used)
    matches = [
        _matches(number, [(column, quoted("_scope " + column)) for column in columns])
        for number, columns in enumerate(shared)
    ]
    query = (
        f"SELECT * EXCLUDE ({', '.join(quoted('_scope ' + column) for column in used)})"
        f" FROM (SELECT *, {values} FROM _input) WHERE {' OR '.join(matches)}"
    )
    with tables(connection, {"_input": table, **_named(parts)}):
        return rows(connection, query)


def within(connection: Connection, table: pa.Table, parts: Parts) -> pa.Table:
    """The rows of an output that lie in the scope."""
    matches = [_matches(n, [(c, f"_rows.{quoted(c)}") for c in part.column_names]) for n, part in enumerate(parts)]
    with tables(connection, {"_rows": table, **_named(parts)}):
        return rows(connection, f"SELECT * FROM _rows WHERE {' OR '.join(matches)}")


def pushdown(manifest: Manifest, name: str, parts: object) -> tuple[Predicate, ...]:
    """Simple predicates that every row of input `name` needed for the scope meets, for its upstream to filter by.

    They let more through than the scope does, never less. Nothing for `EVERYTHING`.
    """
    if not isinstance(parts, tuple):
        return ()
    found: list[Predicate] = []
    for column, expression in dict(manifest.scope).get(name, ()):
        values = _values(parts, column)
        if values is None:
            continue
        if (match := _BARE.fullmatch(expression)) and expression.strip().lower() not in _WORDS:
            found += _bounded(match[1] or match[2], values)
        elif match := _LOCAL_DAY.fullmatch(expression):
            found += _days(match[1] or match[2], values, match[3])
    return tuple(found)


def _valued(manifest: Manifest, column: str, expression: str) -> str:
    types = {"actual_time": "TIMESTAMPTZ"}
    types |= {c.name: TYPES[c.type] for output in manifest.outputs for c in output.columns}
    return f"CAST(({expression}) AS {types[column]})"


def _distinct(connection: Connection, parts: Sequence[pa.Table]) -> pa.Table:
    if len(parts) == 1:
        return parts[0]
    with tables(connection, {"_parts": pa.concat_tables(parts)}):
        return rows(connection, "SELECT DISTINCT * FROM _parts")


def _named(parts: Parts) -> dict[str, pa.Table]:
    return {_PER_PART.format(number): part for number, part in enumerate(parts)}


def _matches(number: int, pairs: Iterable[tuple[str, str]]) -> str:
    same = " AND ".join(f"p.{quoted(column)} IS NOT DISTINCT FROM {value}" for column, value in pairs)
    return f"EXISTS (SELECT 1 FROM {_PER_PART.format(number)} AS p WHERE {same})"


def _values(parts: Parts, column: str) -> pa.Array | None:
    """The distinct values of a column that every part limits; None if one does not, or if null is among them."""
    if not parts or not all(column in part.column_names for part in parts):
        return None
    chunks = [chunk for part in parts for chunk in part[column].chunks]
    values = pc.unique(pa.chunked_array(chunks, parts[0][column].type))
    return None if values.null_count else values


def _bounded(column: str, values: pa.Array) -> list[Predicate]:
    floating = pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py()
    if floating or pa.types.is_binary(values.type):
        return []
    if pa.types.is_date(values.type):  # the input's column may be finer than a day
        return _days(column, values, "UTC")
    if len(values) <= MOST_VALUES:
        return [(column, "in", tuple(_plain(value) for value in values.to_pylist()))]
    ends = pc.min_max(values).as_py()
    return [(column, ">=", _plain(ends["min"])), (column, "<=", _plain(ends["max"]))]


def _days(column: str, values: pa.Array, zone: str) -> list[Predicate]:
    if len(values) == 0:
        return [(column, "in", ())]
    ends, one_day = pc.min_max(values).as_py(), timedelta(days=1)
    try:
        starts = min(_first_instants(ends["min"], zone))
        stops = max(_first_instants(ends["max"] + one_day, zone))
    except OverflowError:  # the first or the last day of all
        return []
    return [(column, ">=", str(starts)), (column, "<", str(stops))]


def _first_instants(day: date, zone: str) -> list[Moment]:
    """Midnight as an instant; both of them on a day that has two."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return [Moment.of(midnight.replace(fold=fold).astimezone(UTC)) for fold in (0, 1)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return str(Moment.of(value))
    return value if isinstance(value, str | int | float | bool) else str(value)
