"""A second opinion on what commits mean, in plain Python, and the slow oracle on what the files say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tulle.storage.columns import INSTANT, fact_schema, identity_schema
from tulle.storage.shapes import TableShape
from tulle.times import Moment

Identity = tuple[Any, ...]
Values = tuple[Any, ...]
Facts = dict[Identity, Values]


@dataclass(frozen=True)
class Belief:
    """The newest version of a fact: its values, or None if it is retracted; what a standing retraction took."""

    values: Values | None
    taken: Values | None = None


@dataclass(frozen=True)
class Version:
    moment: Moment
    identity: Identity
    change: str
    values: Values | None
    before: Values | None


@dataclass
class Model:
    """Keeps all beliefs of one table, and what was believed after each commit."""

    beliefs: dict[Identity, Belief] = field(default_factory=dict)
    past: list[tuple[Moment, Facts]] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)

    def live(self) -> Facts:
        return {fact: belief.values for fact, belief in self.beliefs.items() if belief.values is not None}

    def at(self, moment: Moment) -> Facts:
        return next((facts for known, facts in reversed(self.past) if known <= moment), {})

    def standing(self) -> set[Identity]:
        return {fact for fact, belief in self.beliefs.items() if belief.taken is not None}

    def put(self, facts: Facts, *, lifting: bool = False) -> list[tuple[Identity, Belief]]:
        changed = []
        for fact, values in facts.items():
            held = self.beliefs.get(fact, Belief(None))
            known = held.values if held.values is not None else (None if lifting else held.taken)
            if known is None or not alike(known, values):
                changed.append((fact, Belief(values)))
        return changed

    def take(self, facts: Iterable[Identity], *, standing: bool) -> list[tuple[Identity, Belief]]:
        live = self.live()
        return [(fact, Belief(None, live[fact] if standing else None)) for fact in facts if fact in live]

    def commit(self, moment: Moment, changed: list[tuple[Identity, Belief]]) -> None:
        for fact, belief in changed:
            before = self.beliefs.get(fact, Belief(None)).values
            word = "retract" if belief.values is None else "insert" if before is None else "correct"
            self.versions.append(Version(moment, fact, word, belief.values, before))
            self.beliefs[fact] = belief
        self.past.append((moment, self.live()))


def alike(left: Values, right: Values) -> bool:
    """Null equals null, NaN equals NaN."""
    return canonical(left) == canonical(right)


def canonical(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple("NaN" if isinstance(each, float) and math.isnan(each) else each for each in values)


def facts_table(shape: TableShape, facts: Facts) -> pa.Table:
    """Facts as the log takes them."""
    values = [name for name, _ in shape.columns if name not in shape.key]
    rows = []
    for fact, held in facts.items():
        row: dict[str, Any] = dict(zip(shape.identity, fact, strict=True)) | dict(zip(values, held, strict=True))
        rows.append(row)
    return rows_table(rows, fact_schema(shape))


def identities_table(shape: TableShape, facts: Iterable[Identity]) -> pa.Table:
    return rows_table([dict(zip(shape.identity, fact, strict=True)) for fact in facts], identity_schema(shape))


def rows_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    def stored(name: str, value: Any) -> Any:
        return value.micros if isinstance(value, Moment) else value

    arrays = [
        pa.array([stored(f.name, row[f.name]) for row in rows], pa.int64() if f.type == INSTANT else f.type).cast(
            f.type
        )
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with moments as `Moment`s, at any distance from the epoch."""
    instants = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    plain = table
    for name in instants:
        place = plain.column_names.index(name)
        plain = plain.set_column(place, name, plain[name].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()))
    rows: list[dict[str, Any]] = plain.to_pylist()
    return [{name: _moment(value) if name in instants else value for name, value in row.items()} for row in rows]


def facts_of(shape: TableShape, rows: Iterable[Mapping[str, Any]]) -> Facts:
    """Rows of a read as facts; a fact that comes twice is an error."""
    values = [name for name, _ in shape.columns if name not in shape.key]
    found: Facts = {}
    for row in rows:
        fact = tuple(row[name] for name in shape.identity)
        assert fact not in found, f"{fact} comes twice"
        found[fact] = canonical(row[name] for name in values)
    return found


def told(facts: Facts) -> Facts:
    return {fact: canonical(values) for fact, values in facts.items()}


def oracle(folder: Path, shape: TableShape, moment: Moment) -> Facts:
    """What the files say at `moment`, told by nothing but identity, processing time and `_op`."""
    paths = [str(path) for path in (folder / "tables" / shape.name).glob("_layer=*/*.parquet")]
    if not paths:
        return {}
    identity = ", ".join(f'"{name}"' for name in shape.identity)
    newest = f"row_number() OVER (PARTITION BY {identity} ORDER BY processing_time DESC, _row_id DESC) = 1"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        rows = connection.sql(
            f"SELECT * FROM (FROM read_parquet($1, hive_partitioning=false)"
            f" WHERE processing_time <= TIMESTAMPTZ '{moment}' QUALIFY {newest}) WHERE _op = 0",
            params=[paths],
        ).to_arrow_table()
    return facts_of(shape, rows_of(rows))


def in_force(shape: TableShape, facts: Facts, instant: Moment) -> Facts:
    """Per key, the values of the newest fact that holds at `instant`."""
    chosen: Facts = {}
    width = len(shape.key)
    for fact in sorted(facts, key=lambda each: each[width]):
        start, until = fact[width], fact[width + 1] if shape.windows else None
        if start <= instant and (until is None or instant < until):
            chosen = {other: held for other, held in chosen.items() if other[:width] != fact[:width]}
            chosen[fact] = facts[fact]
    return chosen


def _moment(value: int | None) -> Moment | None:
    return None if value is None else Moment(value)
