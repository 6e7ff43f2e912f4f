"""What a write means, given what is believed: which rows are new, which replace others, which change nothing.

The beliefs are the rows that nothing supersedes, retractions among them. Files that cannot hold a belief about the
facts of a write are left out by their ranges of actual time and, for scopes, by the ranges of the scope's columns; if
no file is left everything is new and no query is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tulle.errors import CheckFailed
from tulle.storage import columns
from tulle.storage.columns import quoted, same
from tulle.storage.constants import number, repeated, whole
from tulle.storage.digest import distinct
from tulle.storage.engine import Engine
from tulle.storage.footers import Footers, Range
from tulle.storage.index import Placed, with_fixes
from tulle.storage.scan import Source
from tulle.storage.shapes import Everything, TableShape, Write
from tulle.storage.tables import SHIFT, Resolved
from tulle.times import Moment, Period


@dataclass(frozen=True)
class Wish:
    """A write in the table's own types, checked: each fact at most once, none without an actual time."""

    puts: pa.Table
    retracts: pa.Table
    kept: pa.Table
    scope: tuple[pa.Table, ...] | Everything


@dataclass(frozen=True)
class Past:
    """What is there: the table's files, and the commits whose retractions stand."""

    shape: TableShape
    folder: Path
    placed: tuple[Placed, ...]
    standing: frozenset[int]
    footers: Footers


def wish(shape: TableShape, write: Write) -> Wish:
    """Raises `CheckFailed` if the rows are not of the table (E035) or a fact comes twice (E032)."""
    where, identity = f"what goes into {shape.name}", columns.identity_schema(shape)
    puts = columns.conform(write.puts, columns.fact_schema(shape), where)
    retracts = columns.empty(identity) if write.retracts is None else columns.conform(write.retracts, identity, where)
    kept = columns.empty(identity) if write.kept is None else columns.conform(write.kept, identity, where)
    if puts["actual_time"].null_count:
        raise CheckFailed("E035", f"{puts['actual_time'].null_count} rows for {shape.name} have no actual time")
    count = puts.num_rows - distinct(puts.select(shape.identity))
    if count:
        why = f"A fact is identified by {', '.join(shape.identity)}."
        raise CheckFailed("E032", f"{count} facts come twice in one batch for {shape.name}", why=why)
    scope = write.scope
    if not isinstance(scope, Everything):
        scope = tuple(_scope(shape, part) for part in scope if part.num_rows)
    return Wish(puts, retracts, kept, scope)


def _scope(shape: TableShape, part: pa.Table) -> pa.Table:
    facts = columns.fact_schema(shape)
    lost = [name for name in part.column_names if name not in facts.names]
    if lost or not part.num_columns:
        raise CheckFailed("E035", f"the scope of {shape.name} names {', '.join(lost) or 'no columns'}")
    wanted = pa.schema([facts.field(name) for name in part.column_names])
    return columns.conform(part, wanted, f"the scope of {shape.name}")


def resolve(engine: Engine, past: Past, wanted: Wish) -> Resolved:
    """The rows that make the write true."""
    candidates = _candidates(past, wanted)
    if not candidates:
        return Resolved(wanted.puts, columns.empty(_fix_schema(past.shape)), inserted=wanted.puts.num_rows)
    source = Source(past.shape, past.folder, with_fixes(candidates, past.placed))
    with engine.cursor() as cursor:
        found = _Question(source, past.standing, wanted).ask(cursor)
    return _split(past.shape, wanted.puts, found)


def _candidates(past: Past, wanted: Wish) -> list[Placed]:
    if isinstance(wanted.scope, Everything):
        return list(past.placed)
    periods = [_span(table) for table in (wanted.puts, wanted.retracts) if table.num_rows]
    ranges = [[Range.of(part, name) for name in part.column_names] for part in wanted.scope]

    def may_hold(each: Placed) -> bool:
        if any(each.meets(period) for period in periods):
            return True
        return any(past.footers.meets(past.folder / each.facts.path, each.facts, part) for part in ranges)

    return [each for each in past.placed if may_hold(each)]


def _span(table: pa.Table) -> Period:
    edges = pc.min_max(table["actual_time"].cast(pa.int64())).as_py()
    if edges["min"] is None:
        return Period()
    return Period(Moment(edges["min"]), Moment(edges["max"] + 1))


class _Question:
    """The one query of a commit: every belief that the write puts, retracts or finds in its scope."""

    def __init__(self, source: Source, standing: frozenset[int], wanted: Wish) -> None:
        self._source, self._shape, self._wanted = source, source.shape, wanted
        self._values = [name for name, _ in self._shape.columns if name not in self._shape.key]
        self._standing = sorted(standing & {each.seq for each in source.files.rows if each.fixes})

    def ask(self, cursor: duckdb.DuckDBPyConnection) -> pa.Table:
        wanted = self._wanted
        ordinal = pa.arange(0, wanted.puts.num_rows)
        cursor.register("puts", wanted.puts.append_column("_n", ordinal))
        cursor.register("retracts", wanted.retracts)
        cursor.register("kept", wanted.kept)
        scopes = () if isinstance(wanted.scope, Everything) else wanted.scope
        for place, part in enumerate(scopes):
            cursor.register(f"scope{place}", part)
        return cursor.sql(self._text(scopes)).to_arrow_table()

    def _text(self, scopes: Sequence[pa.Table]) -> str:
        shape = self._shape
        facts = [f"b.{quoted(name)}" for name in shape.identity]
        equal = same(self._values, "p", "b")
        listed = [*facts, "p._n", "b._row_id AS prior", "b._op AS op", f"(b.holds AND {equal}) AS same"]
        joins, gone = self._joins(scopes)
        query = f"WITH {self._beliefs()} SELECT {', '.join(listed)} FROM beliefs b {' '.join(joins)}"
        if not gone:
            return query
        return f"{query} WHERE p._n IS NOT NULL OR (b._op = 0 AND ({gone}))"

    def _joins(self, scopes: Sequence[pa.Table]) -> tuple[list[str], str]:
        """The joins, and the condition under which a belief that is not put goes; empty if none can."""
        identity, wanted = self._shape.identity, self._wanted
        entire = isinstance(wanted.scope, Everything)
        if not (entire or scopes or wanted.retracts.num_rows):
            return [f"JOIN puts p ON {same(identity, 'p', 'b')}"], ""
        joins = [f"LEFT JOIN puts p ON {same(identity, 'p', 'b')}"]
        hits = ["TRUE"] if entire else []
        for place, part in enumerate(scopes):
            joins.append(_mark(f"scope{place}", part.column_names))
            hits.append(f"scope{place}_.hit")
        gone = [f"({' OR '.join(hits)})"] if hits else []
        if hits and wanted.kept.num_rows:
            joins.append(_mark("kept", identity))
            gone = [f"({gone[0]} AND kept_.hit IS NULL)"]
        if wanted.retracts.num_rows:
            joins.append(_mark("retracts", identity))
            gone.append("retracts_.hit")
        return joins, " OR ".join(gone)

    def _beliefs(self) -> str:
        """Beliefs with their values. One that was taken away by a standing retraction shows the values it had."""
        names = [quoted(name) for name in (*self._shape.identity, *self._values)]
        held = f"_row_id NOT IN {self._source.superseded()}" if self._source.files.fixes else "TRUE"
        prior = f"prior AS (SELECT * FROM {self._source.paths(self._source.files.rows)})"
        listed = ", ".join(names)
        if not self._standing:
            plain = f"SELECT {listed}, _row_id, _op, _op = 0 AS holds FROM prior WHERE {held}"
            return f"{prior}, beliefs AS ({plain})"
        stands = f"_op = 1 AND _row_id >> {SHIFT} IN ({', '.join(map(str, self._standing))})"
        plain = f"SELECT {listed}, _row_id, _op, _op = 0 AS holds FROM prior WHERE {held} AND NOT ({stands})"
        away = f"SELECT _row_id, _op, _supersedes FROM prior WHERE {held} AND {stands}"
        taken = (
            f"SELECT {', '.join(f't.{name}' for name in names)}, r._row_id, r._op, TRUE AS holds"
            f" FROM prior t JOIN ({away}) r ON r._supersedes = t._row_id"
        )
        return f"{prior}, beliefs AS ({plain} UNION ALL {taken})"


def _mark(name: str, on: Sequence[str]) -> str:
    listed = ", ".join(quoted(column) for column in on)
    return f"LEFT JOIN (SELECT DISTINCT {listed}, TRUE AS hit FROM {name}) {name}_ ON {same(on, f'{name}_', 'b')}"


def _split(shape: TableShape, puts: pa.Table, found: pa.Table) -> Resolved:
    """Sorts the puts and the beliefs found into rows to write."""
    is_put = pc.is_valid(found["_n"])
    met, gone = found.filter(is_put), found.filter(pc.invert(is_put))
    changed = met.filter(pc.invert(met["same"]))
    ordinal = pa.arange(0, puts.num_rows)
    new = puts if not met.num_rows else puts.filter(pc.invert(pc.is_in(ordinal, value_set=whole(met["_n"]))))
    again = pc.sum(pc.equal(changed["op"], number(columns.RETRACT))).as_py() or 0
    fix = pa.concat_tables([_replacing(shape, puts, changed), _retracting(shape, gone)])
    return Resolved(
        new=new,
        fix=fix,
        inserted=new.num_rows + again,
        corrected=changed.num_rows - again,
        retracted=gone.num_rows,
        unchanged=met.num_rows - changed.num_rows,
    )


def _fix_schema(shape: TableShape) -> pa.Schema:
    return pa.schema([*columns.fact_schema(shape), pa.field("_op", pa.int32()), pa.field("_supersedes", pa.int64())])


def _replacing(shape: TableShape, puts: pa.Table, changed: pa.Table) -> pa.Table:
    schema = _fix_schema(shape)
    rows = puts.take(whole(changed["_n"]))
    op = repeated(columns.PUT, pa.int32(), changed.num_rows)
    return pa.table([*rows.columns, op, changed["prior"]], schema=schema)


def _retracting(shape: TableShape, gone: pa.Table) -> pa.Table:
    schema, count = _fix_schema(shape), gone.num_rows
    held = {name: gone[name] for name in shape.identity}
    held["_op"] = repeated(columns.RETRACT, pa.int32(), count)
    held["_supersedes"] = gone["prior"]
    arrays = [held[f.name].cast(f.type) if f.name in held else pa.nulls(count, f.type) for f in schema]
    return pa.table(arrays, schema=schema)
