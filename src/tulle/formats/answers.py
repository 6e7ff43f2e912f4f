"""Answers on the wire: rows and their stamp as an Arrow stream, as JSON or as CSV, and back.

In JSON and CSV instants are ISO 8601 in UTC with a Z, decimals are text (but for whole numbers), bytes are base64; JSON
has no NaN or infinity, so they become null there. Arrow keeps every type; the stamp travels in the schema's metadata.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from tulle.errors import TulleError, Unavailable
from tulle.product.reading import Stamp
from tulle.times import Moment, parse_moment

ARROW, JSON, CSV = "application/vnd.apache.arrow.stream", "application/json", "text/csv"
MEDIA = {"arrow": ARROW, "json": JSON, "csv": f"{CSV}; charset=utf-8"}
STAMP_KEY = b"tulle"
_CHUNK = 8_192


def stamp_document(stamp: Stamp) -> dict[str, Any]:
    """The stamp as it stands in JSON."""
    return {
        "port": stamp.port,
        "moment": str(stamp.moment),
        "provenance": {name: [str(oldest), str(newest)] for name, oldest, newest in stamp.provenance},
        "digest": stamp.digest,
        "rows": stamp.rows,
        "contract": stamp.contract,
        "warnings": list(stamp.warnings),
    }


def stamp_of(document: Mapping[str, Any]) -> Stamp:
    """The stamp that `stamp_document` wrote."""
    reached = document.get("provenance", {})
    return Stamp(
        document["port"],
        parse_moment(document["moment"]),
        tuple((name, parse_moment(oldest), parse_moment(newest)) for name, (oldest, newest) in reached.items()),
        document.get("digest", ""),
        int(document.get("rows", 0)),
        document.get("contract", ""),
        tuple(document.get("warnings", ())),
    )


def stamp_headers(stamp: Stamp) -> dict[str, str]:
    """The stamp as headers of an answer."""
    document = stamp_document(stamp)
    headers = {
        "Tulle-Moment": document["moment"],
        "Tulle-Digest": stamp.digest,
        "Tulle-Provenance": json.dumps(document["provenance"], separators=(",", ":")),
        "Tulle-Contract": stamp.contract,
        "Tulle-Rows": str(stamp.rows),
        "Tulle-Warning": " | ".join(_header_text(warning) for warning in stamp.warnings),
    }
    return {name: text for name, text in headers.items() if text}


def arrow_chunks(rows: pa.Table, stamp: Stamp) -> Iterator[bytes]:
    """The answer as an Arrow IPC stream, batch by batch."""
    sealed = {**(rows.schema.metadata or {}), STAMP_KEY: json.dumps(stamp_document(stamp)).encode()}
    schema = rows.schema.with_metadata(sealed)
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema) as writer:
        yield sink.taken()
        for batch in rows.to_batches(max_chunksize=65_536):
            columns = [_without_leftovers(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            yield sink.taken()
    yield sink.taken()


def json_chunks(rows: pa.Table, stamp: Stamp) -> Iterator[bytes]:
    """The answer as one JSON document: `{"stamp": ..., "rows": [...]}`."""
    yield b'{"stamp":' + json.dumps(stamp_document(stamp), ensure_ascii=False).encode() + b',"rows":['
    between = b""
    for start in range(0, rows.num_rows, _CHUNK):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in as_rows(rows.slice(start, _CHUNK)))
        yield between + lines.encode()
        between = b",\n"
    yield b"]}\n"


def csv_chunks(rows: pa.Table) -> Iterator[bytes]:
    """The rows as CSV (RFC 4180 but for lines that end with a newline). A null is empty, an empty text is `""`."""
    yield (",".join(_quoted(name) for name in rows.column_names) + "\n").encode()
    for start in range(0, rows.num_rows, _CHUNK):
        part = rows.slice(start, _CHUNK).combine_chunks()
        cells = [_cells(column) for column in part.columns]
        lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
        yield ("\n".join(lines.to_pylist()) + "\n").encode()


def as_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """The rows as JSON values."""
    columns = [_plain(column).to_pylist() for column in rows.columns]
    return [dict(zip(rows.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def answer_chunks(form: str, rows: pa.Table, stamp: Stamp) -> Iterator[bytes]:
    """The answer in one of the `MEDIA`: `arrow`, `json` or `csv`."""
    if form == "arrow":
        return arrow_chunks(rows, stamp)
    return json_chunks(rows, stamp) if form == "json" else csv_chunks(rows)


def accepted(accept: str) -> str:
    """Which of the `MEDIA` an Accept header asks for; JSON where it asks for none of them."""
    for part in accept.split(","):
        kind = part.split(";")[0].strip().lower()
        found = {ARROW: "arrow", CSV: "csv", JSON: "json"}.get(kind)
        if found:
            return found
    return "json"


def read_arrow(stream: IO[bytes]) -> tuple[pa.Table, Stamp]:
    """The rows and the stamp of an Arrow stream. Raises `Unavailable` E006 for one that breaks off."""
    try:
        with pa.ipc.open_stream(stream) as reader:
            rows = reader.read_all()
    except (pa.ArrowInvalid, OSError) as broken:
        raise broken_off(str(broken)) from None
    kept = dict(rows.schema.metadata or {})
    sealed = kept.pop(STAMP_KEY, None)
    if sealed is None:
        raise broken_off("the stream carries no stamp")
    stamp = stamp_of(json.loads(sealed))
    if stamp.rows != rows.num_rows:
        raise broken_off(f"{rows.num_rows} of {stamp.rows} rows came")
    return rows.replace_schema_metadata(kept or None), stamp


def read_json(data: bytes) -> tuple[list[dict[str, Any]], Stamp]:
    """The rows and the stamp of a JSON answer."""
    try:
        document = json.loads(data)
        return document["rows"], stamp_of(document["stamp"])
    except (ValueError, KeyError, TypeError) as broken:
        raise broken_off(str(broken)) from None


def broken_off(why: str) -> TulleError:
    """The error for an answer that did not come whole."""
    return Unavailable("E006", "the answer broke off", why=why, fix="ask again")


def _without_leftovers(column: pa.Array) -> pa.Array:
    """The column with nothing under its nulls. An engine leaves there what its memory held before: bytes of other rows,
    which are nobody's business, and others at every read.
    """
    kind = column.type
    if pa.types.is_struct(kind):
        parts = [_without_leftovers(part) for part in column.flatten()]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=column.is_null())
    if not column.null_count:
        return column
    if (not pa.types.is_primitive(kind) and not pa.types.is_decimal(kind)) or pa.types.is_interval(kind):
        return column  # lists and texts have no place for a null
    nothing = Decimal(0) if pa.types.is_decimal(kind) else False if pa.types.is_boolean(kind) else 0
    return pc.if_else(column.is_valid(), column.fill_null(pa.scalar(nothing, kind)), pa.scalar(None, kind))


class _Sink:
    """A file that Arrow writes to and from which the bytes are taken after every batch."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The column in types that JSON has."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        return _instants(column)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return _Nested(column)  # whole numbers of any size, as the engine's sums are
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if _simple(kind):
        return column
    return pa.array([_value(value) for value in column.to_pylist()]) if _binary(kind) else _Nested(column)


def _simple(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
    )


def _binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


class _Nested:
    """A column of lists, structs or large whole numbers, value by value: Arrow has no one call for these."""

    def __init__(self, column: pa.ChunkedArray | pa.Array) -> None:
        self._column = column

    def to_pylist(self) -> list[Any]:
        return [_value(value) for value in self._column.to_pylist()]


def _instants(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    utc = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.timestamp("us", "UTC"))
    text = pc.replace_substring(utc.cast(pa.string()), " ", "T")
    return pc.replace_substring(text, ".000000Z", "Z")


def _value(value: Any) -> Any:
    """One value inside a list or struct, as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): _value(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_value(part) for part in value]
    return _timely(value)


def _timely(value: Any) -> str:
    if hasattr(value, "tzinfo") and hasattr(value, "year") and value.tzinfo is not None:
        return str(Moment.of(value)).replace(".000000Z", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cells(column: pa.Array) -> pa.Array:
    """The column as text cells of CSV."""
    if pa.types.is_floating(column.type):
        return column.cast(pa.string())
    plain = _plain(column)
    if isinstance(plain, _Nested):
        plain = pa.array([None if v is None else json.dumps(v) for v in plain.to_pylist()], pa.string())
    if isinstance(plain, pa.ChunkedArray):
        plain = plain.combine_chunks()
    text = plain.cast(pa.string())
    needs = pc.or_(pc.match_substring_regex(text, '[",\r\n]'), pc.equal(text, ""))
    wrapped = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
    return pc.if_else(needs, wrapped, text)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"' if any(c in name for c in '",\r\n') or not name else name


def _header_text(text: str) -> str:
    """A text that may stand in a header: ASCII, on one line."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()
