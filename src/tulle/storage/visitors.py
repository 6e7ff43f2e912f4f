"""What lies beside a table's files for people who come without Tulle: a short README and views in SQL."""

from __future__ import annotations

from tulle.storage import columns
from tulle.storage.shapes import TableShape

_README = """# {name}

A Delta Lake table (append-only, no deletion vectors) that keeps **every version** of every fact: `SELECT *` shows what
is believed now together with what was believed before. `views.sql` has the three views you will want: `latest`,
`as_of(p)` and `history`. Run it in DuckDB from this folder, or carry it to your engine.

A fact is identified by {identity}.

| column | meaning |
| --- | --- |
| `actual_time`{until} | when the fact held in the world (UTC) |
| `processing_time` | when it was published (UTC); one value per commit |
| `_op` | 0: these are the values; 1: the fact was retracted (only key and actual time are filled) |
| `_row_id` | the number of this row, unique in the table |
| `_supersedes` | the `_row_id` of the row that this row replaces, or null |
| `_superseded_at` | filled only by compaction |
| `_layer` | partition: `new` are first versions, `fix` replace an earlier row |

The latest rows are those with `_op = 0` whose `_row_id` no row supersedes. As of P: the same among the rows with
`processing_time <= P`. Files that `_delta_log` does not name are not part of the table.
"""


def readme(shape: TableShape) -> str:
    """The README of a table's folder."""
    identity = ", ".join(f"`{name}`" for name in shape.identity)
    until = ", `actual_until`" if shape.windows else ""
    return _README.format(name=shape.name, identity=identity, until=until)


def views(shape: TableShape) -> str:
    """The views `latest`, `as_of(p)` and `history` over the files of a table, for DuckDB run in its folder."""
    shown = [columns.presented(shape, name) for name, _ in shape.columns]
    shown += [columns.quoted(name) for name in (*columns.times(shape), "processing_time")]
    select = f"SELECT {', '.join(shown)}"
    source = "read_parquet('_layer=*/*.parquet', hive_partitioning = true)"
    order = ", ".join(columns.quoted(name) for name in (*shape.key, *columns.times(shape), "processing_time"))
    now = f"_row_id NOT IN (SELECT _supersedes FROM {source} WHERE _supersedes IS NOT NULL)"
    then = f"_row_id NOT IN (SELECT _supersedes FROM {source} WHERE _supersedes IS NOT NULL AND processing_time <= p)"
    return (
        "-- For DuckDB, run in this folder: SET TimeZone = 'UTC'; .read views.sql\n"
        f"CREATE OR REPLACE VIEW latest AS\n{select}\nFROM {source}\nWHERE _op = 0 AND {now};\n\n"
        f"CREATE OR REPLACE MACRO as_of(p) AS TABLE\n{select}\nFROM {source}\n"
        f"WHERE _op = 0 AND processing_time <= p\n AND (_superseded_at IS NULL OR _superseded_at > p)\n AND {then};\n\n"
        f"CREATE OR REPLACE VIEW history AS\n{select}, _op, _row_id, _supersedes\nFROM {source}\nORDER BY {order};\n"
    )
