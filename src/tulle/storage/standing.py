"""Standing retractions: which facts they keep away, and the values that they took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tulle.storage import columns
from tulle.storage.columns import quoted, same
from tulle.storage.constants import number
from tulle.storage.engine import Engine
from tulle.storage.index import Files, with_fixes
from tulle.storage.resolve import Past
from tulle.storage.scan import Source
from tulle.storage.shapes import Entry, Standing
from tulle.storage.tables import SHIFT


def standing_of(engine: Engine, past: Past, made: Mapping[int, Entry]) -> Iterator[Standing]:
    """The retractions of one table that stand, by the commit that made them."""
    source = _source(past, frozenset(made))
    if not source.files.rows:
        return
    names = ", ".join(quoted(name) for name in past.shape.identity)
    order = ", ".join(["seq", *(quoted(name) for name in past.shape.identity)])
    found = engine.table(f"SELECT {names}, _row_id >> {SHIFT} AS seq FROM {_stand(source)} ORDER BY {order}")
    for seq, entry in made.items():
        mine = found.filter(pc.equal(found["seq"], number(seq))).drop_columns(["seq"])
        if mine.num_rows:
            yield Standing(past.shape.name, entry.processing_time, entry.story.who, entry.story.reason, mine)


def values_taken(engine: Engine, past: Past, made: frozenset[int], identities: pa.Table) -> pa.Table:
    """The facts that standing retractions took away, of those identities that stand retracted."""
    schema = columns.fact_schema(past.shape)
    source = _source(past, made)
    if not source.files.rows:
        return columns.empty(schema)
    touched = {seq for each in source.files.rows for seq in each.facts.touches}
    prior = Source(past.shape, past.folder, Files(tuple(each for each in past.placed if each.seq in touched), ()))
    names = ", ".join(f"t.{quoted(name)}" for name in schema.names)
    query = (
        f"SELECT {names} FROM {prior.paths(prior.files.rows)} t JOIN {_stand(source)} r ON r._supersedes = t._row_id"
        f" WHERE EXISTS (SELECT 1 FROM wanted w WHERE {same(past.shape.identity, 'w', 't')})"
    )
    with engine.cursor() as cursor:
        cursor.register("wanted", identities)
        return cursor.sql(query).to_arrow_table()


def _source(past: Past, made: frozenset[int]) -> Source:
    rows = [each for each in past.placed if each.fixes and each.seq in made]
    return Source(past.shape, past.folder, with_fixes(rows, past.placed))


def _stand(source: Source) -> str:
    held = f" AND _row_id NOT IN {source.superseded()}" if source.files.fixes else ""
    return f"(SELECT * FROM {source.paths(source.files.rows)} WHERE _op = 1{held})"
