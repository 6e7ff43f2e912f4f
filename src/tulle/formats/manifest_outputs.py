"""The output ports of a manifest: columns, key, times, expectations, objectives."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tulle.errors import UsageError
from tulle.formats.walk import Place
from tulle.product.manifest import TYPES, ActualTime, Column, Expectation, Facts, Objective, OnFailure, Output
from tulle.times import parse_moment
from tulle.uris import NAME

REQUIRED = ("version", "key", "actual_time", "columns")
OPTIONAL = ("facts", "meaning", "expectations", "objectives")
FACTS: tuple[Facts, ...] = ("events", "state")
ON_FAILURE: tuple[OnFailure, ...] = ("warn", "set_aside", "stop")
VERSION = re.compile(r"[1-9]\d{0,5}\.\d{1,6}\.\d{1,6}|0\.\d{1,6}\.\d{1,6}")
COLUMN = re.compile(r"[^\W\d_]\w*")
RESERVED = ("actual_time", "actual_until", "processing_time")
OTHER_WORDS = {
    "text": "string", "str": "string", "varchar": "string", "char": "string", "category": "string",
    "int": "int64", "integer": "int64", "bigint": "int64", "long": "int64", "number": "double",
    "float64": "double", "real": "double", "float32": "float", "numeric": "decimal", "boolean": "bool",
    "datetime": "timestamp", "timestamptz": "timestamp", "instant": "timestamp", "bytes": "binary", "blob": "binary",
}  # fmt: skip
"""What other systems call our types, for the hint."""


def read(place: Place) -> Output:
    """The output port that stands at `place`; its name is the key, with `@major` where a port has several majors."""
    name, _, major = str(place.path[-1]).partition("@")
    if not NAME.fullmatch(name) or (major and not major.isdecimal()):
        place.faults.add(place.path, f'"{name}" is no name of a port. Lower case letters, digits, - and _', at_key=True)
    at = place.fields(REQUIRED, OPTIONAL)
    version = at["version"].matching(VERSION, "a version: three numbers, 1.0.0") if "version" in at else ""
    output = Output(
        name=name,
        version=version if VERSION.fullmatch(version) else "1.0.0",
        facts=at["facts"].choice(FACTS) if "facts" in at else "events",
        key=at["key"].texts() if "key" in at else (),
        actual_time=_actual_time(at["actual_time"]) if "actual_time" in at else ActualTime(arrival=True),
        columns=tuple(_column(item) for item in at["columns"].items()) if "columns" in at else (),
        expectations=tuple(_expectation(item) for item in at["expectations"].items()) if "expectations" in at else (),
        objectives=_objectives(at),
        meaning=at["meaning"].text() if "meaning" in at else "",
    )
    if major and major != str(output.major):
        place.faults.add(place.path, f"the port is called {name}@{major} but its version is {version}", at_key=True)
    return output


def _column(place: Place) -> Column:
    at = place.fields(("name", "type"), ("meaning", "unit", "required", "tags", "source"))
    return Column(
        name=_column_name(at["name"]) if "name" in at else "",
        type=at["type"].choice(TYPES, OTHER_WORDS) if "type" in at else "string",
        meaning=at["meaning"].text() if "meaning" in at else "",
        unit=at["unit"].text() if "unit" in at else "",
        required=at["required"].flag() if "required" in at else False,
        tags=at["tags"].texts() if "tags" in at else (),
        source=at["source"].text() if "source" in at else "",
    )


def _column_name(place: Place) -> str:
    said = "a name of a column: letters, digits and _, beginning with a letter"
    name = place.matching(COLUMN, said)
    if name.lower() in RESERVED:
        place.wrong(f"every row has {name} anyway. Give the column another name, and say actual_time: that name")
    return name


def _actual_time(place: Place) -> ActualTime:
    if not place.is_mapping:
        column = place.text()
        return ActualTime(arrival=True) if column == "arrival" else ActualTime(column=column)
    at = place.fields((), ("column", "until", "constant", "arrival"))
    if len([key for key in at if key != "until"]) != 1 or ("until" in at and "column" not in at):
        place.wrong(
            "actual_time is a column, a column with until, a constant or arrival", "actual_time: {column: NAME}"
        )
        return ActualTime(arrival=True)
    if "constant" in at:
        return _constant(at["constant"])
    if "arrival" in at:
        if not at["arrival"].flag():
            at["arrival"].wrong("arrival can only be true")
        return ActualTime(arrival=True)
    return ActualTime(column=at["column"].text(), until=at["until"].text() if "until" in at else None)


def _constant(place: Place) -> ActualTime:
    text = place.text()
    if text in {"now", "today", "yesterday"}:
        place.wrong("a constant is a date or a moment with a zone, not a word that changes its meaning")
        return ActualTime(arrival=True)
    try:
        return ActualTime(constant=parse_moment(text) if text else None, arrival=not text)
    except UsageError as problem:
        place.wrong(f"{problem.what}. A constant is a date or a moment with a zone: 2013-01-01, 2013-01-01T08:00Z")
        return ActualTime(arrival=True)


def _expectation(place: Place) -> Expectation:
    at = place.fields(("rule",), ("on_failure", "name"))
    meant = {"error": "stop", "fail": "stop", "drop": "set_aside", "quarantine": "set_aside"}
    on_failure = at["on_failure"].choice(ON_FAILURE, meant) if "on_failure" in at else "warn"
    return Expectation(
        rule=at["rule"].text() if "rule" in at else "",
        on_failure=on_failure,
        name=at["name"].text() if "name" in at else "",
    )


def _objectives(at: Mapping[str, Place]) -> tuple[Objective, ...]:
    if "objectives" not in at:
        return ()
    pairs = [pair for item in at["objectives"].items() for pair in item.entries().items()]
    return tuple(Objective(measure, place.text()) for measure, place in pairs)
