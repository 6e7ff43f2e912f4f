from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle.errors import NotThere, UsageError
from tulle.formats.sql import parse, qualify
from tulle.formats.sql_columns import _COMPARES
from tulle.product.reading import Predicate
from tulle.times import LATEST, Period, parse_moment
from tulle.uris import parse_port

WEATHER, DAILY = parse_port("weather/hourly"), parse_port("punctuality/daily:rows@1")
SCHEMAS = {
    WEATHER: {
        "origin": "string",
        "time_hour": "timestamp",
        "wind": "double",
        "visib": "int32",
        "actual_time": "timestamp",
    },
    DAILY: {"origin": "string", "day": "date", "flights": "int64", "actual_time": "timestamp"},
}


def planned(text: str):
    return {str(s.address): s for s in qualify(parse(text), SCHEMAS).sources}


def test_products_become_local_tables_under_their_own_names():
    query = parse(
        'select hourly.wind, weather.hourly.origin from weather.hourly join punctuality."daily:rows@1" d using (origin)'
    )
    assert [(s.local, s.address) for s in query.sources] == [("_t0", WEATHER), ("_t1", DAILY)]
    assert '"_t0" AS "hourly"' in query.sql
    assert '"hourly"."origin"' in query.sql
    assert not query.timed


def test_names_fold_case_unless_quoted():
    assert parse("SELECT * FROM Weather.HOURLY").sources[0].address == WEATHER
    with pytest.raises(UsageError):
        parse('select * from weather."Hourly"')


def test_the_same_port_twice_is_one_source_at_two_times_two():
    assert len(parse("select 1 from weather.hourly a, weather.hourly b").sources) == 1
    text = (
        "select 1 from weather.hourly a join weather.hourly for system_time as of '2013-03-01T00:00Z' b using (origin)"
    )
    query = parse(text)
    assert [s.as_of for s in query.sources] == [LATEST, parse_moment("2013-03-01")]
    assert query.timed


@pytest.mark.parametrize(
    ("clause", "as_of", "at"),
    [
        ("for system_time as of '2013-03-01T00:00Z'", parse_moment("2013-03-01"), None),
        ("FOR SYSTEM_TIME AS OF TIMESTAMP '2013-03-01T00:00Z'", parse_moment("2013-03-01"), None),
        ("for valid_time as of '2013-03-01'", LATEST, parse_moment("2013-03-01")),
        (
            "for valid_time from '2013-03-01' to date '2013-04-01'",
            LATEST,
            Period(parse_moment("2013-03-01"), parse_moment("2013-04-01")),
        ),
        (
            "for valid_time as of '2013-03-01' for system_time as of '2013-04-01'",
            parse_moment("2013-04-01"),
            parse_moment("2013-03-01"),
        ),
    ],
)
def test_clauses_of_time(clause, as_of, at):
    for text in (f"select * from weather.hourly {clause} h where h.wind > 1", f"from (weather.hourly {clause} as h)"):
        source = parse(text).sources[0]
        assert (source.as_of, source.at) == (as_of, at)


@pytest.mark.parametrize(
    "text",
    [
        "select * from weather.hourly h for system_time as of '2013-03-01'",
        "select * from weather.hourly for system_time between '2013-01-01' and '2013-02-01'",
        "select * from weather.hourly for system_time from '2013-01-01' to '2013-02-01'",
        "select * from weather.hourly for system_time as of now()",
        "select * from weather.hourly for valid_time as of time_hour",
        "select * from weather.hourly for valid_time from '2013-01-01'",
        "select * from weather.hourly for valid_time as of '2013-01-01' for valid_time as of '2013-01-02'",
        "select * from (select 1) for valid_time as of '2013-01-01'",
        "select 1 for system_time as of '2013-01-01'",
    ],
)
def test_a_clause_of_time_that_is_not_consumed_is_refused(text):
    with pytest.raises(UsageError) as refusal:
        parse(text)
    assert refusal.value.code in ("E202", "E203")


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(UsageError) as refusal:
        parse("select * from weather.hourly for system_time as of '2013-03-01T00:00'")
    assert refusal.value.code == "E072"


@pytest.mark.parametrize(
    "text",
    [
        "select * from hourly",
        "select * from a.weather.hourly",
        "select * from weather.hourly@1",
        "select * from 'file.csv'",
        "select * from weather.hourly timestamp as of '2013-01-01'",
        "with _t0 as (select 1) select * from _t0, weather.hourly",
        "drop table x",
        "select 1; select 2",
        "",
    ],
)
def test_what_is_no_select_over_products_is_refused(text):
    with pytest.raises(UsageError) as refusal:
        parse(text)
    assert refusal.value.code in ("E202", "E203")


@pytest.mark.parametrize(
    "text",
    [
        "select extract(year from h.time_hour - h.x), a - b from weather.hourly h",
        "select a is distinct from b.c-d from weather.hourly",
        "select h: a.b, c[1:2] from h: weather.hourly",
        "select * from weather.hourly where origin in (from punctuality.daily select origin)",
        "with daily as (select 1 as x) select * from daily",
        "select '@1 for system_time as of' as t from weather.hourly",
        'select "for" from weather.hourly',
        "select trim(both 'x' from origin) from weather.hourly order by 1",
    ],
)
def test_what_only_looks_wrong_is_let_through(text):
    parse(text)


def test_needed_columns_and_conditions():
    plan = planned(
        'select h.origin, avg(wind) from weather.hourly h join punctuality."daily:rows@1" d on d.origin = h.origin'
        " where wind > 5 and h.time_hour between '2013-02-12' and '2013-02-12T08:00Z' and 3 >= flights"
        " and d.day in (date '2013-02-12') and d.origin is not null group by 1"
    )
    weather, daily = plan["weather/hourly"], plan["punctuality/daily:rows@1"]
    assert weather.columns == ("origin", "time_hour", "wind")
    assert weather.where == (
        Predicate("wind", ">", 5.0),
        Predicate("time_hour", ">=", "2013-02-12T00:00:00.000000Z"),
        Predicate("time_hour", "<=", "2013-02-12T08:00:00.000000Z"),
    )
    assert daily.columns == ("origin", "day", "flights")
    assert daily.where == (Predicate("flights", "<=", 3), Predicate("day", "in", ("2013-02-12",)))


@pytest.mark.parametrize(
    "text",
    [
        "select count(*) from weather.hourly",
        "select 1 from weather.hourly",
    ],
)
def test_a_query_that_only_counts_gets_one_column(text):
    assert planned(text)["weather/hourly"].columns == ("origin",)


@pytest.mark.parametrize(
    "text",
    [
        "select * from weather.hourly",
        "select h from weather.hourly h",
        "select h.* exclude (wind) from weather.hourly h",
        "select columns('w.*') from weather.hourly",
        'select origin from weather.hourly natural join punctuality."daily:rows@1"',
        "select a from weather.hourly h(a, b, c, d, e)",
    ],
)
def test_a_whole_row_needs_all_columns(text):
    assert planned(text)["weather/hourly"].columns == tuple(SCHEMAS[WEATHER])


@pytest.mark.parametrize(
    "text",
    [
        'select 1 from punctuality."daily:rows@1" d asof join weather.hourly h on d.day >= h.time_hour where wind > 5',
        "select 1 from weather.hourly h tablesample 10 rows where wind > 5",
        "select 1 from weather.hourly where wind > 5 union all select 2 from weather.hourly",
        "select 1 from weather.hourly where wind > 5 or visib = 1",
        "select 1 from weather.hourly where visib = 1.5",
        "select 1 from weather.hourly where visib > 99999999999",
        "select 1 from weather.hourly where wind is null",
        "select 1 from weather.hourly where time_hour > 'yesterday'",
        "select 1 from weather.hourly h, (select 2 as visib) x where visib = 2",
        "select 7 as visib from weather.hourly where visib = 7",
        "select 1 from weather.hourly h where not h.visib = 7",
    ],
)
def test_a_condition_that_might_mean_something_else_stays_in_the_query(text):
    assert planned(text)["weather/hourly"].where == ()


def test_a_misspelt_column_is_found_before_anything_is_fetched():
    with pytest.raises(NotThere) as lost:
        planned("select h.wnd from weather.hourly h")
    assert "Did you mean wind?" in lost.value.why
    assert "^^^" in lost.value.why
    with pytest.raises(NotThere):
        planned('with d as (select dya from punctuality."daily:rows@1") select * from d, weather.hourly')
    planned("select x.foo from (select wind as foo from weather.hourly) x")
    planned("select n from weather.hourly, (values (1)) v(n)")


ROWS = {
    WEATHER: pa.table(
        {
            "origin": ["EWR", "JFK", None, "EWR"],
            "wind": [1.0, None, 3.0, 9.0],
            "visib": pa.array([1, 2, 3, None], pa.int32()),
        }
    ),
    DAILY: pa.table({"origin": ["EWR", "LGA", None], "flights": pa.array([1, 2, 3], pa.int64())}),
}
SMALL = {
    WEATHER: {"origin": "string", "wind": "double", "visib": "int32"},
    DAILY: {"origin": "string", "flights": "int64"},
}
CONDITIONS = st.sampled_from(
    ["h.wind > 2", "h.origin = 'EWR'", "visib <= 2", "flights <> 2", "d.origin in ('EWR', 'LGA')", "h.wind is null",
     "d.flights between 1 and 2", "h.visib > d.flights", "not h.visib = 1", "2 < flights"]
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["join", "left join", "right join", "full join"]),
    st.lists(CONDITIONS, min_size=1, max_size=3),
    st.sampled_from([" and ", " or "]),
)
def test_conditions_applied_early_change_no_answer(join, conditions, glue):
    text = (
        f'select h.origin as a, d.origin as b, wind, flights from weather.hourly h {join} punctuality."daily:rows@1" d'
        f" on h.origin = d.origin where {glue.join(conditions)}"
    )
    query = qualify(parse(text), SMALL)
    whole = {s.local: ROWS[s.address] for s in query.sources}
    less = {s.local: _delivered(ROWS[s.address], s.columns, s.where) for s in query.sources}
    assert _run(query.sql, whole) == _run(query.sql, less)


def _delivered(rows: pa.Table, columns: tuple[str, ...], where: tuple[Predicate, ...]) -> pa.Table:
    assert set(_COMPARES.values()) == {"=", "!=", "<", "<=", ">", ">="}
    tests = []
    for part in where:
        values = part.value if isinstance(part.value, tuple) else (part.value,)
        texts = [f"'{v}'" if isinstance(v, str) else str(v) for v in values]
        tests.append(f"{part.column} {part.operator} ({', '.join(texts)})")
    with duckdb.connect(":memory:") as connection:
        connection.register("rows", rows)
        condition = f" where {' and '.join(tests)}" if tests else ""
        return connection.sql(f"select {', '.join(columns)} from rows{condition}").to_arrow_table()


def _run(sql: str, tables: dict[str, pa.Table]) -> list[str]:
    with duckdb.connect(":memory:") as connection:
        for name, rows in tables.items():
            connection.register(name, rows)
        return sorted(map(str, connection.sql(sql).fetchall()))
