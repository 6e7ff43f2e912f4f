"""A reader's statement in a child: what it can see, what it may use, and how little an error tells."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tulle.errors import CheckFailed, TulleError
from tulle.product.manifest import Limits
from tulle.transformation.run import Workshop

HIDDEN = "555-0199"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    folder.mkdir()
    people = pa.table({"id": [1, 2, 3], "name": ["Ann", "Ben", HIDDEN], "born": ["1970", "x", "1990"]})
    pq.write_table(people, folder / "people.parquet")
    pq.write_table(pa.table({"secret": [1]}), tmp_path / "other.parquet")
    return folder


def ask(workshop: Workshop, files: Path, sql: str, limits: Limits | None = None) -> pa.Table:
    view = f"SELECT id, left(name, 1) AS name, born FROM read_parquet('{files}/people.parquet') WHERE id < 3"
    return workshop.query(sql, {"rows": view}, [files], limits)


def refused(workshop: Workshop, files: Path, sql: str, limits: Limits | None = None) -> TulleError:
    with pytest.raises(TulleError) as raised:
        ask(workshop, files, sql, limits)
    return raised.value


def test_a_statement_sees_the_view_and_no_more(workshop: Workshop, files: Path) -> None:
    assert ask(workshop, files, "SELECT * FROM rows ORDER BY id").to_pylist() == [
        {"id": 1, "name": "A", "born": "1970"},
        {"id": 2, "name": "B", "born": "x"},
    ]
    assert ask(
        workshop, files, "SELECT count(*) AS n, local_day(now(), 'UTC') IS NULL AS never FROM rows"
    ).to_pylist() == [{"n": 2, "never": False}]


def test_no_rows_still_have_columns(workshop: Workshop, files: Path) -> None:
    found = ask(workshop, files, "SELECT id, name FROM rows WHERE id > 10")
    assert (found.num_rows, found.column_names) == (0, ["id", "name"])


def test_tables_can_be_asked_too(workshop: Workshop) -> None:
    standing = pa.table({"who": ["ann", "ben"], "n": [1, 2]})
    assert workshop.query_tables("SELECT sum(n) AS n FROM standing", {"standing": standing}).to_pylist() == [{"n": 3}]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '{folder}/../other.parquet'",
        "SELECT * FROM read_parquet('{folder}/../other.parquet')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "SET enable_external_access=true",
        "SET memory_limit='9GB'",
        "RESET lock_configuration",
    ],
)
def test_even_without_a_guard_nothing_else_is_reached(workshop: Workshop, files: Path, sql: str) -> None:
    """The guard at the door refuses all of these before; here it is the engine and the walls that do."""
    refused(workshop, files, sql.format(folder=files))
    assert sorted(file.name for file in files.iterdir()) == ["people.parquet"]


def test_an_unknown_column_is_named_with_its_neighbours(workshop: Workshop, files: Path) -> None:
    error = refused(workshop, files, "SELECT nme FROM rows")
    assert (error.code, error.what, error.why) == ("E201", "no column nme in rows", "Did you mean name?")


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT CAST(born AS INT) FROM rows", "E205"),
        ("SELECT CAST(CASE WHEN id = 2 THEN name || born END AS INT) FROM rows", "E205"),
        ("SELECT error('x' || name) FROM rows", "E205"),
        ("SELECT no_such_function(name) FROM rows", "E202"),
        ("SELECT * FROM other", "E202"),
        ("SELECT name, count(*) FROM rows", "E203"),
        ("SELEC", "E203"),
    ],
)
def test_errors_have_a_class_and_a_place_and_no_values(workshop: Workshop, files: Path, sql: str, code: str) -> None:
    error = refused(workshop, files, sql)
    assert error.code == code
    assert not any(value in error.text() for value in ("'x'", "1970", HIDDEN, "xB", "Bx"))


@pytest.mark.parametrize("leak", ["WHERE", "ORDER BY"])
def test_a_predicate_does_not_run_on_rows_that_the_view_hides(workshop: Workshop, files: Path, leak: str) -> None:
    """What fails on a hidden row's value would tell that it is there."""
    ask(workshop, files, f"SELECT id FROM rows {leak} CASE WHEN id = 3 THEN CAST(name AS INT) ELSE 1 END = 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(100000000) a, range(100000000) b",
        "SELECT len(repeat('x', 2000000000))",
        "SELECT list_sum(range(500000000))",
        "SELECT string_agg(repeat(name, 1000000), ',') FROM rows, range(1000)",
    ],
)
def test_bombs_end(workshop: Workshop, files: Path, sql: str) -> None:
    assert refused(workshop, files, sql, Limits(256, 2)).code == "E204"


def test_an_answer_has_a_largest_size(workshop: Workshop, files: Path) -> None:
    error = refused(workshop, files, "SELECT repeat('x', 1000) AS x FROM range(1000000)", Limits(128, 10))
    assert isinstance(error, CheckFailed)
    assert (error.code, error.what) == ("E204", "the answer is too large")
