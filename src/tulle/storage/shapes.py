"""The values that go into and come out of the bitemporal log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from tulle.times import Moment


@dataclass(frozen=True)
class TableShape:
    """One table of the log: its name (`rows@1`), its columns as (name, SQL type), and what identifies a fact.

    `windows` says that actual time is a window: the table then has `actual_until` beside `actual_time`, and the window
    is part of the identity.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    facts: Literal["events", "state"] = "events"
    windows: bool = False

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that identify a fact: key and actual time."""
        return (*self.key, "actual_time", "actual_until") if self.windows else (*self.key, "actual_time")


class Everything:
    """The scope that covers a whole table."""


EVERYTHING = Everything()


@dataclass(frozen=True)
class Write:
    """What one commit wants to be true of one table.

    - `puts`: user columns plus `actual_time` (and `actual_until`), one row per identity. A put equal to the newest
      belief is dropped at commit (null = null, NaN = NaN).
    - `retracts`: identities to retract, whatever they hold now; those not live are ignored.
    - `scope`: what the puts are the whole truth of. Live identities in scope that are neither put nor in `kept` are
      retracted. A tuple of tables of distinct values over some of the table's columns (a row is in scope if it matches
      a row of any of them, null matching null), or `EVERYTHING`. An empty tuple: the puts are additions only.
    - `kept`: identities that must stay as they are although not put (their new values were set aside).
    """

    puts: pa.Table
    retracts: pa.Table | None = None
    scope: tuple[pa.Table, ...] | Everything = ()
    kept: pa.Table | None = None


@dataclass(frozen=True)
class Story:
    """Why a commit is made: what the ledger keeps beside the data. All of it JSON-able.

    `above` is the moment that the processing time must exceed (the newest consumed). `cursors` maps each input
    that moved to its new cursor. `provenance` maps each ancestor to its [oldest, newest] moment. `standing` marks the
    retractions of this commit as standing: applied to every later commit until lifted or until the source delivers
    other values.
    """

    kind: Literal["run", "retract", "lift", "park"]
    above: Moment = Moment(0)
    run: str = ""
    revision: str = ""
    cursors: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, tuple[Moment, Moment]] = field(default_factory=dict)
    parked: tuple[Mapping[str, Any], ...] = ()
    unparked: tuple[str, ...] = ()
    standing: bool = False
    who: str = ""
    reason: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FileFacts:
    """One immutable Parquet file of a table: path below the table's folder, layer, and what is in it.

    `touches` are the commits (their seq) whose rows the rows of this file supersede: who reads other commits need not
    look.
    """

    path: str
    layer: Literal["new", "fix"]
    rows: int
    bytes: int
    min_actual: Moment
    max_actual: Moment
    touches: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tally:
    """What a commit did to one table."""

    files: tuple[FileFacts, ...] = ()
    inserted: int = 0
    corrected: int = 0
    retracted: int = 0
    unchanged: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Entry:
    """One entry of the ledger: a published processing time. `hash` covers the entry and the hash before it."""

    seq: int
    processing_time: Moment
    story: Story
    tables: Mapping[str, Tally]
    previous: str
    hash: str


@dataclass(frozen=True)
class Standing:
    """Retractions of one table made by one commit that still stand: who took which facts away, when and why."""

    table: str
    moment: Moment
    who: str
    reason: str
    identities: pa.Table
