"""The Delta log of a table: a projection of the ledger for readers who come without Tulle.

Only appends are written (protocol: reader 1, writer 2). Each version carries a `txn` action with the seq of its ledger
entry, so that whoever brings the log up to the ledger knows what is there already.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tulle.errors import InvalidManifest
from tulle.storage import columns, disk
from tulle.storage.shapes import Entry, FileFacts, TableShape
from tulle.storage.visitors import readme, views

APP = "tulle"
_SYSTEM_DELTA = {"_op": "integer", "_row_id": "long", "_supersedes": "long"}


class DeltaLog:
    """Writes one table's Delta log. One writer, which holds the product's lock."""

    def __init__(self, folder: Path, shape: TableShape) -> None:
        self._folder, self._shape = folder, shape
        self._log = folder / "_delta_log"
        self._version = -1
        self.seq = 0

    def open(self) -> None:
        """Finds how far the log has come. Raises `InvalidManifest` E021 if the table has other columns or keys."""
        if not self._log.is_dir():
            return
        disk.clear_temporary(self._log)
        versions = [int(path.stem) for path in self._log.glob("*.json") if path.stem.isdigit()]
        self._version = max(versions, default=-1)
        if self._version >= 0:
            self._check(_actions(self._path(0)))
            self.seq = _last_seq(_actions(self._path(self._version)))

    def bring_up(self, entries: Iterable[Entry]) -> None:
        """Writes what is missing: the table itself, then one version per entry that has files of it."""
        if self._version < 0:
            self._create()
        for entry in entries:
            tally = entry.tables.get(self._shape.name)
            if entry.seq > self.seq and tally is not None and tally.files:
                self._put(_append(entry, tally.files))
                self.seq = entry.seq

    def _create(self) -> None:
        disk.make_folder(self._log)
        for name, content in (("README.md", readme(self._shape)), ("views.sql", views(self._shape))):
            disk.replace(self._folder / name, content.encode())
        self._put([_protocol(), _metadata(self._shape)])

    def _put(self, actions: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(action, separators=(",", ":")) + "\n" for action in actions)
        disk.put_if_absent(self._path(self._version + 1), lines.encode())
        self._version += 1

    def _path(self, version: int) -> Path:
        return self._log / f"{version:020d}.json"

    def _check(self, actions: list[dict[str, Any]]) -> None:
        meta: dict[str, Any] = next(action["metaData"] for action in actions if "metaData" in action)
        held, wanted = meta["configuration"], _metadata(self._shape)["metaData"]["configuration"]
        if held["tulle.columns"] == wanted["tulle.columns"] and held["tulle.identity"] == wanted["tulle.identity"]:
            return
        why = f"It has {held['tulle.columns']} identified by {held['tulle.identity']}."
        what = f"the columns or the key of {self._shape.name} changed, and it has been published already"
        raise InvalidManifest("E021", what, why=why, fix="raise the major version of the output port")


def _actions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def _last_seq(actions: list[dict[str, Any]]) -> int:
    return next((int(action["txn"]["version"]) for action in actions if "txn" in action), 0)


def _protocol() -> dict[str, Any]:
    return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def _metadata(shape: TableShape) -> dict[str, Any]:
    fields = [{"name": name, "type": type_, "nullable": True, "metadata": {}} for name, type_ in _delta_columns(shape)]
    configuration = {
        "delta.appendOnly": "true",
        "tulle.columns": json.dumps([list(column) for column in shape.columns]),
        "tulle.identity": json.dumps(list(shape.identity)),
    }
    meta = {
        "id": str(uuid.uuid4()),
        "name": shape.name,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": ["_layer"],
        "configuration": configuration,
        "createdTime": 0,
    }
    return {"metaData": meta}


def _delta_columns(shape: TableShape) -> list[tuple[str, str]]:
    user = [(name, columns.kind(sql_type).delta) for name, sql_type in shape.columns]
    actual = [(name, "timestamp") for name in columns.times(shape)]
    system = [(name, _SYSTEM_DELTA.get(name, "timestamp")) for name, _ in columns.SYSTEM]
    return [*user, *actual, *system, ("_layer", "string")]


def _append(entry: Entry, files: tuple[FileFacts, ...]) -> list[dict[str, Any]]:
    millis = entry.processing_time.micros // 1000
    info = {"timestamp": millis, "operation": "WRITE", "operationParameters": {"mode": "Append"}, "seq": entry.seq}
    transaction = {"appId": APP, "version": entry.seq, "lastUpdated": millis}
    return [{"commitInfo": info}, {"txn": transaction}, *_adds(entry, files, millis)]


def _adds(entry: Entry, files: tuple[FileFacts, ...], millis: int) -> list[dict[str, Any]]:
    adds, ordinal = [], entry.seq << 32
    for facts in files:
        ids = (ordinal, ordinal + facts.rows - 1)
        ordinal += facts.rows
        adds.append(_add(entry, facts, ids, millis))
    return adds


def _add(entry: Entry, facts: FileFacts, ids: tuple[int, int], millis: int) -> dict[str, Any]:
    """Only ranges of times and ids are told: the ranges of user columns could hold personal values."""
    known = str(entry.processing_time)
    low = {"actual_time": str(facts.min_actual), "processing_time": known, "_row_id": ids[0]}
    high = {"actual_time": str(facts.max_actual), "processing_time": known, "_row_id": ids[1]}
    stats = {"numRecords": facts.rows, "minValues": low, "maxValues": high}
    add = {
        "path": facts.path,
        "partitionValues": {"_layer": facts.layer},
        "size": facts.bytes,
        "modificationTime": millis,
        "dataChange": True,
        "stats": json.dumps(stats, separators=(",", ":")),
    }
    return {"add": add}
