"""The story that the README tells, on the real files: one reading of 1,048 mph, and what a day's mean is without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tulle.formats.manifest import drop_folder, load_manifest
from tulle.product_plane.examples import example_folder, example_module
from tulle.product_plane.test import ARRIVED
from tulle.transformation.run import Result, Workshop
from tulle.utility_plane.nursery import Nursery

PRODUCTS = example_folder("flights") / "products"
Tables = dict[str, pa.Table]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Workshop.nursery()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def sources(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Weather, aircraft and the flights of February, as their products publish them."""
    drops = tmp_path_factory.mktemp("drops")
    load: ModuleType = example_module("flights", "load")
    load.deliver_reference(drops)
    load.deliver_months(drops, [2])
    return {
        name: _published(nursery, name, drops) for name in ("weather/hourly", "fleet/aircraft", "operations/flights")
    }


def _published(nursery: Nursery, name: str, drops: Path) -> pa.Table:
    folder = PRODUCTS / name
    manifest = load_manifest(folder)
    port = manifest.file_inputs[0]
    (file,) = drop_folder(manifest, port, folder, drops).iterdir()
    result = Workshop(nursery, folder).ingest(manifest, port.name, file, file.name, ARRIVED)
    assert result.outputs["rows@1"].set_aside is None
    return result.outputs["rows@1"].rows


def _made(nursery: Nursery, name: str, inputs: Tables) -> Result:
    folder = PRODUCTS / name
    return Workshop(nursery, folder).transform(load_manifest(folder), inputs)


def _daily(nursery: Nursery, sources: Tables, weather: pa.Table) -> Result:
    inputs = {"flights": sources["operations/flights"], "weather": weather, "aircraft": sources["fleet/aircraft"]}
    ontime = _made(nursery, "punctuality/ontime", inputs).outputs["rows@1"].rows
    assert ontime.num_rows == sources["operations/flights"].num_rows
    return _made(nursery, "punctuality/daily", {"ontime": ontime, "weather": weather})


def _wind(result: Result) -> float:
    rows = result.outputs["rows@1"].rows
    assert rows.num_rows == 3 * 28
    day = pc.and_(pc.equal(rows["origin"], "EWR"), pc.equal(rows["day"], pa.scalar(date(2013, 2, 12))))
    (wind,) = rows.filter(day)["wind_mean"].to_pylist()
    assert isinstance(wind, float)
    return wind


def test_one_bad_reading_moves_the_mean_of_its_day(nursery, sources):
    weather = sources["weather/hourly"]
    wrong = pc.greater(pc.fill_null(weather["wind_speed"], 0), 1000)
    with_it = _daily(nursery, sources, weather)
    without = _daily(nursery, sources, weather.filter(pc.invert(wrong)))
    assert (_wind(with_it), _wind(without)) == (56.39, 13.26)
    assert any("a mean wind is not a storm" in warning for warning in with_it.warnings)
    assert without.warnings == ()


def test_a_corrected_reading_touches_one_hour_and_one_day(nursery, sources):
    weather = sources["weather/hourly"]
    changed = {"weather": weather.filter(pc.greater(pc.fill_null(weather["wind_speed"], 0), 1000))}
    hours, days = (
        Workshop(nursery, PRODUCTS / name).scope(load_manifest(PRODUCTS / name), changed)
        for name in ("punctuality/ontime", "punctuality/daily")
    )
    assert isinstance(hours, tuple)
    assert isinstance(days, tuple)
    assert [part.num_rows for part in hours] == [1]
    assert [part.to_pylist() for part in days] == [[{"origin": "EWR", "day": date(2013, 2, 12)}]]
