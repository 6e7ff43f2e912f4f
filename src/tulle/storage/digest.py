"""An order-free digest of rows: the same rows give the same text whatever wrote them, in whatever order.

Each row becomes a canonical text (a null is `~`, whole numbers and moments are decimal, floats are their bits, text is
led by its length in bytes), each text its SHA-256; the first two 64-bit words of these are summed, modulo 2^64, and
the sums and the number of rows are written `<sum><sum>:<rows>` in hex and decimal. No query engine has a part in it.
"""

from __future__ import annotations

from hashlib import sha256

import pyarrow as pa
import pyarrow.compute as pc

from tulle.storage.constants import double, raw, whole

_CHUNK = 65_536
_WORD = 2**64


class Digest:
    """Sums rows up, batch by batch."""

    def __init__(self) -> None:
        self._first = self._second = self._rows = 0

    def add(self, rows: pa.Table | pa.RecordBatch) -> Digest:
        """Adds rows."""
        table = pa.table(rows) if isinstance(rows, pa.RecordBatch) else rows
        for start in range(0, table.num_rows, _CHUNK):
            self._add(_texts(table.slice(start, _CHUNK)))
        return self

    def __str__(self) -> str:
        return f"{self._first:016x}{self._second:016x}:{self._rows}"

    def _add(self, texts: list[bytes]) -> None:
        words = memoryview(b"".join([sha256(each).digest()[:16] for each in texts])).cast("Q")
        self._first = (self._first + sum(words[0::2])) % _WORD
        self._second = (self._second + sum(words[1::2])) % _WORD
        self._rows += len(texts)


def digest(rows: pa.Table) -> str:
    """The digest of a table's rows, its columns in the order they stand in."""
    return str(Digest().add(rows))


def distinct(rows: pa.Table) -> int:
    """How many different rows a table has, told by their canonical texts: null equals null, NaN equals NaN."""
    if not rows.num_rows or not rows.num_columns:
        return 1 if rows.num_rows else 0
    return int(pc.count_distinct(_joined(rows), mode="all").as_py())


def _texts(table: pa.Table) -> list[bytes]:
    if not table.num_columns:
        return [b""] * table.num_rows
    found: list[bytes] = _joined(table).to_pylist()
    return found


def _joined(table: pa.Table) -> pa.Array:
    columns = [_canonical(whole(column)) for column in table.columns]
    return pc.binary_join_element_wise(*columns, raw(b";"), null_handling="replace", null_replacement="~")


def _canonical(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if _is_text(column.type):
        return _sized(column)
    if pa.types.is_nested(column.type):
        return _sized(pa.array([None if each is None else repr(each) for each in column.to_pylist()], pa.string()))
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return _number(column).cast(pa.string()).cast(pa.binary())


def _is_text(type_: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(type_) for is_kind in kinds) or str(type_).endswith("_view")


def _sized(column: pa.Array) -> pa.Array:
    held = column.cast(pa.string()).cast(pa.binary()) if "string" in str(column.type) else column.cast(pa.binary())
    size = pc.binary_length(held).cast(pa.string()).cast(pa.binary())
    return pc.binary_join_element_wise(size, held, raw(b":"), null_handling="emit_null")


def _number(column: pa.Array) -> pa.Array:
    """Whole numbers that stand for the values: microseconds, days, or the bits of a float."""
    type_ = column.type
    if pa.types.is_timestamp(type_):
        return column.cast(pa.timestamp("us", tz=type_.tz)).cast(pa.int64())
    if pa.types.is_date32(type_):
        return column.cast(pa.int32())
    if pa.types.is_time(type_):
        return column.cast(pa.time64("us")).cast(pa.int64())
    if pa.types.is_floating(type_):
        return _bits(column.cast(pa.float64()))
    return column


def _bits(column: pa.Array) -> pa.Array:
    """The bits of doubles; every NaN is one NaN, and there is one zero."""
    zero = double(0.0)
    single = pc.if_else(pc.is_nan(column), double(float("nan")), column)
    single = pc.if_else(pc.equal(single, zero), zero, single)
    return single.view(pa.int64())
