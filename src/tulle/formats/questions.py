"""Questions as they stand in an address: query parameters to `Read` and back, the same words in both directions.

A parameter is a column of the port (`origin=EWR`, `wind_speed__gt=20`) or one of the `PARAMETERS`. A leading underscore
always means the parameter; a column that bears a parameter's name is asked for with an operator (`limit__eq=5`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tulle.errors import UsageError, lost_column, nearest
from tulle.product.manifest import Output
from tulle.product.reading import Operator, Predicate, Read, Scalar
from tulle.times import LATEST, AsOf, At, Latest, Moment, parse_as_of, parse_at, parse_moment
from tulle.uris import PortAddress

PARAMETERS = ("as_of", "at", "columns", "order", "limit")
"""What a read takes besides columns."""
CHANGE_PARAMETERS = ("since", "until", "every", "follow")
"""What a question for changes takes."""
BY_KEY = "key"
"""In an order: the columns that identify a fact."""
FORMATS = ("arrow", "json", "csv")

_OPERATORS: dict[str, Operator] = {
    "eq": "=",
    "ne": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "in": "in",
}
_SUFFIXES: dict[Operator, str] = {operator: suffix for suffix, operator in _OPERATORS.items()}
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_INTEGERS = ("int8", "int16", "int32", "int64")
_LOST_PLUS = re.compile(r"(T[^ ]*) (\d\d:?\d\d)")

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ChangeQuestion:
    """What a reader of changes asks: those after `since`, up to `until`; `follow` says to stay and be told."""

    since: Moment = Moment(0)
    until: AsOf = LATEST
    every: bool = False
    follow: bool = False


def readable_columns(output: Output) -> dict[str, str]:
    """The columns that a reader of the port sees, with their types: its own and its times."""
    columns = {column.name: column.type for column in output.columns}
    times = ("actual_time", "actual_until", "processing_time")
    shown = times if output.actual_time.until else (times[0], times[2])
    return columns | {name: "timestamp" for name in shown if name not in columns}


def split_format(port: str) -> tuple[str, str | None]:
    """The port and the format in `rows.csv`; the format is None where the address names none."""
    name, dot, form = port.rpartition(".")
    return (name, form) if dot and form in FORMATS else (port, None)


def read_question(port: PortAddress, pairs: Pairs, columns: Mapping[str, str]) -> Read:
    """The question that `pairs` ask of `port`, whose columns and types are `columns`.

    Raises `UsageError` E011 for a parameter that is unknown, twice there or unreadable, `NotThere` E201 for a column
    that `columns=` or `order=` names and the port does not have.
    """
    said, filters = _sorted_out(pairs, PARAMETERS, columns)
    return Read(
        port,
        parse_as_of(_zoned(said.get("as_of"))),
        parse_at(_zoned(said.get("at"))),
        _columns(said.get("columns", ""), columns, str(port)),
        filters,
        _order(said.get("order", ""), columns, str(port)),
        _limit(said["limit"]) if "limit" in said else None,
    )


def change_question(pairs: Pairs) -> ChangeQuestion:
    """The question for changes that `pairs` ask. Raises `UsageError` E011 for what it does not take."""
    said, _ = _sorted_out(pairs, CHANGE_PARAMETERS, {})
    since = said.get("since", "")
    return ChangeQuestion(
        parse_moment(_zoned(since) or "") if since else Moment(0),
        parse_as_of(_zoned(said.get("until"))),
        _truth("every", said.get("every", "0")),
        _truth("follow", said.get("follow", "0")),
    )


def read_pairs(read: Read) -> list[tuple[str, str]]:
    """The query parameters that ask `read`: what `read_question` makes the same question of."""
    pairs = [_predicate_pair(predicate) for predicate in read.where]
    if not isinstance(read.as_of, Latest):
        pairs.append(("_as_of", str(read.as_of)))
    pairs += [("_at", str(read.at))] if read.at is not None else []
    pairs += [("_columns", _listed(read.columns))] if read.columns else []
    pairs += [("_order", _listed(read.order))] if read.order else []
    pairs += [("_limit", str(read.limit))] if read.limit is not None else []
    return pairs


def change_pairs(question: ChangeQuestion) -> list[tuple[str, str]]:
    """The query parameters that ask `question`."""
    pairs = [("since", str(question.since))] if question.since.micros else []
    pairs += [("until", str(question.until))] if isinstance(question.until, Moment) else []
    pairs += [("every", "1")] if question.every else []
    return pairs + ([("follow", "1")] if question.follow else [])


def port_path(address: PortAddress) -> str:
    """The path of a port below a door. Where the reader leaves the port open it is `rows`, as nearly every port is."""
    major = f"@{address.major}" if address.major else ""
    return f"/{address.product}/{address.port or 'rows'}{major}"


def _sorted_out(
    pairs: Pairs, parameters: Sequence[str], columns: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Predicate, ...]]:
    said: dict[str, str] = {}
    filters: list[Predicate] = []
    equal: set[str] = set()
    for name, text in pairs:
        parameter = _parameter(name, parameters)
        if parameter is None:
            filters.append(_predicate(name, text, columns, parameters))
            _only_once(filters[-1], equal)
        elif parameter in said:
            raise UsageError("E011", f"{parameter} is there twice", fix=f"{parameter}={text}")
        else:
            said[parameter] = text
    return said, tuple(filters)


def _parameter(name: str, parameters: Sequence[str]) -> str | None:
    bare = name.removeprefix("_")
    return bare if bare in parameters else None


def _only_once(predicate: Predicate, equal: set[str]) -> None:
    """Two values that one column should equal match nothing; who writes that means one of them."""
    if predicate.operator != "=":
        return
    if predicate.column in equal:
        fix = f"{predicate.column}__in=one,another"
        raise UsageError("E011", f"{predicate.column} is there twice: a column cannot equal two values", fix=fix)
    equal.add(predicate.column)


def _predicate(name: str, text: str, columns: Mapping[str, str], parameters: Sequence[str]) -> Predicate:
    column, cut, suffix = name.rpartition("__")
    if cut and column in columns and suffix == "null":
        return Predicate(column, "is null" if _truth(name, text) else "is not null")
    if cut and column in columns and suffix in _OPERATORS:
        operator = _OPERATORS[suffix]
    elif name in columns:
        column, operator = name, "="
    else:
        raise _unknown(name, columns, parameters)
    kind = columns[column]
    if operator == "in":
        return Predicate(column, "in", tuple(_value(name, kind, one) for one in _unlisted(text)))
    return Predicate(column, operator, _value(name, kind, text))


def _unknown(name: str, columns: Mapping[str, str], parameters: Sequence[str]) -> UsageError:
    column, cut, suffix = name.rpartition("__")
    if cut and column in columns:
        return UsageError(
            "E011", f"unknown operator {suffix} in {name}", why=f"Operators: {_words()}", fix=f"{column}__gt"
        )
    known = [*(f"_{p}" for p in parameters), *parameters, *columns]
    hint = nearest(column if cut else name, known, 2)
    valid = f"Parameters: {', '.join(parameters)}"
    if columns:
        valid += f"; or a column: {', '.join(columns)}; with an operator: column__OP, OP one of {_words()}"
    return UsageError("E011", f"unknown parameter {name}", why=f"{hint}\n{valid}".strip())


def _words() -> str:
    return ", ".join([*_OPERATORS, "null"])


def _value(name: str, kind: str, text: str) -> Scalar:
    """The value that `text` stands for in a column of type `kind`. Instants become their one canonical text."""
    try:
        if kind in _INTEGERS:
            return int(text)
        if kind in ("float", "double"):
            return float(text)
    except ValueError:
        raise UsageError("E011", f"{name} takes a {kind}, not {text!r}") from None
    if kind == "bool":
        return _truth(name, text)
    if kind == "timestamp":
        return str(parse_moment(_zoned(text) or ""))
    return text


def _truth(name: str, text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise UsageError("E011", f"{name} takes true or false, not {text!r}")
    return text.lower() in _TRUE


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError("E011", f"limit takes a number of rows, not {text!r}", fix="limit=5")
    return int(text)


def _columns(text: str, columns: Mapping[str, str], where: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_unlisted(text)))
    for name in names:
        if name not in columns:
            raise lost_column(name, columns, where)
    return names


def _order(text: str, columns: Mapping[str, str], where: str) -> tuple[str, ...]:
    names = _unlisted(text)
    for name in names:
        bare = name if name in columns else name.removeprefix("-")
        if bare not in columns and name != BY_KEY:
            raise lost_column(bare, columns, where)
    return names


def _zoned(text: str | None) -> str | None:
    """Undoes what `+` turns into in an address that was not encoded: 2013-02-12T08:00+01:00 has lost its plus."""
    return _LOST_PLUS.sub(r"\1+\2", text) if text else text


def _predicate_pair(predicate: Predicate) -> tuple[str, str]:
    column, operator, value = predicate.column, predicate.operator, predicate.value
    if operator in ("is null", "is not null") or (value is None and operator in ("=", "!=")):
        absent = operator == "is null" or (operator == "=" and value is None)
        return f"{column}__null", "true" if absent else "false"
    if operator == "in":
        values = value if isinstance(value, tuple) else (value,)
        return f"{column}__in", _listed([_text(one) for one in values])
    assert not isinstance(value, tuple)
    plain = operator == "=" and "__" not in column and _parameter(column, PARAMETERS) is None
    return column if plain else f"{column}__{_SUFFIXES[operator]}", _text(value)


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _listed(values: Iterable[str]) -> str:
    """Values with commas between them, quoted as in CSV where they need it."""
    values = list(values)
    if values == [""]:
        return '""'
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(values)
    return out.getvalue()


def _unlisted(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    return tuple(next(csv.reader(io.StringIO(text, newline=""))))


def as_at(at: At) -> str | None:
    """An actual time as it stands in an address or a body."""
    return None if at is None else str(at)
