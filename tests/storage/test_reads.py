"""Columns, conditions, order, SQL text, streams, digests, and what outsiders read."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.storage.model import facts_table, identities_table, rows_of
from tests.storage.rows import HOUR, RUN, SHAPE, hours, open_log, retraction, winds, write
from tulle.errors import CheckFailed, InvalidManifest, NotThere, UsageError
from tulle.storage.columns import fact_schema
from tulle.storage.digest import digest
from tulle.storage.log import Log
from tulle.storage.shapes import EVERYTHING, Story, TableShape, Write
from tulle.times import Moment, Period

ALL = TableShape(
    "all@1",
    (
        ('o"dd', "VARCHAR"),
        ("yes", "BOOLEAN"),
        ("tiny", "TINYINT"),
        ("small", "SMALLINT"),
        ("n", "INTEGER"),
        ("big", "BIGINT"),
        ("single", "FLOAT"),
        ("share", "DOUBLE"),
        ("money", "DECIMAL(38,9)"),
        ("day", "DATE"),
        ("clock", "TIME"),
        ("seen", "TIMESTAMPTZ"),
        ("raw", "BLOB"),
    ),
    ('o"dd',),
)
NOON = datetime(2013, 2, 12, 12, tzinfo=UTC)
FULL: tuple[Any, ...] = (
    *(True, 1, 2, 3, 2**40, 0.1, 0.1, Decimal("1.5"), date(2013, 2, 12), time(8, 30), NOON),
    b"\x00'",
)


def _all_types(log: Log) -> None:
    schema = fact_schema(ALL)
    declared = pa.schema([("clock", pa.time64("us"))])
    fields = [declared.field("clock") if field.name == "clock" else field for field in schema]
    rows = [("it's", *FULL, NOON), ("none", *[None] * 12, NOON)]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), fields, strict=True)],
        names=schema.names,
    )
    log.commit({"all@1": Write(table)}, RUN)


@pytest.mark.parametrize(
    ("column", "operator", "value"),
    [
        ('o"dd', "=", "it's"),
        ('o"dd', "in", ("it's", "'; DROP TABLE x; --")),
        ("yes", "=", "true"),
        ("yes", "=", True),
        ("tiny", "<", 1000),
        ("small", ">=", "2"),
        ("n", "!=", 4),
        ("n", "<", 3.5),
        ("big", "=", 2**40),
        ("single", "=", 0.1),
        ("share", "=", "0.1"),
        ("money", "=", "1.5"),
        ("day", "=", "2013-02-12"),
        ("day", "<=", date(2013, 2, 12)),
        ("clock", ">", "08:00"),
        ("clock", "=", time(8, 30)),
        ("seen", "=", "2013-02-12T12:00Z"),
        ("seen", ">", "2013-02-12"),
        ("raw", "=", b"\x00'"),
        ("n", "is not null", None),
        ("n", "in", (3, 5)),
        ("actual_time", "=", "2013-02-12T13:00+01:00"),
    ],
)
def test_conditions_on_every_type(tmp_path: Path, column: str, operator: str, value: Any) -> None:
    with Log.open(tmp_path, [ALL]) as log:
        _all_types(log)
        moment = log.published()
        found = log.read("all@1", moment, where=[(column, operator, value), ('o"dd', "=", "it's")])
        assert found.num_rows == 1
        assert found["clock"].to_pylist() == [time(8, 30)]
        none = log.read("all@1", moment, where=[(column, operator, value), ('o"dd', "=", "nobody")])
        assert none.schema == found.schema
        assert none.num_rows == 0
        before = log.read("all@1", Moment(0), where=[(column, operator, value)])
        assert before.schema == found.schema


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("n", "1 OR 1=1"), ("day", "2013"), ("share", "x"), ("yes", "maybe"), ("clock", "noon")),
        *(("seen", "soon"), ("seen", "2013-02-12T12:00"), ("money", "NaN"), ("day", "2013-02-12' OR ''='")),
    ],
)
def test_a_value_that_cannot_be_compared_is_refused(tmp_path: Path, column: str, value: str) -> None:
    with Log.open(tmp_path, [ALL]) as log, pytest.raises(UsageError):
        log.select("all@1", Moment(0), where=[(column, "=", value)])


def test_words_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        for wrong in ({"columns": ["wnd"]}, {"order": ["-_row_id"]}, {"where": [("wnd", "=", 1)]}):
            with pytest.raises(NotThere) as refused:
                log.select("rows@1", Moment(0), **wrong)
            assert refused.value.code == "E201"
        with pytest.raises(UsageError):
            log.select("rows@1", Moment(0), where=[("wind", "like", 1)])
        with pytest.raises(NotThere):
            log.read("rows@2", Moment(0))


def test_an_answer_has_the_declared_types_nothing_else_and_nulls(tmp_path: Path) -> None:
    with Log.open(tmp_path, [ALL]) as log:
        _all_types(log)
        found = log.read("all@1", log.published(), order=['o"dd'])
        assert found.column_names == [*(name for name, _ in ALL.columns), "actual_time", "processing_time"]
        assert found.to_pylist()[0]["money"] == Decimal("1.5")
        assert [row["clock"] for row in found.to_pylist()] == [time(8, 30), None]
        assert found.schema.field("seen").type == pa.timestamp("us", tz="UTC")
        assert log.commit({"all@1": Write(found)}, RUN).tables["all@1"].unchanged == 2
        changed = log.changes("all@1", Moment(0), log.published())
        assert changed.schema.field("before").type.field("clock").type == pa.time64("us")


def test_columns_order_and_limit(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.commit({"rows@1": Write(pa.concat_tables([hours(0, 3), hours(3, 5, wind=None)]))}, RUN)
        found = log.read("rows@1", log.published(), columns=["wind"], order=["-wind", "-actual_time"], limit=4)
        assert found.column_names == ["wind"]
        assert found["wind"].to_pylist() == [10.0] * 3 + [None]


def test_the_text_of_a_read_runs_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "it's [here]"
    with open_log(folder) as log:
        log.commit(write(0, 10), RUN)
        log.commit(write(3, 4, wind=1.0), RUN)
        text = log.select("rows@1", log.published(), Period(Moment(HOUR), Moment(5 * HOUR)), where=[("wind", ">", 5)])
    with duckdb.connect() as other:
        assert other.sql(f"SELECT count(*), sum(wind) FROM ({text})").fetchall() == [(3, 30.0)]


def test_files_that_cannot_matter_are_not_read(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        moments = [log.commit(write(10 * n, 10 * n + 10), RUN).processing_time for n in range(4)]
        log.commit(write(35, 36, wind=1.0), RUN)

        def files(moment: Moment, period: Period) -> int:
            return log.select("rows@1", moment, period).count(".parquet")

        assert files(moments[1], Period()) == 2
        assert files(log.published(), Period(Moment(10 * HOUR), Moment(20 * HOUR))) == 1
        assert "NOT IN" not in log.select("rows@1", moments[3])
        assert "NOT IN" not in log.select("rows@1", log.published(), Period(None, Moment(30 * HOUR)))
        assert "NOT IN" in log.select("rows@1", log.published())


def test_a_stream_gives_the_rows_of_a_read(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.commit(write(0, 100_000), RUN)
        with log.stream("rows@1", log.published()) as stream:
            sizes = [batch.num_rows for batch in stream]
        assert sum(sizes) == 100_000
        assert len(sizes) > 1
        assert log.changes_stream("rows@1", Moment(0), log.published()).read_all().num_rows == 100_000


def test_bad_rows_are_refused(tmp_path: Path) -> None:
    twice = pa.concat_tables([hours(0, 3), hours(2, 3)])
    untimed = hours(0, 1).set_column(2, "actual_time", pa.nulls(1, pa.timestamp("us", tz="UTC")))
    with open_log(tmp_path) as log:
        for bad, code in (
            (Write(twice), "E032"),
            (Write(untimed), "E035"),
            (Write(hours(0, 1).drop_columns(["wind"])), "E035"),
            (Write(hours(0, 1).set_column(1, "wind", pa.array(["much"]))), "E035"),
            (Write(hours(0, 1), scope=(pa.table({"wnd": [1.0]}),)), "E035"),
        ):
            with pytest.raises(CheckFailed) as refused:
                log.commit({"rows@1": bad}, RUN)
            assert refused.value.code == code
            assert "much" not in str(refused.value)
        assert log.head() is None


def test_a_published_table_keeps_its_columns_and_key(tmp_path: Path) -> None:
    Log.open(tmp_path, [SHAPE]).close()
    for other in (
        TableShape("rows@1", (*SHAPE.columns, ("gust", "DOUBLE")), SHAPE.key),
        TableShape("rows@1", SHAPE.columns, ("place", "wind")),
    ):
        with pytest.raises(InvalidManifest, match="rows@1"):
            Log.open(tmp_path, [other])
    for wrong in (("_op", "BIGINT"), ("list", "INTEGER[]")):
        with pytest.raises(InvalidManifest):
            Log.open(tmp_path / "other", [TableShape("rows@1", (wrong,), (wrong[0],))])


def test_the_story_is_kept_and_folded(tmp_path: Path) -> None:
    one, two = {"name": "a.csv", "sha256": "1"}, {"name": "b.csv", "sha256": "2"}
    story = Story(
        "run",
        run="r1",
        cursors={"drop": one, "weather": "2021"},
        provenance={"weather/hourly": (Moment(1), Moment(2))},
        parked=({"id": "p1", "why": "E031"}, {"id": "p2"}),
        notes={"rows": 1},
    )
    with open_log(tmp_path) as log:
        first = log.commit({}, story)
        log.commit({}, Story("run", cursors={"drop": two, "weather": "2022"}, unparked=("p1",)))
    with open_log(tmp_path) as log:
        assert next(log.entries()) == first
        assert first.story == story
        assert log.consumed("drop") == (one, two)
        assert log.consumed("weather") == ()
        assert log.cursors() == {"drop": two, "weather": "2022"}
        assert log.parked() == ({"id": "p2"},)
        assert [entry.seq for entry in log.entries(1)] == [2]
        assert log.at(first.processing_time) == first
        assert log.at(first.processing_time.plus(-1)) is None


def test_standing_retractions_say_who_and_why(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.commit(write(0, 5), RUN)
        for hour, reason in ((1, "broken"), (2, "iced")):
            log.commit(retraction(hour), Story("retract", standing=True, who="ada", reason=reason))
        assert [(each.who, each.reason, each.identities.num_rows) for each in log.standing()] == [
            ("ada", "broken", 1),
            ("ada", "iced", 1),
        ]
        log.lift("rows@1", identities_table(SHAPE, [("EWR", Moment(HOUR)), ("EWR", Moment(0))]), Story("lift"))
        assert [each.reason for each in log.standing()] == ["iced"]
        assert len(winds(log)) == 4
        log.commit({"rows@1": Write(hours(0, 5), scope=EVERYTHING)}, RUN)
        assert len(winds(log)) == 4


# -- digests ----------------------------------------------------------------------------------------------------------


def test_a_read_at_the_same_two_times_has_the_same_digest_for_ever(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        moment = log.commit(write(0, 50), RUN).processing_time
        first = log.digest(log.read("rows@1", moment))
        log.commit(write(10, 80, wind=3.0), RUN)
        log.commit(retraction(20, 30), Story("retract"))
        assert log.digest(log.read("rows@1", moment)) == first
        assert log.digest(log.read("rows@1", moment, order=["-actual_time"])) == first
        assert log.digest(log.read("rows@1", log.published())) != first
    with open_log(tmp_path) as log:
        assert log.digest(log.read("rows@1", moment)) == first


def test_the_digest_in_the_ledger_is_that_of_the_files(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        log.commit(write(0, 5), RUN)
        tally = log.commit(write(3, 8, wind=2.0), RUN).tables["rows@1"]
    paths = [str(tmp_path / "tables" / "rows@1" / facts.path) for facts in tally.files]
    assert len(paths) == 2
    with duckdb.connect() as other:
        other.execute("SET TimeZone='UTC'")
        query = "SELECT * EXCLUDE (_superseded_at) FROM read_parquet($1, hive_partitioning=false)"
        assert digest(other.sql(query, params=[paths]).to_arrow_table()) == tally.digest


def test_digests_tell_apart_and_do_not_change() -> None:
    """Written down, since a digest that changes with a version of an engine would be no digest."""
    rows = pa.table(
        {"a": ["x", None, "é;1:"], "n": [1, None, -5], "f": [0.5, float("nan"), -0.0], "b": [True, None, False]}
    )
    assert digest(rows) == DIGEST
    assert digest(rows.take(pa.array([2, 0, 1]))) == DIGEST
    assert digest(rows.slice(0, 0)) == "0" * 32 + ":0"
    assert digest(pa.table({"a": ["1", "2"], "b": ["23", "3"]})) != digest(
        pa.table({"a": ["12", "2"], "b": ["3", "3"]})
    )
    assert digest(pa.table({"a": [None, "~"]})) != digest(pa.table({"a": ["~", "~"]}))
    assert digest(pa.concat_tables([rows, rows])) != DIGEST
    views = rows.set_column(0, "a", rows["a"].cast(pa.large_string()))
    assert digest(views) == DIGEST


DIGEST = "670b9128ae9733da156f1f60476c60dc:3"

# -- outsiders --------------------------------------------------------------------------------------------------------


def _grown(folder: Path) -> tuple[float, float, Moment]:
    """A table with corrections and a retraction; the sums now and at an earlier moment."""
    with open_log(folder) as log:
        log.commit(write(0, 100), RUN)
        early = log.commit(write(90, 150, wind=4.0), RUN).processing_time
        log.commit(write(0, 10, wind=1.0), RUN)
        log.commit(retraction(50, 60), Story("retract"))
        sums = [sum(winds(log, moment)) for moment in (log.published(), early)]
    return sums[0], sums[1], early


def test_delta_readers_agree(tmp_path: Path) -> None:
    now, _, _ = _grown(tmp_path)
    table = tmp_path / "tables" / "rows@1"
    delta = DeltaTable(table)
    assert delta.version() == 4
    assert (delta.protocol().min_reader_version, delta.protocol().min_writer_version) == (1, 2)
    assert delta.metadata().partition_columns == ["_layer"]
    assert delta.metadata().configuration["delta.appendOnly"] == "true"
    adds = pa.table(delta.get_add_actions(flatten=True))
    assert sum(adds["num_records"].to_pylist()) == 172
    told = {name for name in adds.column_names if name.startswith("min.") and adds[name].null_count < len(adds)}
    assert told == {"min.actual_time", "min.processing_time", "min._row_id"}
    rows = pl.scan_delta(str(table)).filter(pl.col("_op") == 0)
    gone = pl.scan_delta(str(table)).filter(pl.col("_supersedes").is_not_null()).select("_supersedes")
    found = rows.join(gone, left_on="_row_id", right_on="_supersedes", how="anti").select(pl.col("wind").sum())
    assert found.collect().item() == now


def test_the_views_beside_a_table_agree(tmp_path: Path) -> None:
    now, then, early = _grown(tmp_path)
    script = (tmp_path / "tables" / "rows@1" / "views.sql").read_text()
    with duckdb.connect() as other:
        other.execute("SET TimeZone='UTC'")
        other.execute(f"SET file_search_path='{tmp_path / 'tables' / 'rows@1'}'")
        other.execute(script)
        assert other.sql("SELECT sum(wind) FROM latest").fetchall() == [(now,)]
        assert other.sql(f"SELECT sum(wind) FROM as_of(TIMESTAMPTZ '{early}')").fetchall() == [(then,)]
        assert other.sql("SELECT count(*) FROM history").fetchall() == [(172,)]
    assert "`place`" in (tmp_path / "tables" / "rows@1" / "README.md").read_text()


def test_the_log_needs_neither_pandas_nor_deltalake(tmp_path: Path) -> None:
    """Both are slow and large to load; a container that only stores and serves has no use for them."""
    code = f"""
import sys, duckdb
from pathlib import Path
from tulle.storage.log import Log
from tulle.storage.shapes import EVERYTHING, Story, TableShape, Write
rows = duckdb.sql("SELECT 'a' AS k, 1::BIGINT AS n, TIMESTAMPTZ '2020-01-01 00:00Z' AS actual_time").to_arrow_table()
with Log.open(Path({str(tmp_path)!r}), [TableShape("rows@1", (("k", "VARCHAR"), ("n", "BIGINT")), ("k",))]) as log:
    log.commit({{"rows@1": Write(rows, scope=(rows.select(["k"]),))}}, Story("run"))
    log.commit({{"rows@1": Write(rows.slice(0, 0), scope=EVERYTHING)}}, Story("run"))
    log.digest(log.read("rows@1", log.published()))
    log.changes("rows@1", log.published(), log.published())
    log.history("rows@1")
print([name for name in ("pandas", "deltalake", "numpy") if name in sys.modules])
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "pandas" not in ran.stdout, ran.stderr
    assert "deltalake" not in ran.stdout
    assert ran.returncode == 0, ran.stderr


def test_rows_far_from_now(tmp_path: Path) -> None:
    old, far = Moment(-(60 * 10**15)), Moment(200 * 10**15)
    with open_log(tmp_path) as log:
        log.commit({"rows@1": Write(facts_table(SHAPE, {("a", old): (1.0,), ("a", far): (2.0,)}))}, RUN)
        log.commit({"rows@1": Write(facts_table(SHAPE, {("a", old): (3.0,)}))}, RUN)
        found = rows_of(log.read("rows@1", log.published(), order=["actual_time"]))
        assert [(row["actual_time"], row["wind"]) for row in found] == [(old, 3.0), (far, 2.0)]
