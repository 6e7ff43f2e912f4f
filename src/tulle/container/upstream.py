"""Another product as a source: reached through its own door, as any reader does, under this product's identity."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tulle.client.calls import Call, Calls
from tulle.client.follow import Follow
from tulle.errors import TulleError
from tulle.formats.questions import ChangeQuestion, change_pairs, port_path, read_pairs
from tulle.product.reading import Predicate, Provenance, Read
from tulle.times import Moment, parse_moment
from tulle.uris import PortAddress

UNSEALED = {"Tulle-Digest": "off"}
"""A run names what it read by its moment; it needs no digest of the rows."""
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Fetched:
    """Rows of an upstream, and what the moment they were read at was itself made from."""

    rows: pa.Table
    ancestors: Provenance


class Upstream:
    """One input port: what its source has announced, and its rows and changes at a moment."""

    def __init__(self, port: PortAddress, calls: Calls, changed: Callable[[], object]) -> None:
        self._port, self._calls, self._changed = port, calls, changed
        self._heard: Moment | None = None
        self._actual: Moment | None = None
        self._trouble: TulleError | None = None
        self._closed = threading.Event()
        self._following: Follow | None = None

    def heard(self) -> Moment | None:
        """The newest moment that the source has announced; None before its first publication."""
        return self._heard

    def actual(self) -> Moment | None:
        """The last actual time in what the source has announced, in the port that this input reads."""
        return self._actual

    def trouble(self) -> TulleError | None:
        """Why the source cannot be followed at present; None while it can."""
        return self._trouble

    def follow(self) -> None:
        """Listens to the source's announcements from now on, whatever becomes of either process."""
        threading.Thread(target=self._follow, name=f"follow {self._port.product}", daemon=True).start()

    def close(self) -> None:
        """Stops listening."""
        self._closed.set()
        if self._following:
            self._following.close()

    def rows(self, moment: Moment, where: Sequence[tuple[str, Any, Any]]) -> Fetched:
        """The source's rows as of `moment` that meet `where`, all of them if empty."""
        read = Read(self._port, moment, where=tuple(Predicate(*each) for each in where))
        rows, stamp = self._calls.rows(self._call(port_path(self._port), read_pairs(read)))
        return Fetched(without_versions(rows), stamp.provenance)

    def changes(self, since: Moment, until: Moment) -> Fetched:
        """Every row that changed after `since` up to `until`, as it was and as it is."""
        pairs = change_pairs(ChangeQuestion(since, until))
        rows, stamp = self._calls.rows(self._call(f"{port_path(self._port)}/changes", pairs))
        return Fetched(both_sides(rows), stamp.provenance)

    def _call(self, path: str, pairs: Sequence[tuple[str, str]] = ()) -> Call:
        return Call(path, self._port.product, pairs, headers=UNSEALED)

    def _follow(self) -> None:
        while not self._closed.is_set():
            since = str(self._heard) if self._heard else ""
            path = f"/{self._port.product}/announcements"
            self._following = Follow(self._calls, self._call(path), since)
            try:
                self._listen(self._following)
            except TulleError as trouble:
                self._trouble = trouble
                self._changed()
                self._closed.wait(PAUSE_SECONDS)

    def _listen(self, following: Follow) -> None:
        for told in following:
            self._trouble = None
            said = told.document()
            last = _of_port(said.get("actual", {}), self._port)
            self._actual = parse_moment(last) if last else None
            self._heard = parse_moment(said["moment"])
            self._changed()


def _of_port(actual: Mapping[str, str], port: PortAddress) -> str | None:
    """The entry of the port's table; of its newest major where the input names none."""
    tables = sorted(actual, key=lambda table: int(table.rpartition("@")[2]))
    fitting = [t for t in tables if t.rpartition("@")[0] == (port.port or t.rpartition("@")[0])]
    chosen = [t for t in fitting if port.major in (None, int(t.rpartition("@")[2]))]
    return actual[chosen[-1]] if chosen else None


def without_versions(rows: pa.Table) -> pa.Table:
    """What a product's code sees of an input: the source's own columns and actual time."""
    return rows.drop_columns([name for name in ("processing_time",) if name in rows.column_names])


def both_sides(changes: pa.Table) -> pa.Table:
    """Changed rows as plain rows: what each was before, and what it is after, where it was or is anything."""
    after = changes.filter(pc.not_equal(changes["_change"], "retract")).drop_columns(["_change", "before"])
    was = changes.filter(pc.is_valid(changes["before"]))
    columns = {field.name: pc.struct_field(was["before"], field.name) for field in changes.schema.field("before").type}
    columns |= {name: was[name] for name in ("actual_time", "actual_until") if name in was.column_names}
    kept = [name for name in after.column_names if name in columns]
    before = pa.table([columns[name] for name in kept], names=kept)
    return pa.concat_tables([after.select(kept), before.cast(after.select(kept).schema)])
