"""Declared types and Arrow's: strict about what a value is, easy about how it is laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
import pyarrow.compute as pc

INSTANT = pa.timestamp("us", "UTC")

ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "decimal": pa.decimal128(38, 9),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": INSTANT,
    "binary": pa.binary(),
}
"""The types of a manifest as Arrow has them."""

_INTEGERS = ("int8", "int16", "int32", "int64")
_NUMBERS = (*_INTEGERS, "float", "double", "decimal")


def no_rows(columns: Iterable[tuple[str, str]]) -> pa.Table:
    """A table of these columns (name, declared type) without a row."""
    return pa.schema([(name, ARROW[kind]) for name, kind in columns]).empty_table()


def fits(values: pa.ChunkedArray, declared: str) -> pa.ChunkedArray | None:
    """The values in the declared type; None if they are of another kind, or some do not fit without loss.

    Numbers may change their width but not their value, texts their layout. Nothing is parsed: a text is no number. A
    timestamp without a time zone is no instant.
    """
    wanted = ARROW[declared]
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if values.type == wanted:
        return values
    if not (pa.types.is_null(values.type) or _of_the_kind(values.type, declared)):
        return None
    # Rounding is not loss where the declared type is meant to be inexact, nor is what lies below the microsecond.
    safe = declared in _INTEGERS or declared == "decimal"
    try:
        return pc.cast(values, wanted, safe=safe)
    except pa.ArrowInvalid:
        return None


def said(kind: pa.DataType) -> str:
    """An Arrow type in the words of a manifest, as far as it has one."""
    for name, arrow in ARROW.items():
        if kind == arrow:
            return name
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return "a timestamp without a time zone"
    for name in ("string", "date", "time", "timestamp", "binary"):
        if _of_the_kind(kind, name):
            return name
    return "nothing but nulls" if pa.types.is_null(kind) else str(kind)


_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "string": lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t),
    "bool": pa.types.is_boolean,
    "date": pa.types.is_date,
    "time": pa.types.is_time,
    "timestamp": lambda t: pa.types.is_timestamp(t) and t.tz is not None,
    "binary": lambda t: pa.types.is_binary(t) or pa.types.is_large_binary(t) or pa.types.is_fixed_size_binary(t),
}


def _of_the_kind(kind: pa.DataType, declared: str) -> bool:
    if declared in _NUMBERS:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    return bool(_KINDS[declared](kind))
