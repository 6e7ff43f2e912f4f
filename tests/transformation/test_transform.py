"""The product's own code, in SQL and in Python: what it sees, what it may return, and what its failures say."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pyarrow as pa
import pytest

from tests.transformation.products import ARRIVED, files, follows, instant, moments, output, product, table
from tulle.errors import CheckFailed
from tulle.product.manifest import ActualTime, Column, Limits, Output, Transform
from tulle.transformation.run import Result, Workshop
from tulle.utility_plane import landlock

ORDERS = {"id": "int32", "seen": "timestamp", "price": "double"}
DAY = "2013-02-12T08:00Z"
GIVEN = table(ORDERS, (1, DAY, 2.5), (2, DAY, 4.0))


def run(workshop: Workshop, folder: Path, code: str, *, kind: str = "python", types: dict[str, str] = ORDERS) -> Result:
    """Runs `code` as a product that follows `orders`; the Python function is `make`."""
    name = "make.sql" if kind == "sql" else "make.py"
    (folder / name).write_text(dedent(code))
    transform = Transform(sql=name) if kind == "sql" else Transform(python="make.py:make")
    manifest = product((follows("orders"),), output(types), transform=transform)
    return workshop.transform(manifest, {"orders": GIVEN}, at={"orders": moments(DAY)[0]})


def refused(
    workshop: Workshop, folder: Path, code: str, kind: str = "python", types: dict[str, str] = ORDERS
) -> CheckFailed:
    with pytest.raises(CheckFailed) as raised:
        run(workshop, folder, code, kind=kind, types=types)
    return raised.value


def rows(result: Result) -> list[dict[str, object]]:
    found: list[dict[str, object]] = result.outputs["rows@1"].rows.select(list(ORDERS)).to_pylist()
    return found


def test_sql_sees_inputs_as_tables(workshop: Workshop, tmp_path: Path) -> None:
    code = "-- doubles\nWITH t AS (SELECT * FROM Orders) SELECT id, seen, price * 2 AS price FROM t ORDER BY id;"
    result = run(workshop, tmp_path, code, kind="sql")
    assert [row["price"] for row in rows(result)] == [5.0, 8.0]


def test_sql_counts_days_where_people_are(workshop: Workshop, tmp_path: Path) -> None:
    types = {"id": "int32", "seen": "timestamp", "day": "date"}
    code = "SELECT id, seen, local_day(seen, 'Pacific/Kiritimati') AS day FROM orders WHERE id = 1"
    made = run(workshop, tmp_path, code, kind="sql", types=types).outputs["rows@1"].rows
    assert str(made["day"][0]) == "2013-02-12"
    assert str(made["seen"][0].as_py()) == "2013-02-12 08:00:00+00:00"


RETURNS = {
    "a table": "return orders",
    "a reader": "return orders.to_reader()",
    "a batch": "return orders.to_batches()[0]",
    "rows": "return orders.to_pylist()",
    "a relation": "import duckdb; return duckdb.sql('SELECT * FROM orders')",
    "pandas": "return orders.to_pandas()",
    "polars": "import polars; return polars.from_arrow(orders)",
    "a dict": "return {'rows': orders}",
}


@pytest.mark.parametrize("what", RETURNS)
def test_python_may_return(workshop: Workshop, tmp_path: Path, what: str) -> None:
    result = run(workshop, tmp_path, f"def make(orders):\n    {RETURNS[what]}\n")
    assert rows(result) == GIVEN.to_pylist()


@pytest.mark.parametrize(
    "signature",
    ["orders", "frame", "orders, moments", "orders, moments=None", "**inputs", "orders, limit=3", "*, orders"],
)
def test_python_takes_its_inputs_by_name_or_in_order(workshop: Workshop, tmp_path: Path, signature: str) -> None:
    name = {"frame": "frame", "**inputs": "inputs['orders']"}.get(signature, "orders")
    code = f"def make({signature}):\n    return {name}\n"
    assert rows(run(workshop, tmp_path, code)) == GIVEN.to_pylist()


def test_python_may_ask_for_the_moments(workshop: Workshop, tmp_path: Path) -> None:
    code = """
        import pyarrow as pa
        def make(orders, moments):
            assert moments["orders"].isoformat() == "2013-02-12T08:00:00+00:00"
            print("seen")
            return orders
    """
    assert run(workshop, tmp_path, code).log == "seen\n"


def test_python_may_import_what_lies_beside_it(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def same(t):\n    return t\n")
    assert rows(run(workshop, tmp_path, "from beside import same\n\ndef make(orders):\n    return same(orders)\n"))
    assert not (tmp_path / "__pycache__").exists()


def test_no_code_passes_rows_on_and_renames(workshop: Workshop) -> None:
    renamed = Output(
        "rows",
        "1.0.0",
        "events",
        ("id",),
        ActualTime("seen"),
        (Column("id", "int64"), Column("seen", "timestamp"), Column("paid", "double")),
    )
    made = workshop.transform(
        product((follows("orders"),), renamed), {"orders": GIVEN.rename_columns(["id", "seen", "paid"])}
    )
    assert made.outputs["rows@1"].rows.column_names == ["id", "seen", "paid", "actual_time"]


def test_several_outputs(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("def make(orders):\n    return {'rows': orders, 'cheap': orders.slice(0, 1)}\n")
    outputs = output(ORDERS), output({"id": "int32", "seen": "timestamp"}, name="cheap")
    manifest = product((follows("orders"),), *outputs, transform=Transform(python="make.py:make"))
    result = workshop.transform(manifest, {"orders": GIVEN})
    assert {name: made.rows.num_rows for name, made in result.outputs.items()} == {"rows@1": 2, "cheap@1": 1}
    (tmp_path / "make.py").write_text("def make(orders):\n    return {'rows': orders}\n")
    with pytest.raises(CheckFailed, match="returned nothing for cheap") as raised:
        workshop.transform(manifest, {"orders": GIVEN})
    assert raised.value.code == "E035"


def test_a_file_goes_through_code_in_one_job(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "make.sql").write_text("SELECT id, price / 100 AS price FROM drop_in")
    (tmp_path / "orders.csv").write_text("id,price\n1,250\n")
    port = files({"id": "int32", "price": "double"})
    manifest = product(
        (type(port)("drop_in", "drop", port.format), type(port)("other", "drop", port.format)),
        output({"id": "int32", "price": "double"}, time=ActualTime(arrival=True)),
        transform=Transform(sql="make.sql"),
    )
    made = workshop.ingest(manifest, "drop_in", tmp_path / "orders.csv", "orders.csv", ARRIVED).outputs["rows@1"].rows
    assert made.to_pylist() == [{"id": 1, "price": 2.5, "actual_time": ARRIVED.as_datetime()}]


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_undeclared_source_in_sql(workshop: Workshop, tmp_path: Path) -> None:
    error = refused(workshop, tmp_path, "SELECT *\nFROM order", "sql")
    assert error.code == "E034"  # a word of SQL itself
    error = refused(workshop, tmp_path, "SELECT o.* FROM orders o JOIN ordres USING (id)", "sql")
    assert (error.code, error.what) == ("E023", "make.sql reads ordres, which the manifest does not declare")
    assert "Did you mean orders?" in error.why
    assert error.where.startswith("make.sql")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "no SQL"),
        ("", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("CREATE TABLE x AS SELECT 1", "one SELECT"),
        ("COPY orders TO 'x.csv'", "one SELECT"),
        ("SELECT nothing FROM orders", "does not fit its inputs"),
        ("SELECT * FROM read_csv('/etc/passwd')", "reached for something"),
        ("SELECT * FROM read_text('make.sql')", "reached for something"),
        ("SELECT CAST('secret' AS INT) AS id, seen, price FROM orders", "ConversionException"),
    ],
)
def test_sql_that_fails(workshop: Workshop, tmp_path: Path, sql: str, said: str) -> None:
    error = refused(workshop, tmp_path, sql, "sql")
    assert error.code == "E034"
    assert said in error.what
    assert "secret" not in error.text()


def test_python_that_raises_says_where(workshop: Workshop, tmp_path: Path) -> None:
    error = refused(
        workshop, tmp_path, "def make(orders):\n    def inner():\n        return {}['x']\n    return inner()\n"
    )
    assert (error.code, error.where) == ("E034", "make.py:3")
    assert (error.what, error.why) == ("make.py:make failed: KeyError", "KeyError: 'x'")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(orders:\n", "SyntaxError"),
        ("import no_such_module\n", "ModuleNotFoundError"),
        ("def other(orders):\n    return orders\n", "has no function make"),
        ("def make(orders, customers):\n    return orders\n", "does not take the product's inputs"),
        ("def make():\n    return None\n", "does not take the product's inputs"),
        ("import sys\ndef make(orders):\n    sys.exit(0)\n", "SystemExit"),
        ("import os\ndef make(orders):\n    os._exit(0)\n", "ended without a result"),
        ("def make(orders):\n    return bytearray(8 << 30)\n", "more than its 512 MB"),
        ("def make(orders):\n    return make(orders)\n", "RecursionError"),
        ("def make(orders):\n    raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    ],
)
def test_python_that_fails(workshop: Workshop, tmp_path: Path, code: str, said: str) -> None:
    error = refused(workshop, tmp_path, code)
    assert error.code == "E034"
    assert said in error.what


@pytest.mark.parametrize(
    "line",
    [
        "open('/etc/passwd').read()",
        "open('{folder}/../stolen', 'w')",
        "open(__file__, 'a')",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('subprocess').run(['true'])",
        "__import__('duckdb').sql(\"SELECT * FROM '/etc/passwd'\").fetchall()",
        "open('/proc/%d/environ' % __import__('os').getppid()).read()",
    ],
)
def test_python_reaches_nothing_else(workshop: Workshop, tmp_path: Path, line: str) -> None:
    assert landlock.available() >= 4
    error = refused(workshop, tmp_path, f"def make(orders):\n    {line.format(folder=tmp_path)}\n    return orders\n")
    assert (error.code, error.where) == ("E034", "make.py:2")
    if "duckdb" not in line:
        assert "It can reach its declared inputs and nothing else" in error.why


def test_code_that_runs_too_long(nursery: object, workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("def make(orders):\n    while True: pass\n")
    transform, limits = Transform(python="make.py:make"), Limits(512, 1)
    manifest = product((follows("orders"),), output(ORDERS), transform=transform, limits=limits)
    with pytest.raises(CheckFailed, match="ran over its 1 s"):
        workshop.transform(manifest, {"orders": GIVEN})


def test_the_log_keeps_what_was_printed_even_when_it_fails(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "make.py").write_text("def make(orders):\n    print('halfway', flush=True)\n    raise ValueError\n")
    manifest = product((follows("orders"),), output(ORDERS), transform=Transform(python="make.py:make"))
    log = tmp_path / "runs" / "1.log"
    with pytest.raises(CheckFailed):
        workshop.transform(manifest, {"orders": GIVEN}, log=log)
    assert log.read_text().startswith("halfway\nTraceback")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT id, seen FROM orders", "lacks column price"),
        ("SELECT id, seen, 'x' AS price FROM orders", "column price is declared double, the result has string"),
        ("SELECT id + 0.5 AS id, seen, price FROM orders", "column id is int32, and some values do not fit"),
        ("SELECT 5000000000 AS id, seen, price FROM orders LIMIT 1", "column id is int32, and some values do not fit"),
        ("SELECT id, seen::TIMESTAMP AS seen, price FROM orders", "a timestamp without a time zone"),
        ("SELECT id, seen::DATE AS seen, price FROM orders", "column seen is declared timestamp, the result has date"),
        ("SELECT id, seen, id > 1 AS price FROM orders", "column price is declared double, the result has bool"),
    ],
)
def test_a_result_of_another_shape(workshop: Workshop, tmp_path: Path, sql: str, said: str) -> None:
    error = refused(workshop, tmp_path, sql, "sql")
    assert (error.code, error.where) == ("E035", "rows@1")
    assert said in error.what


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(id) AS id, max(seen) AS seen, sum(id) AS price FROM orders",
        "SELECT id::DOUBLE AS id, seen, price::DECIMAL(9, 2) AS price, 'more' AS other FROM orders",
        "SELECT id::UTINYINT AS id, seen, NULL AS price FROM orders",
        "SELECT id, timezone('UTC', seen::DATE::TIMESTAMP) AS seen, price FROM orders",
    ],
)
def test_numbers_may_change_their_width(workshop: Workshop, tmp_path: Path, sql: str) -> None:
    made = run(workshop, tmp_path, sql, kind="sql").outputs["rows@1"].rows
    assert made.schema.types[:3] == GIVEN.schema.types
    assert made.schema.field("actual_time").type == pa.timestamp("us", "UTC")


def test_actual_times(workshop: Workshop) -> None:
    types = {"id": "int32", "seen": "timestamp", "day": "date", "until": "timestamp"}
    given = {"orders": table(types, (1, DAY, instant(DAY).date(), "2014-01-01"))}
    times = {
        "2013-02-12T08:00Z": ActualTime(column="seen"),
        "2013-02-12": ActualTime(column="day"),
        "2010-01-01": ActualTime(constant=moments("2010-01-01")[0]),
        "2013-02-12T08:00:00Z": ActualTime(column="seen", until="until"),
    }
    for expected, time in times.items():
        made = workshop.transform(product((follows("orders"),), output(types, time=time)), given).outputs["rows@1"].rows
        assert made["actual_time"].to_pylist() == [instant(expected)]
        assert ("actual_until" in made.column_names) == bool(time.until)
        assert time.until is None or made["actual_until"].to_pylist() == [instant("2014-01-01")]
