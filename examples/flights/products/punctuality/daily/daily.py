"""How punctual each airport was, day by day, and how windy. A day is the calendar day in New York."""

import duckdb
import pyarrow as pa

DAYS = """
WITH flown AS (
    SELECT
        origin,
        time_hour::DATE AS day,
        count(*) AS flights,
        count(*) FILTER (cancelled) AS cancelled,
        round(count(*) FILTER (on_time) / count(*), 4) AS on_time,
        round(sum(dep_delay) / count(dep_delay), 2) AS dep_delay_mean,
        round(sum(arr_delay) / count(arr_delay), 2) AS arr_delay_mean
    FROM ontime
    GROUP BY ALL
),
blown AS (
    -- Decimals add up to the same sum in any order; floating-point numbers do not, and a run must be repeatable.
    SELECT
        origin,
        time_hour::DATE AS day,
        round(sum(wind_speed::DECIMAL(18, 6)) / count(wind_speed), 2) AS wind_mean
    FROM weather
    GROUP BY ALL
)
SELECT
    origin,
    day,
    day::TIMESTAMPTZ AS day_start,
    flights,
    cancelled,
    on_time,
    dep_delay_mean,
    arr_delay_mean,
    wind_mean
FROM flown
LEFT JOIN blown USING (origin, day)
"""


def daily(ontime: pa.Table, weather: pa.Table) -> pa.Table:
    """Rows of the scope only, all inputs as of one moment each."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'America/New_York'")
        con.register("ontime", ontime)
        con.register("weather", weather)
        return con.sql(DAYS).to_arrow_table()
