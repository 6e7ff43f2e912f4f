"""A reader's SELECT over views of a product's ports. The text was checked and written anew before it came here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import duckdb
import pyarrow as pa

from tulle.errors import CheckFailed, TulleError, UsageError, lost_column
from tulle.transformation.engine import Connection, lock, quoted

BATCH = 65_536
LARGE = 16 << 20
"""Bytes of files beyond which a second thread pays."""

_COLUMN = re.compile(r'(?:Referenced column|column with name|[Cc]olumn) "?([^"\s]+?)"? (?:not found|does not|was not)')
_PLACE = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE)
_QUOTED = re.compile(r'(?:name "?|with name )([^"\s]+?)"? does not exist')


def query(
    connection: Connection,
    sql: str,
    views: Mapping[str, str],
    tables: Mapping[str, pa.Table],
    readable: Iterable[Path],
    memory_mb: int,
    out: int,
) -> int:
    """Writes the rows of `sql` to `out` as an Arrow stream; returns how many."""
    files = [file for path in readable for file in _files(path)]
    if sum(file.stat().st_size for file in files) > LARGE:
        connection.execute("SET threads=2")
    lock(connection, memory_mb, files)
    for name, table in tables.items():
        connection.register(name, table)
    for name, text in views.items():
        connection.execute(f"CREATE SECURE VIEW {quoted(name)} AS {text}")
    known = [*views, *tables]
    try:
        return _stream(connection, sql, out)
    except duckdb.Error as error:
        _explain(connection, error, known)
    except OSError as error:
        raise CheckFailed("E204", "the answer is too large", why="Ask for fewer rows, or aggregate them.") from error


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*.parquet") if file.is_file()) if path.is_dir() else [path]


def _stream(connection: Connection, sql: str, out: int) -> int:
    count = 0
    reader = connection.sql(sql).to_arrow_reader(BATCH)
    with os.fdopen(out, "wb", closefd=False) as file, pa.ipc.new_stream(file, reader.schema) as stream:
        for batch in reader:
            stream.write_batch(batch)
            count += batch.num_rows
    return count


def _explain(connection: Connection, error: duckdb.Error, known: Iterable[str]) -> NoReturn:
    """An error in words of our own: the engine's may quote values that the reader must not see."""
    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        raise CheckFailed("E204", "the statement needs more memory than a query may use") from None
    if isinstance(error, duckdb.InterruptException):
        raise CheckFailed("E204", "the statement ran out of time") from None
    if isinstance(error, duckdb.BinderException) and (match := _COLUMN.search(text)):
        columns = [row[0] for name in known for row in connection.execute(f"DESCRIBE {quoted(name)}").fetchall()]
        raise lost_column(match[1], dict.fromkeys(columns), ", ".join(known)) from None
    raise _by_kind(error, text) from None


def _by_kind(error: duckdb.Error, text: str) -> TulleError:
    place = _place(text)
    if isinstance(error, duckdb.ParserException | duckdb.SyntaxException):
        return UsageError("E203", "the statement is no SQL", where=place)
    if isinstance(error, duckdb.CatalogException):
        name = _QUOTED.search(text)
        return UsageError("E202", f"there is no {name[1] if name else 'such function or table'} here", where=place)
    if isinstance(error, duckdb.PermissionException):
        return UsageError("E202", "the statement reached for something it may not", where=place)
    if isinstance(error, duckdb.BinderException | duckdb.NotImplementedException):
        why = "Types or grouping do not fit: a function got another type than it takes, or a column is not grouped."
        return UsageError("E203", "the statement does not fit the columns", where=place, why=why)
    why = f"{type(error).__name__}: a value could not be converted or computed. try_cast gives null instead."
    return CheckFailed("E205", "the statement failed on the data", where=place, why=why)


def _place(text: str) -> str:
    match = _PLACE.search(text)
    if not match:
        return ""
    column = max(len(match[3]) - len(f"LINE {match[1]}: ") + 1, 1)
    return f"line {match[1]}, column {column} of the statement"
