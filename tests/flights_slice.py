"""A few days of each month of the example's data, so that a year passes in seconds: the files' own lines, unchanged."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from tulle.product_plane.examples import example_module

HOURLY, AIRCRAFT = "weather/hourly/readings", "fleet/aircraft/register"
AIRPORTS, AIRLINES = "network/airports/airports", "network/carriers/airlines"
FLIGHTS = "operations/flights/months"
"""The drop folders, below the folder for all of them."""
PORTS = (
    "weather/hourly",
    "operations/flights",
    "fleet/aircraft",
    "network/airports",
    "network/carriers",
    "punctuality/ontime",
    "punctuality/daily",
)
DERIVED = {
    "punctuality/ontime": ("operations/flights", "weather/hourly", "fleet/aircraft"),
    "punctuality/daily": ("operations/flights", "weather/hourly", "fleet/aircraft", "punctuality/ontime"),
}
"""What each derived product is made from, directly or not."""


@cache
def load() -> ModuleType:
    """The example's own loader."""
    return example_module("flights", "load")


def month_name(month: int) -> str:
    """The name of a month's file."""
    return str(load().month_name(month))


@cache
def whole(name: str) -> bytes:
    """One of the files that are not cut by month."""
    return (_data() / name).read_bytes()


@cache
def flights(month: int, days: range | None = None) -> bytes:
    """The flights of a month, or of some days of it."""
    header, *lines = _year()
    return b"".join([header, *_of(lines, month, days, first=0)])


@cache
def weather(days: range) -> bytes:
    """The weather of some days of every month."""
    header, *lines = whole("weather.csv").splitlines(keepends=True)
    found = (line for month in range(1, 13) for line in _of(lines, month, days, first=1))
    return b"".join([header, *found])


def rows(content: bytes) -> int:
    """How many rows a file has."""
    return content.count(b"\n") - 1


def _of(lines: Collection[bytes], month: int, days: range | None, first: int) -> Iterator[bytes]:
    """The lines of some days; `first` is the column of the year, which month and day follow."""
    for line in lines:
        _, mine, day = line.split(b",", first + 3)[first : first + 3]
        if int(mine) == month and (days is None or int(day) in days):
            yield line


@cache
def _year() -> list[bytes]:
    with zipfile.ZipFile(_data() / "flights.csv.zip") as archive:
        return archive.read("flights.csv").splitlines(keepends=True)


def _data() -> Path:
    return Path(str(load().data_folder()))
