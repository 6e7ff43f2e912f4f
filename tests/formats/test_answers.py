from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
import json

import pyarrow as pa
import pytest

from tulle.errors import Unavailable
from tulle.formats.answers import (
    accepted,
    answer_chunks,
    arrow_chunks,
    as_rows,
    csv_chunks,
    json_chunks,
    read_arrow,
    read_json,
    stamp_document,
    stamp_headers,
    stamp_of,
)
from tulle.product.reading import Stamp
from tulle.times import Moment, parse_moment

STAMP = Stamp(
    "weather/hourly:rows@1",
    parse_moment("2013-03-01T00:00:00.000005Z"),
    (("operations/flights", Moment(1), Moment(2)),),
    "2:ab",
    3,
    "1.0.0",
    ("a wörning\nwith lines",),
)
NOON = dt.datetime(2013, 2, 12, 12, tzinfo=dt.UTC)
ROWS = pa.table(
    {
        "origin": ['E"W,R', "", None],
        "n": pa.array([2**60, None, -1], pa.int64()),
        "x": [1.5, float("nan"), float("inf")],
        "yes": [True, None, False],
        "at": pa.array([NOON, NOON.replace(microsecond=5), None], pa.timestamp("us", "UTC")),
        "day": pa.array([dt.date(2013, 2, 12), None, None]),
        "hour": pa.array([dt.time(1, 2, 3), None, None], pa.time64("us")),
        "cost": pa.array([decimal.Decimal("1.500000000"), None, None], pa.decimal128(38, 9)),
        "raw": pa.array([b"\x00\xff", None, b""]),
        "before": pa.array([{"a": float("nan"), "b": NOON}, None, {"a": 1.0, "b": None}],
                           pa.struct([("a", pa.float64()), ("b", pa.timestamp("us", "UTC"))])),
    }
)  # fmt: skip


def test_a_stamp_comes_back_as_it_was():
    assert stamp_of(json.loads(json.dumps(stamp_document(STAMP)))) == STAMP


def test_headers_are_one_ascii_line_each():
    headers = stamp_headers(STAMP)
    assert headers["Tulle-Moment"] == "2013-03-01T00:00:00.000005Z"
    assert json.loads(headers["Tulle-Provenance"]) == {"operations/flights": [str(Moment(1)), str(Moment(2))]}
    assert all(text.isascii() and "\n" not in text for text in headers.values())


def test_arrow_keeps_every_type():
    data = b"".join(arrow_chunks(ROWS, STAMP))
    rows, stamp = read_arrow(io.BytesIO(data))
    assert stamp == STAMP
    assert rows.schema == ROWS.schema
    assert rows.schema.metadata is None
    assert rows.drop(["x", "before"]).equals(ROWS.drop(["x", "before"]))


def test_an_arrow_answer_that_breaks_off_is_an_error():
    data = b"".join(arrow_chunks(ROWS, STAMP))
    for end in (0, 5, len(data) // 2):
        with pytest.raises(Unavailable):
            read_arrow(io.BytesIO(data[:end]))
    fewer = b"".join(arrow_chunks(ROWS.slice(1), STAMP))
    with pytest.raises(Unavailable):
        read_arrow(io.BytesIO(fewer))


def test_json_has_no_nan_and_iso_instants():
    data = b"".join(json_chunks(ROWS, STAMP))
    rows, stamp = read_json(data)
    assert stamp == STAMP
    assert "NaN" not in data.decode()
    assert rows[0] == {
        "origin": 'E"W,R',
        "n": 2**60,
        "x": 1.5,
        "yes": True,
        "at": "2013-02-12T12:00:00Z",
        "day": "2013-02-12",
        "hour": "01:02:03.000000",
        "cost": "1.500000000",
        "raw": "AP8=",
        "before": {"a": None, "b": "2013-02-12T12:00:00Z"},
    }
    assert rows[1]["at"] == "2013-02-12T12:00:00.000005Z"
    assert rows[2]["x"] is None
    assert rows[2]["raw"] == ""


def test_json_of_no_rows_and_of_many():
    assert read_json(b"".join(json_chunks(ROWS.slice(0, 0), STAMP)))[0] == []
    many = pa.table({"n": list(range(20_000))})
    assert [row["n"] for row in read_json(b"".join(json_chunks(many, STAMP)))[0]] == list(range(20_000))


def test_csv_tells_null_from_empty():
    text = b"".join(csv_chunks(ROWS)).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert lines[0]["origin"] == 'E"W,R'
    assert lines[0]["at"] == "2013-02-12T12:00:00Z"
    assert lines[0]["yes"] == "true"
    assert lines[0]["raw"] == "AP8="
    assert json.loads(lines[0]["before"])["a"] is None
    assert text.splitlines()[2].startswith('"",,nan,')
    assert text.splitlines()[3].startswith(",-1,inf,")


def test_whole_numbers_of_any_size_are_numbers():
    large = pa.table({"n": pa.array([decimal.Decimal(2**100), None], pa.decimal128(38, 0))})
    assert as_rows(large) == [{"n": 2**100}, {"n": None}]
    assert b"".join(csv_chunks(large)) == f"n\n{2**100}\n\n".encode()


def test_csv_of_no_rows_is_its_header():
    assert b"".join(csv_chunks(ROWS.select(["origin", "n"]).slice(0, 0))) == b"origin,n\n"


def test_dictionaries_and_chunks_are_plain_in_json():
    column = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["a"]).dictionary_encode()])
    assert as_rows(pa.table({"c": column})) == [{"c": "a"}, {"c": "b"}, {"c": "a"}]
    assert b"".join(answer_chunks("csv", pa.table({"c": column}), STAMP)) == b"c\na\nb\na\n"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("text/html, text/csv;q=0.9", "csv"),
        ("application/vnd.apache.arrow.stream", "arrow"),
    ],
)
def test_what_is_accepted_decides_the_form(accept, form):
    assert accepted(accept) == form


@pytest.mark.parametrize("kind", ["int32", "double", "date32", "timestamp[us, tz=UTC]", "decimal128(38, 9)", "bool"])
def test_nothing_travels_under_a_null(kind):
    """The value slots of nulls are zero on the wire, whatever the engine left in them."""
    typed = {"timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"), "decimal128(38, 9)": pa.decimal128(38, 9)}
    data, some = pa.py_buffer(b"\x5a" * 64), pa.py_buffer(b"\xfd")
    sort = typed.get(kind) or pa.type_for_alias(kind)
    left = pa.Array.from_buffers(sort, 3, [some, data])
    clean = pa.Array.from_buffers(sort, 3, [some, pa.py_buffer(without(data, sort.bit_width))])
    assert left.null_count == 1
    plain = [pa.table({"x": column}) for column in (left, clean)]
    nested = [pa.table({"x": pa.StructArray.from_arrays([column], ["inner"])}) for column in (left, clean)]
    for one, other in (plain, nested):
        assert b"".join(arrow_chunks(one, STAMP)) == b"".join(arrow_chunks(other, STAMP))


def without(data: pa.Buffer, bits: int) -> bytes:
    """The buffer with the second of its values zero."""
    whole = int.from_bytes(data.to_pybytes(), "little")
    return (whole & ~(((1 << bits) - 1) << bits)).to_bytes(data.size, "little")
