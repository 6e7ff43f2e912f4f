"""Files in: what they may look like, and what is said of those that do not look as declared."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transformation.products import files, instant
from tulle.errors import CheckFailed
from tulle.transformation.columns import ARROW
from tulle.transformation.run import Workshop

TYPES = {"id": "int32", "name": "string", "price": "double"}


def parsed(workshop: Workshop, folder: Path, content: str | bytes, types: dict[str, str] = TYPES, **form: Any) -> Any:
    file = folder / "kept"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return workshop.parse(file, files(types, **form), "orders.csv")


def refused(
    workshop: Workshop, folder: Path, content: str | bytes, types: dict[str, str] = TYPES, **form: Any
) -> CheckFailed:
    with pytest.raises(CheckFailed) as raised:
        parsed(workshop, folder, content, types, **form)
    return raised.value


def test_every_type(workshop: Workshop, tmp_path: Path) -> None:
    cells = {
        "string": ("Zoë", "Zoë"),
        "bool": ("true", True),
        "int8": ("-7", -7),
        "int16": ("300", 300),
        "int32": ("70000", 70000),
        "int64": ("5000000000", 5_000_000_000),
        "float": ("0.5", 0.5),
        "double": ("1e3", 1000.0),
        "decimal": ("12.345", Decimal("12.345000000")),
        "date": ("2013-02-12", date(2013, 2, 12)),
        "time": ("08:30:00", time(8, 30)),
        "timestamp": ("2013-02-12T03:00:00-05:00", instant("2013-02-12T08:00Z")),
        "binary": ("ab", b"ab"),
    }
    types = {f"c_{kind}": kind for kind in cells}
    lines = [",".join(types), ",".join(text for text, _ in cells.values()), "," * (len(cells) - 1)]
    rows = parsed(workshop, tmp_path, "\n".join(lines), types).rows
    assert set(cells) == set(ARROW)
    assert [field.type for field in rows.schema] == [ARROW[kind] for kind in cells]
    assert rows.to_pylist() == [{f"c_{k}": v for k, (_, v) in cells.items()}, dict.fromkeys(types)]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ("id,name,price\n1,a,2.5\n", {}),
        ("id,name,price\r\n1,a,2.5\r\n", {}),
        ("id,name,price\n1,a,2.5", {}),
        ("\ufeffid,name,price\n1,a,2.5\n", {}),
        ("price,id,name\n2.5,1,a\n", {}),
        ("id;name;price\n1;a;2,5\n", {"delimiter": ";", "decimal": ","}),
        ('id,name,price\n"1","a","2.5"\n', {}),
        ("id,name,price\n1,a,2.5\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("id,name,price\n1,a,2.5\n".encode("latin-1"), {"encoding": "latin-1"}),
    ],
    ids=["plain", "windows", "no last newline", "mark", "order", "european", "quoted", "utf-16", "latin-1"],
)
def test_ways_to_write_the_same(workshop: Workshop, tmp_path: Path, content: str | bytes, form: dict[str, Any]) -> None:
    assert parsed(workshop, tmp_path, content, **form).rows.to_pylist() == [{"id": 1, "name": "a", "price": 2.5}]


def test_encodings_reach_the_text(workshop: Workshop, tmp_path: Path) -> None:
    for encoding in ("utf-8", "latin-1", "utf-16", "cp1252"):
        content = "id,name,price\n1,Käse,2\n".encode(encoding)
        assert parsed(workshop, tmp_path, content, encoding=encoding).rows["name"].to_pylist() == ["Käse"]


def test_nothing_and_the_empty_text(workshop: Workshop, tmp_path: Path) -> None:
    content = 'id,name,price\nNA,NA,NA\n1,"",\n2,"NA",3\n3,,4\n'
    rows = parsed(workshop, tmp_path, content, null="NA").rows
    assert rows["name"].to_pylist() == [None, "", "NA", None]
    assert rows["price"].to_pylist() == [None, None, 3.0, 4.0]


def test_newlines_in_quotes_and_lines_of_errors(workshop: Workshop, tmp_path: Path) -> None:
    content = 'id,name,price\n1,"two\nlines",1\n\n2,"a ""quote"", and more",2\nx,c,3\n'
    good = content.replace("\nx,", "\n3,")
    assert parsed(workshop, tmp_path, good).rows["name"].to_pylist() == ["two\nlines", 'a "quote", and more', "c"]
    error = refused(workshop, tmp_path, content)
    assert (error.code, error.where) == ("E031", "orders.csv:6")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,name", "missing: price"),
        ("id,name,price,colour", "unexpected: colour"),
        ("id,name,prize", "missing: price; unexpected: prize"),
        ("id,name,price,id", "twice: id"),
        ("id;name;price", "missing: id, name, price"),
    ],
)
def test_a_changed_header(workshop: Workshop, tmp_path: Path, header: str, said: str) -> None:
    error = refused(workshop, tmp_path, f"{header}\n")
    assert error.code == "E030"
    assert said in error.what
    assert "Declared: id, name, price" in error.why
    assert ("Did you mean price?" in error.why) == ("prize" in header)
    assert ("delimiter looks like ';'" in error.why) == (";" in header)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_no_header_at_all(workshop: Workshop, tmp_path: Path, content: str) -> None:
    assert refused(workshop, tmp_path, content).code == "E030"


def test_a_header_alone_is_no_rows(workshop: Workshop, tmp_path: Path) -> None:
    for end in ("", "\n"):
        rows = parsed(workshop, tmp_path, f"id,name,price{end}").rows
        assert (rows.num_rows, rows.column_names) == (0, list(TYPES))
    stamped = parsed(workshop, tmp_path, "at", {"at": "timestamp"}).rows
    assert stamped.schema.field("at").type == ARROW["timestamp"]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("int32", "secret"),
        ("int8", "300"),
        ("int32", "1.5"),
        ("double", "1,5"),
        ("bool", "maybe"),
        ("decimal", "1.0000000001"),
        ("date", "12.02.2013"),
        ("time", "25:00"),
        ("timestamp", "soon"),
        ("timestamp", "2013-02-30T00:00Z"),
    ],
)
def test_a_value_of_another_type(workshop: Workshop, tmp_path: Path, kind: str, cell: str) -> None:
    rows = "".join(f"{n},\n" for n in range(2000))
    error = refused(workshop, tmp_path, f'n,c\n{rows}0,"{cell}"\n{rows}', {"n": "int32", "c": kind})
    assert (error.code, error.where) == ("E031", "orders.csv:2002")
    assert f"column c holds something that is no {kind}" in error.what
    assert cell not in error.text().replace("12.02.2013", "") or kind == "double"


def test_the_first_fault_of_several_is_told(workshop: Workshop, tmp_path: Path) -> None:
    error = refused(workshop, tmp_path, "id,name,price\n1,a,1\n2,b,x\ny,c,1\n")
    assert (error.where, "column price" in error.what) == ("orders.csv:3", True)


def test_a_row_of_another_length(workshop: Workshop, tmp_path: Path) -> None:
    error = refused(workshop, tmp_path, "id,name,price\n1,a,1\n2,secret\n3,c,1\n")
    assert (error.code, error.where) == ("E031", "orders.csv:3")
    assert "secret" not in error.text()


def test_a_text_in_another_encoding(workshop: Workshop, tmp_path: Path) -> None:
    error = refused(workshop, tmp_path, "id,name,price\n1,Käse,1\n".encode("latin-1"))
    assert error.code == "E031"
    assert "not written in utf-8" in error.what


@pytest.mark.parametrize(
    ("cell", "form", "expected"),
    [
        ("2013-02-12T08:00:00Z", {}, "2013-02-12T08:00Z"),
        ("2013-02-12 03:00-05", {}, "2013-02-12T08:00Z"),
        ("2013-02-12 08:00:00.123456", {}, "2013-02-12T08:00:00.123456Z"),
        ("2013-02-12", {}, "2013-02-12T00:00Z"),
        ("2013-02-12 03:00", {"timezone": "America/New_York"}, "2013-02-12T08:00Z"),
        ("2013-07-12 04:00", {"timezone": "America/New_York"}, "2013-07-12T08:00Z"),
        ("2013-07-12T08:00Z", {"timezone": "America/New_York"}, "2013-07-12T08:00Z"),
        ("12.02.2013 09:00", {"timestamp_format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"}, "2013-02-12T08:00Z"),
        ("12.02.2013 09:00 +0100", {"timestamp_format": "%d.%m.%Y %H:%M %z"}, "2013-02-12T08:00Z"),
    ],
)
def test_instants(workshop: Workshop, tmp_path: Path, cell: str, form: dict[str, Any], expected: str) -> None:
    found = parsed(workshop, tmp_path, f"at\n{cell}\n", {"at": "timestamp"}, **form)
    assert found.rows["at"].to_pylist() == [instant(expected)]
    assert found.warnings == ()


def test_local_times_that_stand_twice_or_never(workshop: Workshop, tmp_path: Path) -> None:
    cells = ["2013-11-03 00:30", "2013-11-03 01:30", "2013-11-03 01:30", "2013-11-03 02:30", "2013-03-10 02:30"]
    content = "\n".join(["at", *cells])
    found = parsed(workshop, tmp_path, content, {"at": "timestamp"}, timezone="America/New_York")
    hours = ["2013-11-03T04:30Z", "2013-11-03T05:30Z", "2013-11-03T05:30Z", "2013-11-03T07:30Z", "2013-03-10T07:30Z"]
    assert found.rows["at"].to_pylist() == [instant(hour) for hour in hours]
    (warning,) = found.warnings
    assert "at: 2 local times stand twice in America/New_York; the first was taken; 1 local times never were" in warning


def test_half_an_hour_of_summer(workshop: Workshop, tmp_path: Path) -> None:
    """Lord Howe Island's summer is half an hour long, so to speak."""
    found = parsed(workshop, tmp_path, "at\n2013-04-07 01:45\n", {"at": "timestamp"}, timezone="Australia/Lord_Howe")
    assert found.rows["at"].to_pylist() == [instant("2013-04-06T14:45Z")]
    assert "1 local times stand twice" in found.warnings[0]


def test_dates_in_another_form(workshop: Workshop, tmp_path: Path) -> None:
    found = parsed(workshop, tmp_path, "d\n12.02.2013\n", {"d": "date"}, date_format="%d.%m.%Y")
    assert found.rows["d"].to_pylist() == [date(2013, 2, 12)]
    assert refused(workshop, tmp_path, "d\n2013-02-12\n", {"d": "date"}, date_format="%d.%m.%Y").where == "orders.csv:2"


def parquet(folder: Path, table: pa.Table) -> bytes:
    pq.write_table(table, folder / "written.parquet")
    return (folder / "written.parquet").read_bytes()


def test_parquet(workshop: Workshop, tmp_path: Path) -> None:
    given = pa.table(
        {"price": pa.array([1, None], pa.int16()), "id": [1, 2], "name": pa.array(["a", "b"]).dictionary_encode()}
    )
    found = parsed(workshop, tmp_path, parquet(tmp_path, given), kind="parquet")
    assert found.rows.to_pylist() == [{"id": 1, "name": "a", "price": 1.0}, {"id": 2, "name": "b", "price": None}]
    assert [field.type for field in found.rows.schema] == [ARROW[kind] for kind in TYPES.values()]


def test_parquet_with_local_times(workshop: Workshop, tmp_path: Path) -> None:
    naive = pa.array([instant("2013-02-12T03:00Z").replace(tzinfo=None)], pa.timestamp("ns"))
    content = parquet(tmp_path, pa.table({"at": naive}))
    found = parsed(workshop, tmp_path, content, {"at": "timestamp"}, kind="parquet", timezone="America/New_York")
    assert found.rows["at"].to_pylist() == [instant("2013-02-12T08:00Z")]


def test_parquet_of_other_columns_or_types_or_none(workshop: Workshop, tmp_path: Path) -> None:
    wrong = pa.table({"id": ["x"], "name": ["a"], "price": [1.0]})
    assert refused(workshop, tmp_path, parquet(tmp_path, wrong), kind="parquet").code == "E031"
    assert refused(workshop, tmp_path, parquet(tmp_path, wrong.drop_columns("id")), kind="parquet").code == "E030"
    assert refused(workshop, tmp_path, b"PAR1 not really", kind="parquet").code == "E031"
