"""The bitemporal log of one product: its ledger, its tables, its clock. One writer, any number of reading threads."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from tulle.errors import Conflict, NotThere
from tulle.storage import changes as changing
from tulle.storage import columns, disk, ledger, scan, tables
from tulle.storage.clock import WriterClock
from tulle.storage.delta import DeltaLog
from tulle.storage.digest import digest
from tulle.storage.engine import Engine
from tulle.storage.footers import Footers
from tulle.storage.index import Index, Placed, files_of
from tulle.storage.publish import Publisher, Steps, no_steps
from tulle.storage.resolve import Past, Wish, resolve, wish
from tulle.storage.scan import Ask, Condition, Source
from tulle.storage.shapes import Entry, Standing, Story, TableShape, Write
from tulle.storage.standing import standing_of, values_taken
from tulle.times import EVERYTHING, Moment, Period, wall_clock


class Log:
    """Opened with `Log.open`; closed by `close` or as a context manager."""

    def __init__(self, folder: Path, shapes: Sequence[TableShape], wall: Callable[[], Moment], steps: Steps) -> None:
        self.folder = folder
        self.shapes = {shape.name: shape for shape in shapes}
        self._wall, self._steps = wall, steps
        self._engine, self._index, self._footers = Engine(folder / "spill"), Index(), Footers()
        self._changing, self._writing = threading.RLock(), threading.Lock()
        self._lock: int | None = None
        self._clock: WriterClock | None = None
        self._publisher: Publisher | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        shapes: Sequence[TableShape],
        *,
        writer: bool = True,
        wall: Callable[[], Moment] = wall_clock,
        steps: Steps = no_steps,
    ) -> Log:
        """Reads and proves the ledger. A writer also rolls the tables' Delta logs forward and clears what a crash left.

        Raises `Conflict` E002 if another writer holds the product, `TulleError` E009 if the ledger is damaged,
        `InvalidManifest` E021 if a table has been published with other columns. `steps` is called with the name
        of each step of a commit, for tests that stop there.
        """
        for shape in shapes:
            columns.check(shape)
        log = cls(folder.absolute(), shapes, wall, steps)
        try:
            log._start_writing() if writer else log.refresh()
        except BaseException:
            log.close()
            raise
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the engine and of the writer's lock."""
        self._engine.rest()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def rest(self) -> None:
        """Gives back the memory of the engine, if no read is under way. It comes back by itself."""
        self._engine.rest()

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def refresh(self) -> Entry | None:
        """Takes in what another process published since. Returns the head."""
        for entry in ledger.read_after(self.folder / "ledger", self.head()):
            self._adopt(entry)
        return self.head()

    def head(self) -> Entry | None:
        """The newest entry."""
        with self._changing:
            return self._index.entries[-1] if self._index.entries else None

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a seq above `after`, in order."""
        with self._changing:
            found = self._index.entries[after:]
        return iter(found)

    def at(self, moment: Moment) -> Entry | None:
        """The newest entry with a processing time at or before `moment`."""
        with self._changing:
            return self._index.at(moment)

    def published(self) -> Moment:
        """The processing time of the head; `Moment(0)` before the first publication."""
        head = self.head()
        return head.processing_time if head else Moment(0)

    def safe(self) -> Moment:
        """Just below the commit in flight, if there is one; otherwise the product's clock."""
        return self._clock.safe() if self._clock else self.published()

    def close_until(self, moment: Moment) -> None:
        """Makes "answered at `moment`" durable: no later commit comes at or below it, not even after a restart.

        Waits for a commit in flight at or below `moment`. Raises `UsageError` E071 for a moment in the future.
        """
        if self._clock is not None:
            self._clock.close_until(moment)
        elif moment > self.published():
            raise Conflict("E002", f"only the writer can answer at {moment}", why=f"Published is {self.published()}.")

    def cursors(self) -> Mapping[str, Any]:
        """The newest cursor of each input."""
        with self._changing:
            return dict(self._index.cursors)

    def consumed(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """The files that an input port has consumed, in order."""
        with self._changing:
            return tuple(self._index.consumed.get(name, ()))

    def parked(self) -> tuple[Mapping[str, Any], ...]:
        """Batches set aside whole and not yet replayed."""
        with self._changing:
            return tuple(self._index.parked.values())

    def standing(self) -> tuple[Standing, ...]:
        """The retractions that stand now."""
        with self._changing:
            made = {seq: self._index.entries[seq - 1] for seq in sorted(self._index.standing)}
        return tuple(each for name in self.shapes for each in standing_of(self._engine, self._past(name), made))

    # -- writing ------------------------------------------------------------------------------------------------------

    def commit(self, writes: Mapping[str, Write], story: Story) -> Entry:
        """Publishes writes to any of the tables under one processing time: all of it, or nothing.

        Raises `CheckFailed` E032 or E035 for rows that are not of the table, `Unavailable` E004 on a full disk.
        """
        wishes = {name: wish(self._shape(name), write) for name, write in writes.items()}
        return self._commit(wishes, story)

    def lift(self, table: str, identities: pa.Table, story: Story) -> Entry:
        """Ends standing retractions: the values that they took away are asserted again. Others are left alone."""
        shape = self._shape(table)
        wanted = columns.conform(identities, columns.identity_schema(shape), "what is to be lifted")
        with self._changing:
            standing = frozenset(self._index.standing)
        taken = values_taken(self._engine, self._past(table), standing, wanted)
        return self._commit({table: wish(shape, Write(taken))}, story, lifting=True)

    def _commit(self, wishes: Mapping[str, Wish], story: Story, *, lifting: bool = False) -> Entry:
        if self._publisher is None or self._clock is None:
            raise Conflict("E002", "this log was opened for reading")
        with self._writing, disk.room_needed(str(self.folder)):
            resolved = {
                name: resolve(self._engine, self._past(name, lifting=lifting), each) for name, each in wishes.items()
            }
            self._steps("resolved")
            with self._clock.flight(story.above) as moment:
                entry = self._publisher.publish(resolved, story, moment, self.head())
                self._adopt(entry)
                self._clock.landed(moment)
            self._publisher.project(self._index.entries)
            return entry

    # -- reading ------------------------------------------------------------------------------------------------------

    def select(
        self,
        table: str,
        moment: Moment,
        at: Moment | Period | None = None,
        columns: Sequence[str] = (),
        where: Sequence[Condition] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> str:
        """The SQL text, for any DuckDB connection, of what was believed at `moment`.

        Event tables: the facts with an actual time in `at` (windows: overlapping it). State tables: per key the values
        in force at that instant, or at some time in that period; without `at`, all facts. No `columns`: all that
        readers see. Raises `NotThere` E201 for an unknown column, `UsageError` E011 for a value that cannot be
        compared.
        """
        shape, period = self._shape(table), scan.period_of(at)
        ask = Ask(tuple(columns), tuple(where), tuple(order), limit)
        held_back = shape.facts == "state" or shape.windows
        source = self._source(table, moment, Period(None, period.end) if held_back else period)
        facts = scan.in_force if shape.facts == "state" else scan.events
        return scan.finish(facts(source, period, ask.stored(shape)), shape, ask)

    def read(
        self,
        table: str,
        moment: Moment,
        at: Moment | Period | None = None,
        columns: Sequence[str] = (),
        where: Sequence[Condition] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> pa.Table:
        """The rows of `select`."""
        return self._engine.table(self.select(table, moment, at, columns, where, order, limit))

    def stream(
        self,
        table: str,
        moment: Moment,
        at: Moment | Period | None = None,
        columns: Sequence[str] = (),
        where: Sequence[Condition] = (),
        order: Sequence[str] = (),
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """The rows of `select` as they come, for answers larger than memory."""
        return self._engine.reader(self.select(table, moment, at, columns, where, order, limit))

    def state(self, table: str, moment: Moment, instant: Moment) -> pa.Table:
        """Per key, the values in force at `instant`, as believed at `moment`, whatever facts the table declares."""
        shape = self._shape(table)
        source, period = self._source(table, moment, Period(None, instant.plus(1))), Period(instant, instant.plus(1))
        ask = Ask()
        return self._engine.table(scan.finish(scan.in_force(source, period, ask.stored(shape)), shape, ask))

    def changes(self, table: str, since: Moment, until: Moment, *, every: bool = False) -> pa.Table:
        """What changed after `since` up to `until`: net, or each version on the way. See `storage.changes`."""
        return self._engine.table(self._changes(table, since, until, every=every))

    def changes_stream(self, table: str, since: Moment, until: Moment, *, every: bool = False) -> pa.RecordBatchReader:
        """The rows of `changes` as they come."""
        return self._engine.reader(self._changes(table, since, until, every=every))

    def history(
        self,
        table: str,
        where: Sequence[Condition] = (),
        *,
        moment: Moment | None = None,
        at: Moment | Period | None = None,
    ) -> pa.Table:
        """All versions, known at `moment`, of the facts of which some version meets `where`, retractions included."""
        period = scan.period_of(at)
        held_back = self._shape(table).windows
        source = self._source(table, moment or self.published(), Period(None, period.end) if held_back else period)
        return self._engine.table(changing.history(source, period, where))

    def digest(self, rows: pa.Table) -> str:
        """The order-free digest of rows, in the order that their columns stand in."""
        return digest(rows)

    def _changes(self, table: str, since: Moment, until: Moment, *, every: bool) -> str:
        past = self._past(table)
        return changing.changes(past.shape, past.folder, past.placed, (since, until), every=every)

    def _source(self, table: str, moment: Moment, period: Period = EVERYTHING) -> Source:
        past = self._past(table)
        return Source(past.shape, past.folder, files_of(past.placed, moment, period))

    def _past(self, table: str, *, lifting: bool = False) -> Past:
        shape = self._shape(table)
        with self._changing:
            placed: tuple[Placed, ...] = tuple(self._index.placed.get(table, ()))
            standing = frozenset() if lifting else frozenset(self._index.standing)
        return Past(shape, self._table_folder(table), placed, standing, self._footers)

    def _shape(self, table: str) -> TableShape:
        shape = self.shapes.get(table)
        if shape is None:
            raise NotThere("E404", f"no table {table}", why=f"There are {', '.join(self.shapes)}")
        return shape

    def _table_folder(self, table: str) -> Path:
        return self.folder / "tables" / table

    def _adopt(self, entry: Entry) -> None:
        with self._changing:
            self._index.adopt(entry)

    # -- opening ------------------------------------------------------------------------------------------------------

    def _start_writing(self) -> None:
        disk.make_folder(self.folder / "ledger")
        self._lock = _locked(self.folder / "writer.lock")
        disk.clear_temporary(self.folder / "ledger")
        disk.clear_temporary(self.folder)
        self.refresh()
        self._clock = WriterClock(self.folder / "clock", self._wall, self.published())
        deltas = {name: DeltaLog(self._table_folder(name), shape) for name, shape in self.shapes.items()}
        for name, delta in deltas.items():
            delta.open()
            named = {placed.facts.path for placed in self._index.placed.get(name, ())}
            tables.clear_orphans(self._table_folder(name), named)
        self._publisher = Publisher(self.folder, self.shapes, deltas, self._steps)
        self._publisher.project(self._index.entries)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        why = "One process at a time publishes a product."
        raise Conflict("E002", "another writer holds this product", where=str(path), why=why) from None
    return handle
