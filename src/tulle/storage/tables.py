"""Writing the files of one table: rows get their system columns, are laid down as Parquet and made durable."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tulle.storage import columns, disk
from tulle.storage.constants import number, repeated, whole
from tulle.storage.shapes import FileFacts, TableShape
from tulle.times import Moment

ROW_GROUP = 131_072
LAYERS = ("new", "fix")
SHIFT = 32
"""A row id is the commit's seq, shifted by this, and the row's place in the commit."""


@dataclass(frozen=True)
class Resolved:
    """What a commit adds to one table, before it has a processing time.

    `new` has the fact columns; `fix` also `_op` and `_supersedes`. Counts tell what became of the puts and retractions.
    """

    new: pa.Table
    fix: pa.Table
    inserted: int = 0
    corrected: int = 0
    retracted: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Stamped:
    """Rows of one layer of a commit."""

    layer: Literal["new", "fix"]
    rows: pa.Table


def stamp(shape: TableShape, resolved: Resolved, seq: int, moment: Moment) -> tuple[Stamped, ...]:
    """Gives the rows of a commit their order, ids and processing time. Layers without rows are left out."""
    first = seq << SHIFT
    layers = (Stamped("new", resolved.new), Stamped("fix", resolved.fix))
    firsts = (first, first + resolved.new.num_rows)
    return tuple(
        Stamped(each.layer, _with_system(shape, _in_order(each.rows), start, moment))
        for each, start in zip(layers, firsts, strict=True)
        if each.rows.num_rows
    )


def write(folder: Path, stamped: Stamped, seq: int) -> FileFacts:
    """Writes one file of a table and syncs it; its name is durable once `sync` was called."""
    path = f"_layer={stamped.layer}/{seq:012d}-{secrets.token_hex(4)}.parquet"
    rows, target = stamped.rows, folder / path
    disk.make_folder(target.parent)
    content = _parquet(rows)
    disk.write_synced(target, memoryview(content))
    actual = pc.min_max(rows["actual_time"].cast(pa.int64())).as_py()
    touches: tuple[int, ...] = ()
    if stamped.layer == "fix":
        seqs = pc.unique(pc.shift_right(rows["_supersedes"], number(SHIFT)))
        touches = tuple(sorted(seqs.to_pylist()))
    span = (Moment(actual["min"]), Moment(actual["max"]))
    return FileFacts(path, stamped.layer, rows.num_rows, content.size, *span, touches)


def sync(folder: Path, files: tuple[FileFacts, ...]) -> None:
    """Makes the names of written files durable."""
    for parent in {(folder / facts.path).parent for facts in files}:
        disk.sync_folder(parent)


def clear_orphans(folder: Path, named: set[str]) -> int:
    """Removes the files that no entry names: what a crash left of a commit that never was. Returns their number."""
    gone = 0
    for layer in LAYERS:
        for path in (folder / f"_layer={layer}").glob("*"):
            if f"_layer={layer}/{path.name}" not in named:
                path.unlink()
                gone += 1
    return gone


def discard(folder: Path, files: list[FileFacts]) -> None:
    """Removes the files of a commit that failed, as far as the disk lets it; the next start clears what is left."""
    for facts in files:
        _quietly((folder / facts.path).unlink)


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except OSError:
        return


def _in_order(rows: pa.Table) -> pa.Table:
    """By actual time, so that row groups have narrow ranges; rows that are in order already are not touched."""
    actual = whole(rows["actual_time"]).cast(pa.int64())
    earlier = actual.slice(0, max(len(actual) - 1, 0))
    if pc.all(pc.less_equal(earlier, actual.slice(1))).as_py() is not False:
        return rows
    return rows.take(pc.sort_indices(rows, sort_keys=[("actual_time", "ascending")]))


def _with_system(shape: TableShape, rows: pa.Table, first: int, moment: Moment) -> pa.Table:
    count = rows.num_rows
    schema = columns.file_schema(shape)
    held = {name: rows[name] for name in rows.column_names}
    held["processing_time"] = repeated(moment.micros, columns.INSTANT, count)
    held["_row_id"] = pa.arange(first, first + count)
    held.setdefault("_op", repeated(columns.PUT, pa.int32(), count))
    held.setdefault("_supersedes", pa.nulls(count, pa.int64()))
    held["_superseded_at"] = pa.nulls(count, columns.INSTANT)
    return pa.table([held[name] for name in schema.names], schema=schema)


def _parquet(rows: pa.Table) -> pa.Buffer:
    """The file in memory: it is compressed there, and one plain write tells truly whether the disk took it."""
    sink = pa.BufferOutputStream()
    dictionary = [field.name for field in rows.schema if _repeats(field)]
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=dictionary,
        column_encoding={"_row_id": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )
    return sink.getvalue()


def _repeats(field: pa.Field) -> bool:
    """Whether values of a column are likely to come again. Numbers and ids seldom pay for a dictionary."""
    type_ = field.type
    wide = pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_int64(type_)
    return not wide
