"""The SQL text of reads over a table's files. No statement here ever dedupes a table with a window function.

A belief holds until another row supersedes it. Files none of whose rows is superseded are scanned plainly; only the
others are checked against the ids that the fixes supersede.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tulle.errors import UsageError, lost_column
from tulle.storage import columns
from tulle.storage.columns import instant, literal, quoted, text
from tulle.storage.index import Files, Placed
from tulle.storage.shapes import TableShape
from tulle.times import Moment, Period

Condition = tuple[str, str, Any]
"""`(column, operator, value)`, as the words of a `Predicate` stand."""

_COMPARE = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Source:
    """A table's shape, its folder, and the files that a read has to look at."""

    shape: TableShape
    folder: Path
    files: Files

    def paths(self, placed: Iterable[Placed]) -> str:
        """The relation over some of the files, or an empty one of the same columns."""
        names = [text(str(self.folder / each.facts.path)) for each in placed]
        if not names:
            return self._nothing()
        return f"read_parquet([{', '.join(names)}], hive_partitioning=false)"

    def superseded(self) -> str:
        """The ids that the fixes supersede, as a subquery."""
        return f"(SELECT _supersedes FROM {self.paths(self.files.fixes)} WHERE _supersedes IS NOT NULL)"

    def _nothing(self) -> str:
        fields = columns.file_schema(self.shape)
        user = {name: columns.kind(type_).delta for name, type_ in self.shape.columns}
        nulls = [f"CAST(NULL AS {_stored_sql(self.shape, name, user)}) AS {quoted(name)}" for name in fields.names]
        return f"(SELECT {', '.join(nulls)} WHERE FALSE)"


def _stored_sql(shape: TableShape, name: str, user: dict[str, str]) -> str:
    declared = columns.sql_type(shape, name)
    return "VARCHAR" if user.get(name) == "string" else declared


def shown_columns(shape: TableShape) -> tuple[str, ...]:
    """What a reader sees when he names no columns."""
    return (*(name for name, _ in shape.columns), *columns.times(shape), "processing_time")


def live(source: Source, names: Sequence[str], extra: str = "") -> str:
    """The beliefs that hold, in the stored form of the named columns; `extra` is a condition on each row."""
    listed = ", ".join(quoted(name) for name in names)
    parts, files = [], source.files
    if files.plain or not files.mixed:
        parts.append(_select(listed, source.paths(files.plain), [extra]))
    if files.mixed:
        held = f"_row_id NOT IN {source.superseded()}" if files.fixes else ""
        parts.append(_select(listed, source.paths(files.mixed), ["_op = 0", held, extra]))
    return "\nUNION ALL\n".join(parts)


def in_period(source: Source, period: Period) -> str:
    """The condition that a row's actual time lies in the period, or its window overlaps it; empty if all do."""
    start, end = period.start, period.end
    if start is None and end is None:
        return ""
    if source.shape.windows:
        starts = f"actual_time < {instant(end)}" if end else ""
        ends = f"(actual_until IS NULL OR actual_until > {instant(start)})" if start else ""
        return both(starts, ends)
    if all(placed.within(period) for placed in source.files.rows):
        return ""
    after = f"actual_time >= {instant(start)}" if start else ""
    return both(after, f"actual_time < {instant(end)}" if end else "")


def events(source: Source, period: Period, names: Sequence[str]) -> str:
    """The facts with an actual time in the period."""
    return live(source, names, in_period(source, period))


def in_force(source: Source, period: Period, names: Sequence[str]) -> str:
    """Per key, the values in force at some time in the period: those that began in it, and the one it began with."""
    shape = source.shape
    if shape.windows:
        inner = live(source, _needed(names, shape), in_period(source, period))
        return inner if period.start is None else _newest(inner, shape, names, period)
    before = Period(None, period.end)
    if period.start is None or _one_instant(source.files.rows):
        return live(source, names, in_period(source, before))
    inner = live(source, _needed(names, shape), in_period(source, before))
    return _newest(inner, shape, names, period)


def _newest(inner: str, shape: TableShape, names: Sequence[str], period: Period) -> str:
    assert period.start is not None
    listed = ", ".join(quoted(name) for name in names)
    key = ", ".join(quoted(name) for name in shape.key)
    partition = f"PARTITION BY {key} " if key else ""
    following = f"lead(actual_time) OVER ({partition}ORDER BY {', '.join(columns.times(shape))})"
    if shape.windows:
        following = f"lead(actual_time) OVER ({partition}ORDER BY actual_time, actual_until DESC NULLS LAST)"
    begins = instant(period.start)
    return f"SELECT {listed} FROM ({inner}) QUALIFY coalesce({following} > {begins}, TRUE)"


def _one_instant(placed: Sequence[Placed]) -> bool:
    """Whether all rows have the same actual time, so that the identity is the key."""
    edges = {edge for each in placed for edge in (each.facts.min_actual, each.facts.max_actual)}
    return len(edges) <= 1


def _needed(names: Sequence[str], shape: TableShape) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *shape.identity)))


@dataclass(frozen=True)
class Ask:
    """What of the rows is asked for: columns (none: all that readers see), conditions, order, at most how many."""

    columns: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None

    def shown(self, shape: TableShape) -> tuple[str, ...]:
        """The columns of the answer. Raises `NotThere` E201 for one that the table does not have."""
        for name in (*self.columns, *(name for name, _, _ in self.where), *(_order_column(o) for o in self.order)):
            known(shape, name)
        return self.columns or shown_columns(shape)

    def stored(self, shape: TableShape) -> tuple[str, ...]:
        """The columns that have to be read."""
        others = [name for name, _, _ in self.where] + [_order_column(each) for each in self.order]
        return tuple(dict.fromkeys((*self.shown(shape), *others)))


def finish(inner: str, shape: TableShape, ask: Ask) -> str:
    """Conditions, order and limit around the facts, each column in its declared type."""
    shown = ", ".join(columns.presented(shape, name) for name in ask.shown(shape))
    conditions = [condition(shape, each) for each in ask.where]
    query = _select(shown, f"(\n{inner}\n) AS facts", conditions)
    if ask.order:
        query += " ORDER BY " + ", ".join(_order(each) for each in ask.order)
    return query if ask.limit is None else f"{query} LIMIT {int(ask.limit)}"


def known(shape: TableShape, name: str) -> None:
    """Raises `NotThere` E201 if readers cannot see a column of this name."""
    names = shown_columns(shape)
    if name not in names:
        raise lost_column(name, names, shape.name)


def condition(shape: TableShape, each: Condition) -> str:
    """A predicate as SQL; its value is a typed literal. A time of day lies as text, which sorts the same."""
    name, operator, value = each
    known(shape, name)
    type_ = columns.sql_type(shape, name)
    if operator in ("is null", "is not null"):
        return f"{quoted(name)} {operator.upper()}"
    if operator == "in":
        listed = [_compared(item, type_, name) for item in value if item is not None]
        found = [f"{quoted(name)} IN ({', '.join(listed)})"] if listed else []
        found += [f"{quoted(name)} IS NULL"] if any(item is None for item in value) else []
        return f"({' OR '.join(found)})" if found else "FALSE"
    if operator not in _COMPARE:
        known_words = ", ".join([*_COMPARE, "in", "is null", "is not null"])
        raise UsageError("E011", f"{operator!r} compares nothing", why=f"There are {known_words}")
    return f"{quoted(name)} {_COMPARE[operator]} {_compared(value, type_, name)}"


def _compared(value: Any, type_: str, name: str) -> str:
    shown = literal(value, type_, name)
    return shown.removeprefix("TIME ") if type_.strip().upper() == "TIME" else shown


def both(*conditions: str) -> str:
    """All of the conditions that are not empty."""
    return " AND ".join(each for each in conditions if each)


def _select(listed: str, relation: str, conditions: Sequence[str]) -> str:
    where = both(*conditions)
    return f"SELECT {listed} FROM {relation}" + (f" WHERE {where}" if where else "")


def _order_column(each: str) -> str:
    return each.removeprefix("-")


def _order(each: str) -> str:
    """A leading `-` turns the order round. Nulls come last either way."""
    return f"{quoted(_order_column(each))} {'DESC' if each.startswith('-') else 'ASC'} NULLS LAST"


def period_of(at: Moment | Period | None) -> Period:
    """The period that an instant, a period or nothing stands for."""
    if isinstance(at, Moment):
        return Period(at, at.plus(1))
    return at or Period()
