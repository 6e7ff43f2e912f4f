"""What a column of text holds: numbers, dates, moments, truths or just text, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

NULLS = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-", "--", "\\N", "?")
"""What people write where there is no value."""


@dataclass(frozen=True)
class Kind:
    """A type and how its values are written.

    `form` is a decimal mark for doubles (two characters where thousands are marked too: `.,` is 1.234,5), a strptime
    format for dates and timestamps; empty is the standard form. `zoned` says that each moment names its zone.
    """

    type: str
    form: str = ""
    zoned: bool = False
    doubt: str = ""


TEXT = Kind("string")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_TRUTHS = {"true", "True", "TRUE", "false", "False", "FALSE"}
_NUMBERS = (
    (re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"), "."),
    (re.compile(r"-?\d+(?:,\d+)?(?:[eE][+-]?\d+)?"), ","),
    (re.compile(r"-?\d{1,3}(?:\.\d{3})*(?:,\d+)?"), ".,"),
    (re.compile(r"-?\d{1,3}(?:,\d{3})*(?:\.\d+)?"), ",."),
)
_CODE = re.compile(r"-?0\d+")
_DATES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile(r"\d{4}-\d{2}-\d{2}"), ("%Y-%m-%d",)),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), ("%d.%m.%Y",)),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{2}"), ("%d.%m.%y",)),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), ("%d/%m/%Y", "%m/%d/%Y")),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4}"), ("%d-%m-%Y", "%m-%d-%Y")),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), ("%Y/%m/%d",)),
)
_MOMENT = re.compile(
    r"(?P<day>[\d./-]+)(?P<gap>[T ])(?P<time>\d{1,2}:\d{2}(?::\d{2}(?P<part>\.\d{1,6})?)?)(?P<zone>.*)"
)
_ZONE = re.compile(r"Z|[+-]\d{2}:?\d{2}")


def kind_of(values: Collection[str]) -> Kind:
    """The narrowest kind that all of `values` have. No values at all are text."""
    if not values:
        return TEXT
    for look in (_truths, _integers, _days, _moments, _numbers):
        kind = look(values)
        if kind:
            return kind
    return TEXT


def _truths(values: Collection[str]) -> Kind | None:
    return Kind("bool") if _TRUTHS.issuperset(values) else None


def _integers(values: Collection[str]) -> Kind | None:
    return Kind("int64") if all(_INTEGER.fullmatch(value) for value in values) else None


def _numbers(values: Collection[str]) -> Kind | None:
    if any(_CODE.fullmatch(value) for value in values):
        return None  # 007 is a name, not a number
    for pattern, form in _NUMBERS:
        if all(pattern.fullmatch(value) for value in values):
            return Kind("double", form)
    return None


def _days(values: Collection[str]) -> Kind | None:
    form = _day_form(values)
    if not form:
        return None
    return Kind("date", "" if form[0] == "%Y-%m-%d" else form[0], doubt=form[1])


def _moments(values: Collection[str]) -> Kind | None:
    parts = [_MOMENT.fullmatch(value) for value in values]
    if not all(parts):
        return None
    found = [part for part in parts if part]
    day = _day_form({part["day"] for part in found})
    zoned = {bool(part["zone"]) for part in found}
    if not day or len(zoned) != 1 or not all(_ZONE.fullmatch(part["zone"] or "Z") for part in found):
        return None
    if not _fits([part["time"].partition(".")[0] for part in found], _time_of_day):
        return None
    if day[0] == "%Y-%m-%d" and all(part["time"][2] == ":" for part in found):
        return Kind("timestamp", "", zoned == {True})
    form = _moment_form(day[0], found)
    return Kind("timestamp", form, zoned == {True}, day[1]) if form else None


def _moment_form(day: str, found: list[re.Match[str]]) -> str:
    """The strptime format of moments that are not written in the standard form; nothing if they have several."""
    shapes = {(part["gap"], part["time"].count(":"), bool(part["part"])) for part in found}
    zones = {"%z" if len(part["zone"]) > 1 else part["zone"] for part in found}
    if len(shapes) != 1 or len(zones) != 1:
        return ""
    gap, colons, fraction = shapes.pop()
    time = "%H:%M" + (":%S" if colons == 2 else "") + (".%f" if fraction else "")
    return f"{day}{gap}{time}{zones.pop()}"


def _day_form(values: Collection[str]) -> tuple[str, str] | None:
    """The strptime format that reads all the days, and a doubt if another one would do as well."""
    for pattern, forms in _DATES:
        if not all(pattern.fullmatch(value) for value in values):
            continue
        fitting = [form for form in forms if _fits(values, partial(_day, form=form))]
        if fitting:
            return fitting[0], "the day could also be the month" if len(fitting) > 1 else ""
    return None


def _fits(values: Collection[str], read: Callable[[str], object]) -> bool:
    try:
        for value in values:
            read(value)
    except ValueError:
        return False
    return True


def _day(text: str, form: str) -> date:
    if form == "%Y-%m-%d":
        return date.fromisoformat(text)
    return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone


def _time_of_day(text: str) -> None:
    hour, minute, *second = (int(part) for part in text.split(":"))
    if hour > 23 or minute > 59 or (second and second[0] > 59):
        raise ValueError(text)
