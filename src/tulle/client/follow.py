"""Following a stream of events: from where one stopped, through restarts of the door, until one is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from tulle.client.calls import Call, Calls, Reply
from tulle.errors import Unavailable
from tulle.formats.events import Event, EventReader

QUIET = 45.0
"""After so many seconds without a byte the line counts as dead: a door says every 15 that it is still there."""
_BREATH = 0.05
"""Before asking again, so that a door that hangs up at once is not asked without pause."""


class Follow:
    """Events of one stream. Iterate in one thread; `close` may be called from any.

    A door that is away for longer than the patience of the calls ends it with `Unavailable` E006; with `forever` it
    keeps trying.
    """

    def __init__(self, calls: Calls, call: Call, last_id: str = "", *, forever: bool = False) -> None:
        self._calls, self._call, self._forever = calls, call, forever
        self._reader = EventReader(last_id)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._reply: Reply | None = None

    @property
    def cursor(self) -> str:
        """From where a later `Follow` goes on without loss: the `last_id` to give it."""
        return self._reader.last_id

    def close(self) -> None:
        """Ends the iteration, also while it waits."""
        self._closed.set()
        with self._lock:
            if self._reply:
                self._reply.close()

    def __iter__(self) -> Iterator[Event]:
        while not self._closed.is_set():
            reply = self._opened()
            if reply is None:
                continue
            for piece in reply.pieces():
                yield from self._reader.feed(piece)
            reply.close()
            # what came of an event that was cut off comes again, whole
            self._reader = EventReader(self._reader.last_id)
            self._closed.wait(_BREATH)

    def _opened(self) -> Reply | None:
        headers = {"Accept": "text/event-stream"}
        headers |= {"Last-Event-ID": self.cursor} if self.cursor else {}
        try:
            reply = self._calls.open(replace(self._call, headers=headers, seconds=QUIET))
        except Unavailable:
            if not self._forever:
                raise
            self._closed.wait(1.0)
            return None
        with self._lock:
            self._reply = reply
        if self._closed.is_set():
            reply.close()
        return reply
