"""The embedded query engine inside a child: one thread, nothing outside within reach, the same answer every time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

Connection = duckdb.DuckDBPyConnection

_MACRO = "CREATE MACRO local_day(instant, zone) AS CAST(timezone(zone, instant) AS DATE)"
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    # No thread may be older than the walls around a child, and one thread adds numbers in one order.
    "async_threads": 0,
    "python_enable_replacements": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "temp_directory": "",  # nothing is spilled: a child writes no files
}
_ready: list[Connection] = []

# The first list that Arrow is given has it look for pandas, which takes a second where it is installed: once here,
# before anything is forked, rather than in every child.
pa.array([0])


def warm() -> None:
    """Opens a connection ahead of the job, and has it do a little of everything: first times are slow."""
    connection = _open()
    connection.register("warm", pa.table({"a": [1, 2, 2], "b": ["x", None, "y"]}))
    connection.sql(
        "SELECT w.a, count(*), local_day(max(now()), 'UTC') FROM warm w"
        " JOIN warm v ON w.a = v.a AND w.b IS NOT DISTINCT FROM v.b GROUP BY w.a HAVING count(*) >= 1"
    ).to_arrow_table()
    connection.unregister("warm")
    _ready.append(connection)


def take() -> Connection:
    """This child's connection: UTC, `local_day` defined."""
    return _ready.pop() if _ready else _open()


def lock(connection: Connection, memory_mb: int, files: Iterable[Path] = ()) -> None:
    """Shuts the connection in: `files` are all it can open, and no statement can change that."""
    room = max(memory_mb * 8 // 10, 64)
    connection.execute(f"SET memory_limit='{room}MiB'")
    allowed = ", ".join(literal(str(path)) for path in files)
    if allowed:
        connection.execute(f"SET allowed_paths=[{allowed}]")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")


@contextlib.contextmanager
def tables(connection: Connection, given: Mapping[str, pa.Table]) -> Iterator[None]:
    """The given tables under their names, for as long as the block lasts."""
    for name, table in given.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in given:
            connection.unregister(name)


def rows(connection: Connection, query: str) -> pa.Table:
    """The rows of a query, as strings of the plain kind and instants in UTC."""
    return connection.sql(query).to_arrow_table()


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _open() -> Connection:
    connection = duckdb.connect(config=_CONFIG)
    connection.execute("SET TimeZone='UTC'")
    connection.execute(_MACRO)
    return connection
