"""Small logs for tests: one table of weather, its rows, a wall clock that stands still."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tests.storage.model import identities_table, rows_table
from tulle.storage.columns import fact_schema
from tulle.storage.log import Log
from tulle.storage.publish import no_steps
from tulle.storage.shapes import Story, TableShape, Write
from tulle.times import Moment

SHAPE = TableShape("rows@1", (("place", "VARCHAR"), ("wind", "DOUBLE")), ("place",))
OTHER = TableShape("early@2", (("place", "VARCHAR"), ("wind", "DOUBLE")), ("place",))
START = Moment(1_628_730_000_000_000)
HOUR = 3_600_000_000
RUN = Story("run")


def open_log(folder: Path, *, wall: Callable[[], Moment] | None = None, steps: Callable[[str], None] = no_steps) -> Log:
    """A log of two tables whose wall clock stands at START."""
    return Log.open(folder, [SHAPE, OTHER], wall=wall or (lambda: START), steps=steps)


def hours(first: int, last: int, wind: float | None = 10.0, place: str = "EWR") -> pa.Table:
    """One reading an hour."""
    rows = [{"place": place, "wind": wind, "actual_time": Moment(hour * HOUR)} for hour in range(first, last)]
    return rows_table(rows, fact_schema(SHAPE))


def write(first: int, last: int, wind: float = 10.0) -> dict[str, Write]:
    return {"rows@1": Write(hours(first, last, wind))}


def retraction(*those: int) -> dict[str, Write]:
    gone = identities_table(SHAPE, [("EWR", Moment(hour * HOUR)) for hour in those])
    return {"rows@1": Write(hours(0, 0), retracts=gone)}


def winds(log: Log, moment: Moment | None = None) -> list[float]:
    found: list[float] = log.read("rows@1", moment or log.published(), order=["actual_time"])["wind"].to_pylist()
    return found
