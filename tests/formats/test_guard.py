from __future__ import annotations

import duckdb
import pytest

from tulle.errors import NotThere, TulleError, UsageError
from tulle.formats.guard import guard
from tulle.formats.sql_text import LONGEST

COLUMNS = {
    "origin": "string",
    "time_hour": "timestamp",
    "wind_speed": "double",
    "temp": "double",
    "humid": "double",
    "visib": "int32",
    "day": "date",
    "actual_time": "timestamp",
    "processing_time": "timestamp",
}
PORTS = {
    "rows@1": COLUMNS,
    "rows": COLUMNS,
    "weather.hourly:rows@1": COLUMNS,
    "weather.hourly": COLUMNS,
}

HOSTILE = [
    # other statements
    "insert into weather.hourly values (1)",
    "update weather.hourly set temp = 1",
    "delete from weather.hourly",
    "drop table weather.hourly",
    "create table a as select 1",
    "create or replace view rows as select 1",
    "create macro f() as 1",
    "create secret s (type s3)",
    "alter table rows rename to r",
    "copy weather.hourly to '/etc/x.csv'",
    "copy (select * from weather.hourly) to 'x.parquet'",
    "export database 'x'",
    "import database 'x'",
    "attach 'other.db'",
    "attach ':memory:' as m",
    "detach m",
    "install httpfs",
    "load httpfs",
    "pragma database_list",
    "set memory_limit = '1TB'",
    "reset memory_limit",
    "set variable who = 'ann'",
    "call pragma_version()",
    "use other",
    "prepare p as select 1",
    "execute p",
    "explain select * from weather.hourly",
    "describe weather.hourly",
    "summarize weather.hourly",
    "show all tables",
    "begin",
    "checkpoint",
    "vacuum",
    "pivot weather.hourly on origin using sum(temp)",
    "values (1)",
    "select 1; select 2",
    "select * from weather.hourly; drop table x",
    "",
    ";;",
    # files and functions that make tables
    "select * from '/etc/passwd'",
    "select * from 'rows.parquet'",
    'select * from "/etc/passwd"',
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_parquet('tables/*.parquet')",
    "select * from parquet_metadata('x.parquet')",
    "select * from parquet_scan('x')",
    "select * from glob('*')",
    "select * from sniff_csv('x')",
    "select * from query('select 1')",
    "select * from query_table('rows')",
    "select * from duckdb_settings()",
    "select * from duckdb_views()",
    "select * from pragma_storage_info('rows')",
    "select * from range(1000000000)",
    "select * from generate_series(1, 1000000000)",
    "select * from repeat_row(1, num_rows=1000000000)",
    "select * from json_execute_serialized_sql('x')",
    "select * from weather.hourly, unnest([1, 2]) u",
    "select * from weather.hourly, lateral (select 1) l",
    # other tables
    "select * from duckdb_tables",
    "select * from sqlite_master",
    "select * from information_schema.tables",
    "select * from pg_catalog.pg_class",
    "select * from memory.main.rows",
    "select * from main.rows",
    "select * from other.product",
    "select * from weather.daily",
    "select * from hourly",
    "select (select max(sql) from duckdb_views) from weather.hourly",
    "with a as (select * from sqlite_master) select * from a",
    "select * from (with sqlite_master as (select 1) select 1) x, sqlite_schema",
    "with rows as (select 1) select * from rows",
    "with recursive a as (select 1 as x union all select x + 1 from a) select * from a",
    "with a as (insert into rows values (1)) select 1",
    "select * from (describe rows)",
    "select * from (show tables)",
    "select * from weather.hourly@1",
    "select * from weather.hourly:rows",
    "select * from rows@1",
    "select * from $1",
    # functions
    "select getenv('HOME')",
    "select current_setting('memory_limit')",
    "select getvariable('who')",
    "select repeat('x', 2000000000)",
    "select lpad('x', 2000000000, 'y')",
    "select rpad(origin, 2000000000, 'y') from weather.hourly",
    "select range(2000000000)",
    "select format('{:>1900000000}', 'x')",
    "select printf('%1900000000d', 1)",
    "select levenshtein(origin, origin) from weather.hourly",
    "select list_reduce([1, 2], lambda x, y: x + y)",
    "select list_transform([1], x -> x + 1)",
    "select read_text('/etc/passwd')",
    "select query('select 1')",
    "select nextval('s')",
    "select txid_current()",
    "select current_user",
    "select current_database()",
    "select version()",
    "select error('x')",
    "select random()",
    "select uuid()",
    "select now()",
    "select current_timestamp",
    "select current_date",
    "select today()",
    "select json_serialize_sql('select 1')",
    "select 'select 1'.query()",
    "select columns('.*') from weather.hourly",
    "select write_log('x')",
    "select date_trunc('day'', time_hour), getenv(''HOME'') --', time_hour) from weather.hourly",
    "select date_trunc('day; drop table x', time_hour) from weather.hourly",
    "select date_diff('day'', 1) from read_csv(''x'') --', day, day) from weather.hourly",
    "select main.getenv('HOME')",
    "select cast([1] as int[])",
    # shapes
    "select ? from weather.hourly",
    "select $who from weather.hourly",
    "select * from weather.hourly for update",
    "select * from weather.hourly tablesample 10%",
    "select * from weather.hourly using sample 5",
    "select * into x from weather.hourly",
    "select * from weather.hourly at (version => 1)",
    "select * from weather.hourly with ordinality",
    "select e'\\x41'",
    "select cast(origin as regclass) from weather.hourly",
    "select cast('x' as json)",
    "select * from weather.hourly for system_time as of '2013-01-01'",
    "select 1 union all select * from read_csv('x')",
    "select case when true then (select 1 from read_csv('x')) end",
    "select * from weather.hourly order by (select 1 from glob('*'))",
    "select * from weather.hourly limit (select count(*) from glob('*'))",
    "select count(*) filter (where getenv('x') = '1') from weather.hourly",
    "select sum(temp) over (order by getenv('x')) from weather.hourly",
    "select " + "(" * 3_000 + "1" + ")" * 3_000,
    "select " + "- " * 5_000 + "1",
    "select " + "not " * 4_000 + "true",
    "select " + " + ".join(["1"] * 4_000),
    "select '" + "x" * LONGEST + "'",
    "select 1 /* " + "x" * LONGEST + " */",
    "\x00select 1",
]

GOOD = [
    "select * from weather.hourly",
    "select * from weather.hourly;",
    "select * from rows limit 5",
    'select * from "rows@1"',
    'select * from weather."hourly:rows@1" as h',
    "from weather.hourly",
    "from weather.hourly select origin, temp where temp > 3",
    "SELECT Origin, AVG(Wind_Speed) AS w FROM Weather.Hourly GROUP BY 1 ORDER BY w DESC NULLS LAST",
    "select weather.hourly.origin, hourly.temp from weather.hourly",
    "select origin, count(*), count(distinct day) from weather.hourly group by all having count(*) > 1 order by all",
    "with w as (select origin, max(temp) as hot from weather.hourly group by origin) select * from w where hot > 5",
    "with w as materialized (select 1 as one) select one from w, rows",
    "select a.origin from weather.hourly a join weather.hourly b using (origin, time_hour)",
    "select a.origin from weather.hourly a left join rows b on a.origin = b.origin and b.temp is not null",
    "select a.origin from weather.hourly a asof join rows b on a.origin = b.origin and a.time_hour >= b.time_hour",
    "select a.origin from weather.hourly a semi join rows b on a.origin = b.origin",
    "select date_trunc('month', time_hour) m, sum(visib) filter (where visib < 5) from weather.hourly group by m",
    "select * from weather.hourly where time_hour >= timestamp '2013-02-12 08:00:00' - interval '1 day'",
    "select * from weather.hourly where time_hour between '2013-02-12' and '2013-02-13' and origin in ('EWR', 'JFK')",
    "select time_hour at time zone 'America/New_York' from weather.hourly",
    "select extract(year from time_hour), date_part('hour', time_hour), dayname(day) from weather.hourly",
    "select origin, row_number() over (partition by origin order by temp) as n from weather.hourly qualify n <= 3",
    "select lag(temp) over w from weather.hourly window w as (partition by origin order by time_hour)",
    "select case when temp > 80 then 'hot' else 'cold' end as feel, count(*) from weather.hourly group by feel",
    "select * exclude (temp) from weather.hourly",
    "select * replace (round(temp, 1) as temp) from weather.hourly",
    "select distinct on (origin) origin, temp from weather.hourly order by origin, time_hour",
    "select origin from weather.hourly union select origin from rows except select 'LGA'",
    "select (select max(temp) from rows) - min(temp) from weather.hourly",
    "select origin from weather.hourly h where exists (select 1 from rows r where r.origin = h.origin and r.temp > 90)",
    "select origin || ': ' || cast(temp as varchar) || '°' from weather.hourly where origin ilike 'e%'",
    "select quantile_cont(temp, 0.9), median(temp), mode(origin), stddev(temp), corr(temp, humid) from weather.hourly",
    "select arg_max(origin, temp), any_value(day), first(temp order by time_hour) from weather.hourly",
    "select coalesce(temp, 0), nullif(origin, ''), greatest(1, 2), ifnull(temp, 1), if(temp > 1, 1, 2) from rows",
    "select string_agg(origin, ', ' order by origin) from weather.hourly",
    "select strftime(time_hour, '%Y-%m'), epoch(time_hour), date_diff('day', day, date '2014-01-01') from rows",
    "select upper(origin), substr(origin, 1, 2), origin[1:2], length(origin), replace(origin, 'E', 'x') from rows",
    "select regexp_matches(origin, '^E'), starts_with(origin, 'E'), contains(origin, 'W') from weather.hourly",
    "select try_cast(origin as integer), temp::int, visib // 2, visib % 2, -visib, temp is distinct from 3 from rows",
    "select * from (values (1, 'EWR'), (2, 'JFK')) v(n, o) join weather.hourly on o = origin",
    "select local_day(time_hour, 'America/New_York') as d, avg(temp) from weather.hourly group by d",
    "select origin, grouping(origin), sum(temp) from weather.hourly group by rollup (origin)",
    "select -- a note; with a semicolon\n origin /* and ' another */ from weather.hourly",
    "select 'it''s; -- no comment' as t from weather.hourly",
    "select time_bucket(interval '1 week', time_hour), abs(temp), sqrt(temp), ln(temp), temp ** 2 from weather.hourly",
]


@pytest.fixture(scope="module")
def engine():
    """The ports as views of an engine, named as the guard leaves them."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "create macro local_day(t, z) as cast(t at time zone z as date);"
        "create table held as select 'EWR' origin, timestamptz '2013-02-12 08:00:00Z' time_hour,"
        " 9.5::double wind_speed, 30.0::double temp, 50.0::double humid, 10::int visib, date '2013-02-12' as day,"
        " timestamptz '2013-02-12 08:00:00Z' actual_time, timestamptz '2013-03-01 00:00:00Z' processing_time"
    )
    for name in PORTS:
        connection.execute(f'create view "{name}" as select * from held')
    yield connection
    connection.close()


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:60])
def test_what_is_not_on_the_list_is_refused(text):
    with pytest.raises(TulleError) as refusal:
        guard(text, PORTS)
    assert refusal.value.code in ("E201", "E202", "E203")


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text[:60])
def test_a_good_statement_runs_as_it_was_written_anew(text, engine):
    statement = guard(text, PORTS)
    assert statement.tables
    assert set(statement.tables) <= set(PORTS)
    assert engine.cursor().sql(statement.sql).to_arrow_table().num_columns >= 1


def test_quotes_inside_names_stay_inside(engine):
    statement = guard(
        """select origin as "a"" from read_csv('x') --" from weather.hourly where origin = 'x''; --'""", PORTS
    )
    assert engine.cursor().sql(statement.sql).to_arrow_table().column_names == ["""a" from read_csv('x') --"""]


def test_there_are_enough_of_both():
    assert len(set(HOSTILE)) >= 60
    assert len(set(GOOD)) >= 25


def test_the_tables_read_are_told():
    statement = guard('select 1 from weather.hourly, "rows@1", rows r', PORTS)
    assert statement.tables == ("weather.hourly", "rows@1", "rows")


def test_a_misspelt_column_gets_a_caret_and_a_proposal():
    with pytest.raises(NotThere) as lost:
        guard("select origin,\n  wind_sped from weather.hourly", PORTS)
    assert lost.value.code == "E201"
    assert "wind_speed" in lost.value.why
    assert "  wind_sped from weather.hourly\n  ^^^^^^^^^" in lost.value.why


def test_a_text_in_double_quotes_is_explained():
    with pytest.raises(NotThere) as lost:
        guard('select 1 from weather.hourly where origin = "EWR"', PORTS)
    assert "'EWR'" in lost.value.fix


def test_columns_that_the_query_makes_are_no_misspellings():
    guard("select hot from (select max(temp) as hot from weather.hourly) x where hot > 1", PORTS)
    guard("with w(a, b) as (select origin, temp from weather.hourly) select a, b from w", PORTS)
    guard("select h from weather.hourly h", PORTS)


def test_a_common_table_out_of_its_reach_finds_nothing(engine):
    statement = guard(
        "select * from (with sqlite_master as (select 1 as x) select x from sqlite_master) y, rows", PORTS
    )
    assert "sqlite_master" not in statement.sql.replace('AS "sqlite_master"', "")
    beyond = guard("select * from (with duckdb_views as (select 1) select 1) y, duckdb_views, rows", PORTS)
    with pytest.raises(duckdb.CatalogException):
        engine.cursor().sql(beyond.sql).to_arrow_table()


def test_a_parse_error_shows_where():
    with pytest.raises(UsageError) as unread:
        guard("select origin\nfrom weather.hourly wher temp > 3 3", PORTS)
    assert unread.value.code == "E203"
    assert "^" in unread.value.why
    assert "line 2" in unread.value.where


def test_an_unclosed_text_is_a_parse_error():
    with pytest.raises(UsageError) as unread:
        guard("select 'abc from weather.hourly", PORTS)
    assert unread.value.code == "E203"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("select * from weather.hourly@1", 'weather."hourly@1"'),
        ("select * from weather.hourly:rows@1 h", 'weather."hourly:rows@1"'),
        ("select * from punctuality.delay-risk", 'punctuality."delay-risk"'),
        ("select * from x.y join punctuality.delay-risk:rows@2 using (a)", 'punctuality."delay-risk:rows@2"'),
        ("select 1 from daily@1", 'domain."daily@1"'),
        ("select 1 from a.b, weather.hourly@1", 'weather."hourly@1"'),
    ],
)
def test_a_name_that_needs_quotes_is_given_with_them(text, fix):
    with pytest.raises(UsageError) as refusal:
        guard(text, PORTS)
    assert refusal.value.code == "E202"
    assert refusal.value.fix == fix


def test_a_function_that_changes_says_why():
    with pytest.raises(UsageError) as refusal:
        guard("select now() from weather.hourly", PORTS)
    assert "another answer each time" in refusal.value.what
