"""Server-sent events: how a change is framed, and how a stream of them is read while it comes.

The id of an event is a moment: the cursor from which a reader who got that event goes on without loss. Of the changes
of one publication only the last carries it, so that who is cut off in the middle gets the whole publication again.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tulle.formats.answers import as_rows
from tulle.times import Moment

STILL_HERE = ": still here\n\n"
"""Keeps a quiet line open."""
_TIMES = ("actual_time", "actual_until", "processing_time")
_NOT_USER = ("_change", "before", *_TIMES)


@dataclass(frozen=True)
class Event:
    """One event as it came: its name, its data, and the id that was last seen when it was whole."""

    name: str
    data: str
    id: str

    def document(self) -> dict[str, Any]:
        """The data, which is a JSON object."""
        found: dict[str, Any] = json.loads(self.data)
        return found


def event(name: str, document: Mapping[str, Any], cursor: str | None = None) -> str:
    """One event, framed. Without an id the reader's cursor stays where it is."""
    head = f"id: {cursor}\n" if cursor is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(document, ensure_ascii=False)}\n\n"


def moved(cursor: str) -> str:
    """Moves the reader's cursor without telling anything: a publication that changed nothing here."""
    return f"id: {cursor}\n\n"


def change_documents(changes: pa.Table) -> list[dict[str, Any]]:
    """The changes of a table as documents: `op`, the two times, `before` and `after`."""
    return [_change(row) for row in as_rows(changes)]


def change_events(changes: pa.Table, moment: Moment) -> Iterator[str]:
    """The changes up to `moment`, framed; the last carries the cursor. Without changes only the cursor moves."""
    documents = change_documents(changes)
    if not documents:
        yield moved(str(moment))
    for number, document in enumerate(documents, 1):
        yield event(document["op"], document, str(moment) if number == len(documents) else None)


class EventReader:
    """Makes events of bytes as they come, however they are cut."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that are whole with these bytes."""
        text = self._rest + self._decode.decode(data)
        # a carriage return at the very end may be half of a line's end
        held = "\r" if text.endswith("\r") else ""
        lines = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        for line in lines:
            done = self._line(line)
            if done:
                yield done

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        self.last_id = self._id if self._id is not None else self.last_id
        made = Event(self._name or "message", "\n".join(self._data), self.last_id) if self._data else None
        self._name, self._data, self._id = "", [], None
        return made


def _change(row: dict[str, Any]) -> dict[str, Any]:
    op = row["_change"]
    after = {name: value for name, value in row.items() if name not in _NOT_USER}
    times: dict[str, Any] = {name: row[name] for name in _TIMES if name in row}
    before = row.get("before")
    return {"op": op, **times, "before": before, "after": None if op == "retract" else after}
