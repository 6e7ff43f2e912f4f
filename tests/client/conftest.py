from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.client.door import Issuer, Product, Served, serving
from tulle.client.doors import Place
from tulle.client.mesh import Mesh
from tulle.times import Moment, parse_moment

FEBRUARY, MARCH, APRIL = (parse_moment(f"2013-0{month}-01") for month in (2, 3, 4))


def instants(*texts: str) -> pa.Array:
    return pa.array([parse_moment(text).as_datetime() for text in texts], pa.timestamp("us", "UTC"))


def weather(*winds: float, told: Moment = FEBRUARY) -> pa.Table:
    hours = [f"2013-01-0{number}" for number in range(1, len(winds) + 1)]
    return pa.table(
        {
            "origin": ["EWR", "JFK", "LGA"][: len(winds)],
            "wind": pa.array(winds, pa.float64()),
            "day": pa.array([dt.date.fromisoformat(hour) for hour in hours]),
            "actual_time": instants(*hours),
            "processing_time": instants(*[str(told)] * len(winds)),
        }
    )


def airports() -> pa.Table:
    origins = ["EWR", "JFK", "LGA"]
    times = {"actual_time": instants(*["2013-01-01"] * 3), "processing_time": instants(*["2013-02-01"] * 3)}
    return pa.table({"origin": origins, "alt": pa.array([18, 13, 22], pa.int32()), **times})


def some_products() -> list[Product]:
    columns = {"origin": "string", "wind": "double", "day": "date"}
    spots = Product("network/airports", {"origin": "string", "alt": "int32"}, [(FEBRUARY, airports())], port="spots")
    hourly = Product("weather/hourly", columns, [(FEBRUARY, weather(1, 2, 3)), (MARCH, weather(1, 2, 9, told=MARCH))])
    hourly.safe, spots.safe = APRIL, MARCH
    daily = Product("punctuality/daily", columns, [(MARCH, weather(4, 5, told=MARCH))], inputs=("weather/hourly",))
    daily.ancestors = (("weather/hourly", FEBRUARY, MARCH),)
    return [hourly, spots, daily]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    with serving(some_products(), tmp_path_factory.mktemp("mesh") / "names") as served:
        yield served


@pytest.fixture
def doors(running: dict[str, Served], tmp_path: Path) -> dict[str, Served]:
    for product in some_products():
        running[product.name].fresh(product, tmp_path / "names")
    return running


@pytest.fixture
def issuer(short_folder: Path) -> Iterator[Issuer]:
    made = Issuer(short_folder / "issuer.sock")
    yield made
    made.stop()


@pytest.fixture
def mesh(tmp_path: Path, doors: dict[str, Served], issuer: Issuer) -> Mesh:
    return Mesh.at(Place("test", "http://127.0.0.1:1", tmp_path, issuer.path), patience=2.0)
