-- One row per scheduled flight. Left joins: a flight counts even if nobody measured its weather or knows its aircraft.
-- The weather is joined on the hour in UTC: local hours repeat when summer time ends.
SELECT
    f.carrier,
    f.flight,
    f.origin,
    f.dest,
    f.tailnum,
    f.time_hour,
    f.sched_dep_time,
    f.dep_delay,
    f.arr_delay,
    f.dep_time IS NULL AS cancelled,
    coalesce(f.arr_delay < 15, false) AS on_time,
    f.air_time,
    f.distance,
    w.temp,
    w.wind_speed,
    w.wind_gust,
    w.precip,
    w.visib,
    a.manufacturer,
    a.model,
    a.year AS built,
    a.seats
FROM flights AS f
LEFT JOIN weather AS w ON w.origin = f.origin AND w.time_hour = f.time_hour
LEFT JOIN aircraft AS a ON a.tailnum = f.tailnum
