"""The embedded query engine: opened when first needed, shared by threads, let go when nobody has used it a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from tulle.errors import Unavailable

LINGER = 3.0
"""Seconds an unused connection is kept: opening one costs more than a small read, keeping one costs memory."""

BATCH = 65_536
Config = dict[str, str | bool | int | float | list[str]]


class Engine:
    """Hands out cursors of one lazily opened DuckDB connection. What memory cannot hold goes to `spill`."""

    def __init__(self, spill: Path, threads: int = 2, memory: str = "512MB", linger: float = LINGER) -> None:
        self._config: Config = {"threads": threads, "memory_limit": memory, "temp_directory": str(spill)}
        self._linger = linger
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._users = 0
        self._timer: threading.Timer | None = None

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of one's own, for one thread."""
        cursor = self._take()
        try:
            yield cursor
        except duckdb.OutOfMemoryException as error:
            why = str(error).splitlines()[0]
            raise Unavailable("E204", "there is no room for what the statement needs", why=why) from None
        except duckdb.IOException as error:
            if "No space left" not in str(error):
                raise
            raise Unavailable("E004", "the disk is full: temporary data of a statement") from None
        finally:
            cursor.close()
            self._give_back()

    def table(self, query: str) -> pa.Table:
        """The rows of a query."""
        with self.cursor() as cursor:
            return cursor.sql(query).to_arrow_table()

    def reader(self, query: str) -> pa.RecordBatchReader:
        """The rows of a query as they come. The cursor is held until the reader is read out or dropped."""
        batches = self._batches(query)
        schema = next(batches)
        assert isinstance(schema, pa.Schema)
        return pa.RecordBatchReader.from_batches(schema, batches)

    def rest(self) -> None:
        """Lets the connection go if nobody is using it."""
        with self._lock:
            self._stop_timer()
            if self._users == 0 and self._connection is not None:
                self._connection.close()
                self._connection = None
                pa.default_memory_pool().release_unused()

    def _batches(self, query: str) -> Iterator[pa.Schema | pa.RecordBatch]:
        with self.cursor() as cursor:
            reader = cursor.sql(query).to_arrow_reader(BATCH)
            yield reader.schema
            yield from reader

    def _take(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            self._stop_timer()
            if self._connection is None:
                self._connection = _connect(self._config)
            self._users += 1
            cursor = self._connection.cursor()
        cursor.execute("SET TimeZone='UTC'")
        return cursor

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._connection is not None:
                self._timer = _after(self._linger, self.rest)


def _connect(config: Config) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=config)
    connection.execute("SET parquet_metadata_cache=true; SET enable_progress_bar=false")
    return connection


def _after(seconds: float, call: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    return timer
