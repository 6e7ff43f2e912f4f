"""What a result must be before it may be published: declared columns and types, whole keys, kept expectations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tulle.errors import CheckFailed, nearest
from tulle.product.manifest import ActualTime, Column, Expectation, Output
from tulle.times import Moment
from tulle.transformation.columns import ARROW, INSTANT, fits, said
from tulle.transformation.engine import Connection, quoted, rows, tables
from tulle.transformation.parse import Source, blank

MOST_NAMED = 5
"""How many rows a message names."""


@dataclass(frozen=True)
class Failing:
    """An expectation that some rows do not meet: how many, and the identities of a few."""

    rule: str
    on_failure: str
    rows: int
    identities: tuple[str, ...]

    def __str__(self) -> str:
        some = "row does" if self.rows == 1 else "rows do"
        more = ", ..." if self.rows > len(self.identities) else ""
        done = "; set aside" if self.on_failure == "set_aside" else ""
        return f"{self.rows} {some} not meet: {self.rule} ({', '.join(self.identities)}{more}){done}"


@dataclass(frozen=True)
class Checked:
    """The rows that may be published, those set aside (with the rule they break in `_rule`), and what was noticed."""

    rows: pa.Table
    set_aside: pa.Table | None
    failing: tuple[Failing, ...]


def identity_of(output: Output) -> tuple[str, ...]:
    """The columns that identify a fact."""
    windowed = ("actual_until",) if output.actual_time.until else ()
    return (*output.key, "actual_time", *windowed)


def shaped(table: pa.Table, output: Output, arrived: Moment | None, source: Source | None) -> pa.Table:
    """The declared columns in their types, and the actual time. Raises `CheckFailed` E035, E031 for a missing value.

    `source` is the file whose rows these are, unchanged and in order; None when code made them.
    """
    names = {column: (column.source or column.name) if source else column.name for column in output.columns}
    _insist_on_columns(table, output, names)
    fitting = {column.name: fits(table[names[column]], column.type) for column in output.columns}
    wrong = [(column, table[names[column]]) for column in output.columns if fitting[column.name] is None]
    if wrong:
        faults = [_misfit(column, values) for column, values in wrong]
        raise CheckFailed("E035", faults[0], where=output.table, why="\n".join([*faults[1:], *_zone_hint(wrong)]))
    shape = [(column.name, ARROW[column.type]) for column in output.columns]
    made = pa.table(list(fitting.values()), schema=pa.schema(shape))
    _insist_on_values(made, output, source)
    return _timed(made, output.actual_time, arrived)


def checked(connection: Connection, table: pa.Table, output: Output, source: Source | None) -> Checked:
    """The rows after the rules: whole and single identities (E032), then expectations (E033 for `stop`)."""
    with tables(connection, {"_rows": table}):
        _insist_on_identities(connection, table, output, source)
        failing = _failing(connection, output)
        for fault in failing:
            if fault.on_failure == "stop":
                raise CheckFailed("E033", f"{output.table}: {fault}", where=output.table)
        if not any(fault.on_failure == "set_aside" for fault in failing):
            return Checked(table, None, failing)
        return _set_aside(connection, output, failing)


def _insist_on_columns(table: pa.Table, output: Output, names: dict[Column, str]) -> None:
    missing = [name for name in names.values() if name not in table.column_names]
    twice = sorted({name for name in names.values() if table.column_names.count(name) > 1})
    if twice:
        raise CheckFailed("E035", f"the result has column {twice[0]} more than once", where=output.table)
    if missing:
        hints = [hint for name in missing if (hint := nearest(name, table.column_names))]
        why = "\n".join([*hints, f"It has: {', '.join(table.column_names)}."])
        raise CheckFailed("E035", f"the result lacks column {', '.join(missing)}", where=output.table, why=why)


def _misfit(column: Column, values: pa.ChunkedArray) -> str:
    got = said(values.type)
    if got == column.type or _widths(got, column.type):
        return f"column {column.name} is {column.type}, and some values do not fit into it"
    return f"column {column.name} is declared {column.type}, the result has {got}"


def _widths(got: str, wanted: str) -> bool:
    numbers = ("int", "float", "double", "decimal")
    return got.startswith((*numbers, "uint")) and wanted.startswith(numbers)


def _zone_hint(wrong: Sequence[tuple[Column, pa.ChunkedArray]]) -> list[str]:
    naive = [c.name for c, values in wrong if pa.types.is_timestamp(values.type) and values.type.tz is None]
    return [f"Say whose time it is: timezone('UTC', {name})." for name in naive]


def _insist_on_values(table: pa.Table, output: Output, source: Source | None) -> None:
    for column in output.columns:
        if not column.required or not table[column.name].null_count:
            continue
        if source:
            raise blank(source, column.source or column.name, pc.index(pc.is_null(table[column.name]), True).as_py())
        count = table[column.name].null_count
        raise CheckFailed("E035", f"column {column.name} is required and null in {count} rows", where=output.table)


def _timed(table: pa.Table, time: ActualTime, arrived: Moment | None) -> pa.Table:
    if time.column:
        table = _with(table, "actual_time", pc.cast(table[time.column], INSTANT))
    else:
        moment = time.constant if time.constant is not None else arrived
        if moment is None:
            raise CheckFailed("E035", "the actual time is the arrival of a file, and these rows came in none")
        table = _with(table, "actual_time", pa.repeat(pa.scalar(moment.micros, INSTANT), table.num_rows))
    return _with(table, "actual_until", pc.cast(table[time.until], INSTANT)) if time.until else table


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.append_column(name, values) if at < 0 else table.set_column(at, name, values)


def _insist_on_identities(connection: Connection, table: pa.Table, output: Output, source: Source | None) -> None:
    for name in (*output.key, "actual_time"):
        if table[name].null_count:
            _refuse_null(table, name, output, source)
    names = ", ".join(quoted(name) for name in identity_of(output))
    grouped = f"SELECT {names} FROM _rows GROUP BY {names} HAVING count(*) > 1"
    found = connection.sql(f"SELECT count(*) FROM ({grouped})").fetchall()[0]
    if found[0]:
        _refuse_twice(connection, table, output, source, int(found[0]))


def _refuse_null(table: pa.Table, name: str, output: Output, source: Source | None) -> NoReturn:
    empty = pc.is_null(table[name])
    first, count = pc.index(empty, True).as_py(), table[name].null_count
    place = source.place(first) if source else output.table
    what = "the actual time" if name == "actual_time" else f"{name}, part of the key,"
    raise CheckFailed("E032", f"{what} is null in {count} {'row' if count == 1 else 'rows'}", where=place)


def _refuse_twice(
    connection: Connection, table: pa.Table, output: Output, source: Source | None, count: int
) -> NoReturn:
    identity = identity_of(output)
    names = ", ".join(quoted(name) for name in identity)
    numbered = table.select(list(identity)).append_column("_n", pa.array(range(table.num_rows), pa.int64()))
    with tables(connection, {"_numbered": numbered}):
        found = rows(
            connection,
            f"SELECT {names}, list(_n ORDER BY _n)[:3] AS _n FROM _numbered GROUP BY {names} HAVING count(*) > 1"
            f" ORDER BY min(_n) LIMIT {MOST_NAMED}",
        ).to_pylist()
    lines = []
    for row in found:
        places = [source.place(n).rpartition(":")[2] for n in row["_n"]] if source else []
        lines.append(_identity(row, identity) + (f" in lines {', '.join(places)}" if places else ""))
    facts = "fact stands" if count == 1 else "facts stand"
    where = source.name if source else output.table
    fix = "add what tells them apart to the key, or remove one"
    raise CheckFailed(
        "E032", f"{count} {facts} more than once in one batch", where=where, why="\n".join(lines), fix=fix
    )


def _failing(connection: Connection, output: Output) -> tuple[Failing, ...]:
    if not output.expectations:
        return ()
    counts = ", ".join(f"count(*) FILTER (WHERE {_broken(e)})" for e in output.expectations)
    try:
        found = connection.sql(f"SELECT {counts} FROM _rows").fetchall()[0] or ()
    except duckdb.Error as error:
        why = _plain_words(error)
        raise CheckFailed("E033", f"a rule of {output.table} cannot be computed", where=output.table, why=why) from None
    pairs = zip(output.expectations, found, strict=True)
    return tuple(_described(connection, output, e, int(count)) for e, count in pairs if count)


def _described(connection: Connection, output: Output, expectation: Expectation, count: int) -> Failing:
    identity = identity_of(output)
    names = ", ".join(quoted(name) for name in identity)
    query = f"SELECT {names} FROM _rows WHERE {_broken(expectation)} LIMIT {MOST_NAMED}"
    named = tuple(_identity(row, identity) for row in rows(connection, query).to_pylist())
    return Failing(_label(expectation), expectation.on_failure, count, named)


def _set_aside(connection: Connection, output: Output, failing: tuple[Failing, ...]) -> Checked:
    rules = [e for e in output.expectations if e.on_failure == "set_aside"]
    reasons = ", ".join(f"CASE WHEN {_broken(e)} THEN {_text(_label(e))} END" for e in rules)
    ruled = rows(connection, f"SELECT *, nullif(concat_ws('; ', {reasons}), '') AS _rule FROM _rows")
    fine = pc.is_null(ruled["_rule"])
    return Checked(ruled.filter(fine).drop_columns("_rule"), ruled.filter(pc.invert(fine)), failing)


def _broken(expectation: Expectation) -> str:
    return f"NOT coalesce(({expectation.rule}), true)"


def _label(expectation: Expectation) -> str:
    return expectation.name or expectation.rule


def _text(label: str) -> str:
    return "'" + label.replace("'", "''") + "'"


def _identity(row: dict[str, Any], identity: tuple[str, ...]) -> str:
    return " ".join(f"{name}={_shown(row[name])}" for name in identity)


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return str(Moment.of(value)).replace(".000000", "")
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain_words(error: duckdb.Error) -> str:
    """What kind of error it is, and its text only where that speaks of names rather than of values."""
    of_names = isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException)
    return str(error).splitlines()[0] if of_names else type(error).__name__
