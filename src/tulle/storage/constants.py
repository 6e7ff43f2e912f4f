"""Arrow scalars made without `pa.scalar` or `pa.array`, which load pandas where it is installed.

A container that only stores and serves needs no pandas: loading it would cost a second at its first commit, and memory
for as long as it lives.
"""

from __future__ import annotations

import struct

import pyarrow as pa


def number(value: int) -> pa.Scalar:
    """A 64-bit whole number."""
    return pa.arange(value, value + 1)[0]


def double(value: float) -> pa.Scalar:
    """A double."""
    return pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(struct.pack("=d", value))])[0]


def raw(value: bytes) -> pa.Scalar:
    """Bytes."""
    offsets = pa.py_buffer(struct.pack("=ii", 0, len(value)))
    return pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(value)])[0]


def repeated(value: int, type_: pa.DataType, count: int) -> pa.Array:
    """The same whole number, or the value that it stands for in `type_`, over and over."""
    return pa.repeat(number(value), count).cast(type_)


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)
