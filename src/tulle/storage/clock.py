"""The processing time of one product: issued by its one writer, never twice, never backwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tulle.errors import TulleError, UsageError
from tulle.storage import disk
from tulle.times import AHEAD_ALLOWED, Clock, Moment

RESERVE = 1_000_000
"""How far ahead, in microseconds, a closed moment is written down, so that it is rarely written."""


class WriterClock:
    """Moments below `closed` have been answered for: no later commit may have one, not even after a restart."""

    def __init__(self, file: Path, wall: Callable[[], Moment], published: Moment) -> None:
        self._file, self._wall = file, wall
        self._published = published
        self._reserved = _read(file)
        self._clock = Clock(max(published, self._reserved))
        self._flying: Moment | None = None
        self._changed = threading.Condition()

    @contextmanager
    def flight(self, above: Moment) -> Iterator[Moment]:
        """A commit in flight: gives its processing time; ends however the commit does."""
        with self._changed:
            self._clock = self._clock.tick(self._wall(), above)
            moment = self._flying = self._clock.last
        try:
            yield moment
        finally:
            with self._changed:
                self._flying = None
                self._changed.notify_all()

    def landed(self, moment: Moment) -> None:
        """The commit in flight is published."""
        with self._changed:
            self._published = moment

    def safe(self) -> Moment:
        """Up to here what is published is settled, once `close_until` has said so."""
        with self._changed:
            if self._flying is not None:
                return self._flying.plus(-1)
            return max(self._wall(), self._clock.last)

    def close_until(self, moment: Moment) -> None:
        """Makes sure that no later commit has a processing time at or below `moment`, and waits for one that has.

        Raises `UsageError` E071 if `moment` is further ahead than a clock may be stepped.
        """
        with self._changed:
            wall = self._wall()
            if moment > max(wall.plus(AHEAD_ALLOWED), self._clock.last):
                raise UsageError("E071", f"{moment} is in the future", why=f"The product's clock says {wall}.")
            self._changed.wait_for(lambda: self._flying is None or self._flying > moment)
            if moment <= self._published:
                return
            self._clock = Clock(max(self._clock.last, moment))
            if moment > self._reserved:
                self._reserve(moment.plus(RESERVE))

    def _reserve(self, moment: Moment) -> None:
        with disk.room_needed("closing a moment"):
            disk.replace(self._file, json.dumps({"closed_until": moment.micros, "at": str(moment)}).encode())
        self._reserved = moment


def _read(file: Path) -> Moment:
    try:
        return Moment(int(json.loads(file.read_bytes())["closed_until"]))
    except FileNotFoundError:
        return Moment(0)
    except (ValueError, KeyError, TypeError):
        raise TulleError("E009", "the clock's file cannot be read", where=str(file)) from None
