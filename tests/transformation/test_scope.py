"""Scopes: what a change touches, what it is made of, and what may be asked of the upstream for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transformation.products import follows, output, product, table
from tulle.product.manifest import Manifest, Scope, Transform
from tulle.transformation.run import Workshop
from tulle.transformation.scope import EVERYTHING, MOST_VALUES, Everything, pushdown

FLIGHTS = {"origin": "string", "hour": "timestamp", "delay": "int32"}
WEATHER = {"origin": "string", "hour": "timestamp", "wind": "double"}
DAILY = {"origin": "string", "day": "date", "start": "timestamp", "delay": "double", "wind": "double"}
PER_DAY = (("origin", "origin"), ("day", "local_day(hour, 'America/New_York')"))

CODE = """
    SELECT f.origin, f.day, timezone('America/New_York', f.day::TIMESTAMP) AS start, f.delay, w.wind
    FROM (SELECT origin, local_day(hour, 'America/New_York') AS day, avg(delay) AS delay FROM flights GROUP BY ALL) f
    LEFT JOIN (SELECT origin, local_day(hour, 'America/New_York') AS day, avg(wind) AS wind FROM weather GROUP BY ALL) w
    ON w.origin IS NOT DISTINCT FROM f.origin AND w.day = f.day
"""


def daily(scope: Scope = (("flights", PER_DAY), ("weather", PER_DAY)), key: str = "origin") -> Manifest:
    inputs = follows("flights"), follows("weather")
    return product(inputs, output(DAILY, key=key, time="start"), transform=Transform(sql="daily.sql"), scope=scope)


def flights(*rows: tuple[str | None, str, int]) -> pa.Table:
    return table(FLIGHTS, *rows)


def listed(part: pa.Table) -> list[dict[str, object]]:
    return sorted(part.to_pylist(), key=str)


def test_a_change_touches_the_distinct_values_of_its_rows(workshop: Workshop) -> None:
    old_and_new = flights(
        ("EWR", "2013-02-12T04:59Z", 1), ("EWR", "2013-02-12T05:00Z", 1), ("EWR", "2013-02-12T06:00Z", 2)
    )
    scope = workshop.scope(daily(), {"flights": old_and_new})
    assert isinstance(scope, tuple)
    assert [listed(part) for part in scope] == [
        [{"day": date(2013, 2, 11), "origin": "EWR"}, {"day": date(2013, 2, 12), "origin": "EWR"}]
    ]


def test_changes_of_several_inputs_are_joined_where_they_speak_of_the_same_columns(workshop: Workshop) -> None:
    changed = {
        "flights": flights(("EWR", "2013-02-12T12:00Z", 1), (None, "2013-02-12T12:00Z", 1)),
        "weather": table(WEATHER, ("EWR", "2013-02-12T12:00Z", 1.0), ("JFK", "2013-02-12T12:00Z", 1.0)),
    }
    scope = workshop.scope(daily(), changed)
    assert isinstance(scope, tuple)
    assert [sorted(str(row["origin"]) for row in part.to_pylist()) for part in scope] == [["EWR", "JFK", "None"]]
    apart = workshop.scope(daily((("flights", PER_DAY), ("weather", PER_DAY[:1]))), changed)
    assert isinstance(apart, tuple)
    assert [part.column_names for part in apart] == [["day", "origin"], ["origin"]]


def test_an_input_without_a_scope_touches_everything(workshop: Workshop) -> None:
    changed = {"flights": flights(("EWR", "2013-02-12T12:00Z", 1))}
    assert isinstance(workshop.scope(daily((("weather", PER_DAY),)), changed), Everything)
    assert isinstance(workshop.scope(daily(()), changed), Everything)
    other = product((follows("flights"),), output({"id": "string", "seen": "timestamp"}), scope=(("flights", PER_DAY),))
    assert isinstance(workshop.scope(other, changed), Everything), "an output lacks the scope's columns"


@pytest.fixture
def code(tmp_path: Path) -> None:
    (tmp_path / "daily.sql").write_text(CODE)


INPUTS = {
    "flights": flights(
        ("EWR", "2013-02-12T12:00Z", 10),
        ("EWR", "2013-02-13T12:00Z", 20),
        ("JFK", "2013-02-12T12:00Z", 30),
        (None, "2013-02-12T12:00Z", 40),
    ),
    "weather": table(
        WEATHER, ("EWR", "2013-02-12T12:00Z", 1.0), ("JFK", "2013-02-12T12:00Z", 3.0), (None, "2013-02-12T13:00Z", 5.0)
    ),
}


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("changed", "delays"),
    [(("EWR", "2013-02-12T08:00Z", 0), [10.0]), (("LGA", "2013-02-12T08:00Z", 0), [])],
    ids=["one day", "nothing left"],
)
def test_only_the_scope_is_made(workshop: Workshop, changed: tuple[str, str, int], delays: list[float]) -> None:
    manifest = daily()
    scope = workshop.scope(manifest, {"flights": flights(changed)})
    assert workshop.transform(manifest, INPUTS, scope).outputs["rows@1"].rows["delay"].to_pylist() == delays


@pytest.mark.usefixtures("code")
def test_null_is_a_value_of_a_scope(workshop: Workshop) -> None:
    manifest = daily(key="delay")
    scope = workshop.scope(manifest, {"flights": flights((None, "2013-02-12T08:00Z", 0))})
    (row,) = workshop.transform(manifest, INPUTS, scope).outputs["rows@1"].rows.to_pylist()
    assert (row["origin"], row["delay"], row["wind"]) == (None, 40.0, 5.0)


@pytest.mark.usefixtures("code")
def test_code_that_returns_more_than_its_scope_is_cut(workshop: Workshop, tmp_path: Path) -> None:
    more = CODE + " UNION ALL SELECT 'ZZZ', DATE '2013-02-12', TIMESTAMPTZ '2013-02-12 05:00Z', 0, 0"
    (tmp_path / "daily.sql").write_text(more)
    scope = workshop.scope(daily(), {"flights": flights(("EWR", "2013-02-12T08:00Z", 0))})
    assert workshop.transform(daily(), INPUTS, scope).outputs["rows@1"].rows["origin"].to_pylist() == ["EWR"]
    known = INPUTS | {"flights": INPUTS["flights"].slice(0, 3)}
    assert workshop.transform(daily(), known, EVERYTHING).outputs["rows@1"].rows.num_rows == 4


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["EWR", "JFK", "LGA"]),
        st.integers(0, 72 * 60).map(lambda n: datetime(2013, 3, 9, tzinfo=UTC) + timedelta(minutes=n)),
        st.integers(-10, 100),
    ),
    max_size=12,
    unique_by=lambda row: row[:2],
)


@settings(max_examples=15, deadline=None)
@given(before=ROWS, after=ROWS, weather=ROWS)
def test_the_scope_recomputed_is_the_whole_recomputed(
    nursery_workshop: Workshop,
    before: list[tuple[str, datetime, int]],
    after: list[tuple[str, datetime, int]],
    weather: list[tuple[str, datetime, int]],
) -> None:
    """Old outputs, with those in scope replaced by what the scope gives, equal a full run over the new inputs."""
    workshop, manifest = nursery_workshop, daily()
    changed = flights(*sorted(set(before) ^ set(after)))  # type: ignore[arg-type]
    scope = workshop.scope(manifest, {"flights": changed})
    assert isinstance(scope, tuple)
    winds = table(WEATHER, *((origin, hour, float(wind)) for origin, hour, wind in weather))
    old, new = ({"flights": flights(*rows), "weather": winds} for rows in (before, after))  # type: ignore[arg-type]
    was = _made(workshop, manifest, old)
    touched = {(row["origin"], row["day"]) for part in scope for row in part.to_pylist()}
    kept = {key: row for key, row in was.items() if key not in touched}
    coarse = {name: _filtered(new[name], pushdown(manifest, name, scope)) for name in new}
    assert kept | _made(workshop, manifest, coarse, scope) == _made(workshop, manifest, new)


@pytest.fixture(scope="session")
def nursery_workshop(nursery: object, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    from tulle.utility_plane.nursery import Nursery

    folder = tmp_path_factory.mktemp("code")
    (folder / "daily.sql").write_text(CODE)
    assert isinstance(nursery, Nursery)
    return Workshop(nursery, folder)


def _made(
    workshop: Workshop, manifest: Manifest, inputs: dict[str, pa.Table], scope: object = EVERYTHING
) -> dict[object, object]:
    rows = workshop.transform(manifest, inputs, scope).outputs["rows@1"].rows.to_pylist()
    return {(row["origin"], row["day"]): row for row in rows}


def _filtered(rows: pa.Table, predicates: tuple[tuple[str, str, object], ...]) -> pa.Table:
    """What an upstream does with the predicates."""
    for column, operator, value in predicates:
        text = "(" + ", ".join(f"'{one}'" for one in value) + ")" if isinstance(value, tuple) else f"'{value}'"
        if value == ():
            return rows.slice(0, 0)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone='UTC'")
            rows = connection.sql(f"SELECT * FROM rows WHERE {column} {operator} {text}").to_arrow_table()
    return rows


def part(**values: list[object]) -> pa.Table:
    kinds = {"origin": pa.string(), "day": pa.date32(), "delay": pa.float64(), "start": pa.timestamp("us", "UTC")}
    return pa.table({name: pa.array(held, kinds[name]) for name, held in values.items()})


def test_pushdown_of_a_local_day_is_its_range_of_instants() -> None:
    days: list[object] = [date(2013, 3, 10), date(2013, 3, 9)]
    assert pushdown(daily(), "flights", (part(origin=["EWR", "EWR"], day=days),)) == (
        ("origin", "in", ("EWR",)),
        ("hour", ">=", "2013-03-09T05:00:00.000000Z"),
        ("hour", "<", "2013-03-11T04:00:00.000000Z"),
    )


def test_pushdown_leaves_out_what_it_cannot_say() -> None:
    manifest = daily((("flights", (("origin", "upper(origin)"), ("delay", "delay"))), ("weather", PER_DAY)))
    assert pushdown(manifest, "flights", (part(origin=["EWR"]),)) == ()
    assert pushdown(manifest, "flights", (part(delay=[1.5, None]),)) == (), "null is among the values"
    assert pushdown(manifest, "flights", (part(delay=[float("nan")]),)) == ()
    assert pushdown(manifest, "flights", (part(delay=[1.5]), part(origin=["EWR"]))) == (), "one part says nothing of it"
    assert pushdown(manifest, "flights", EVERYTHING) == pushdown(manifest, "flights", ()) == ()
    assert pushdown(daily(()), "flights", (part(origin=["EWR"]),)) == ()
    far: list[object] = [date.max]
    assert pushdown(manifest, "weather", (part(day=far),)) == ()


def test_pushdown_of_many_values_is_their_range() -> None:
    manifest = daily((("flights", (("start", "hour"), ("origin", '"origin"'))),))
    hours: list[object] = [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(MOST_VALUES + 1)]
    names: list[object] = [f"A{n:02}" for n in range(MOST_VALUES)]
    assert pushdown(manifest, "flights", (part(start=hours),)) == (
        ("hour", ">=", "2013-01-01T00:00:00.000000Z"),
        ("hour", "<=", "2013-01-03T02:00:00.000000Z"),
    )
    assert pushdown(manifest, "flights", (part(origin=names),)) == (("origin", "in", tuple(names)),)


@settings(max_examples=60, deadline=None)
@given(
    day=st.dates(date(1975, 1, 1), date(2037, 1, 1)),
    zone=st.sampled_from(
        ["America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Beirut", "UTC"]
    ),
    second=st.integers(0, 2 * 86_400),
)
def test_every_instant_of_a_day_lies_in_its_range(day: date, zone: str, second: int) -> None:
    manifest = daily((("flights", (("day", f"local_day(hour, '{zone}')"),)),))
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
    local: list[object] = [instant.astimezone(ZoneInfo(zone)).date()]
    (_, _, start), (_, _, stop) = pushdown(manifest, "flights", (part(day=local),))
    assert start <= instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ") < stop
