"""Instants from what files say: texts with or without a zone, and local times of a declared one.

A local time that stands twice (summer time ends) is taken as its first occurrence; one that never was (summer time
begins) is moved on by the hour that was left out. Both are counted, and told as warnings.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tulle.transformation.columns import INSTANT
from tulle.transformation.engine import Connection, literal, rows, tables

_ZONED = r"\d{2}:\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_TICK = pa.timestamp("us")


@dataclass(frozen=True)
class Instants:
    """One instant per value, null where it cannot be read; `twice` and `never` mark the local times of their kind."""

    values: pa.Array
    twice: pa.Array
    never: pa.Array


def from_texts(connection: Connection, texts: pa.Array, pattern: str, zone: str) -> Instants:
    """The instants that texts name: ISO 8601, or `pattern` of strptime. Without a zone they are local to `zone`."""
    if pattern:
        with tables(connection, {"_texts": pa.table({"v": texts})}):
            parsed = rows(connection, f"SELECT try_strptime(v, {literal(pattern)}) AS v FROM _texts")
        values = parsed["v"].combine_chunks()
        return _certain(values) if values.type.tz is not None else from_local(connection, values, zone)
    zoned = pc.match_substring_regex(texts, _ZONED)
    local = from_local(connection, _read(pc.if_else(zoned, None, texts), _TICK), zone)
    fixed = _read(pc.if_else(zoned, texts, None), INSTANT)
    return Instants(pc.coalesce(fixed, local.values), local.twice, local.never)


def from_local(connection: Connection, local: pa.Array, zone: str) -> Instants:
    """The instants of wall-clock times in `zone`."""
    local = pc.cast(local, _TICK, safe=False)
    if zone.upper() in ("UTC", "ETC/UTC", "Z"):
        return _certain(pc.assume_timezone(local, "UTC"))
    z = literal(zone)
    earlier = [f"i - INTERVAL {minutes} MINUTE" for minutes in (120, 60, 30)]
    later = [f"i + INTERVAL {minutes} MINUTE" for minutes in (30, 60, 120)]
    first = " ".join(f"WHEN timezone({z}, {instant}) = v THEN {instant}" for instant in earlier)
    second = " OR ".join(f"timezone({z}, {instant}) = v" for instant in (*earlier, *later))
    query = (
        f"SELECT CASE {first} ELSE i END AS i, coalesce({second}, false) AS twice,"
        f" coalesce(timezone({z}, i) <> v, false) AS never FROM (SELECT v, timezone({z}, v) AS i FROM _local)"
    )
    with tables(connection, {"_local": pa.table({"v": local})}):
        found = rows(connection, query)
    return Instants(*(found[name].combine_chunks() for name in ("i", "twice", "never")))


def _certain(values: pa.Array) -> Instants:
    no = pa.repeat(pa.scalar(False), len(values))
    return Instants(pc.cast(values, INSTANT, safe=False), no, no)


def _read(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as timestamps, null where one cannot be read. The whole at once when all can, which is nearly always."""
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        half = len(texts) // 2
        if half == 0:
            return pa.nulls(len(texts), kind)
        return pa.concat_arrays([_read(texts.slice(0, half), kind), _read(texts.slice(half), kind)])
