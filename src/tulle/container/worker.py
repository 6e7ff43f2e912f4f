"""The one writer of a product: a thread that takes files in, runs the code, publishes, and carries out control calls.

One thread, so that nothing it decides on can change under it. It sleeps until it is woken: by a file, by an upstream's
announcement, by a control call, or by a time it set itself (a file still being written, a retry).
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from tulle.container.breath import breathe_out
from tulle.container.journal import Run
from tulle.container.parts import Condition, Parts
from tulle.container.standing import look_again
from tulle.errors import NotThere, TulleError, Unavailable
from tulle.storage.disk import room_needed
from tulle.storage.shapes import Entry
from tulle.times import Moment, parse_moment

T = TypeVar("T")

QUIET_SECONDS = 1.0
"""After so long without work the memory of the last run is given back."""
FIRST_RETRY, LONGEST_RETRY = 0.25, 30.0
ATTEMPTS = 4
"""How often code that fails is run before it counts as broken: its process may have been killed for no fault of it."""
OF_THE_DATA = frozenset({"E030", "E031", "E032", "E033", "E035"})
"""Failures that lie in one batch: trying again is of no use, it is parked and later ones go on."""


class Task(Protocol):
    """Something a product does by itself: takes files in, or follows other products."""

    def step(self) -> bool:
        """Does one piece of work; False when there is none. Errors are the run's, told as `TulleError`."""
        ...

    def look_again(self) -> float | None:
        """After how many seconds to call again although nobody rang; None: not before somebody does."""
        ...

    def replay(self, since: Moment | None) -> dict[str, Any]:
        """Runs over everything again, or over what was consumed after `since`; what it published."""
        ...

    def replay_parked(self) -> dict[str, Any]:
        """Tries the parked batches again."""
        ...

    def standing(self) -> tuple[str, str]:
        """The state it leaves the product in, and in one line why nothing happens."""
        ...


class Worker(threading.Thread):
    """Runs the tasks of one product, one step at a time, and what the control port asks in between."""

    def __init__(self, parts: Parts, condition: Condition, tasks: tuple[Task, ...]) -> None:
        super().__init__(name="worker", daemon=True)
        self._parts, self._condition, self._tasks = parts, condition, tasks
        self._wake = threading.Event()
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = False
        self._tired = True
        self._retry = FIRST_RETRY

    def wake(self) -> None:
        """Says that there may be something to do."""
        self._wake.set()

    def ask(self, request: Callable[[], T]) -> Future[T]:
        """Has `request` carried out between two steps; its result or error arrives in the future."""
        future: Future[T] = Future()
        self._requests.put(lambda: _carry_out(request, future))
        self.wake()
        return future

    def again(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Runs once more as `asked`: `parked`, `since` a moment, or everything. For use in a request."""
        if not self._tasks:
            raise NotThere("E022", "the product has no inputs to run over")
        task = self._tasks[0]
        if asked.get("parked"):
            return task.replay_parked()
        since = parse_moment(str(asked["since"])) if asked.get("since") else None
        return task.replay(since)

    def stop(self) -> None:
        """Ends the thread after the step it is in."""
        self._stopping = True
        self.wake()

    def run(self) -> None:
        pause: float | None = 0.0
        self.ask(lambda: look_again(self._parts, self._condition))
        while not self._stopping:
            self._rest(pause)
            self._wake.clear()
            self._answer_requests()
            pause = self._work()

    def _rest(self, pause: float | None) -> None:
        """Sleeps until woken, or for `pause` seconds; after a while of nothing, memory is given back."""
        if not self._tired or (pause is not None and pause < QUIET_SECONDS):
            self._wake.wait(pause)
        elif not self._wake.wait(QUIET_SECONDS):
            self._tired = False
            breathe_out(self._parts.log)
            self._wake.wait(pause)

    def _answer_requests(self) -> None:
        while not self._stopping:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return
            request()

    def _work(self) -> float | None:
        try:
            while not self._stopping and self._step():
                self._tired = True
                self._answer_requests()
            self._retry = FIRST_RETRY
            self._settle()
            pauses = [pause for task in self._tasks if (pause := task.look_again()) is not None]
            return min(pauses, default=None)
        except TulleError as error:
            return self._failed(error)
        except Exception as fault:  # noqa: BLE001 - the edge of the thread: whatever it is, the product goes on serving
            self._parts.journal.say("fault", "error", traceback=traceback.format_exc())
            return self._failed(Unavailable("E008", f"an internal error: {type(fault).__name__}"))

    def _step(self) -> bool:
        with room_needed(str(self._parts.place)):
            return any(task.step() for task in self._tasks)

    def _settle(self) -> None:
        self._condition.running = None
        self._condition.error = None
        states = [task.standing() for task in self._tasks] or [("Fresh", "")]
        self._condition.state, self._condition.reason = min(states, key=lambda s: s[0] == "Fresh")

    def _failed(self, error: TulleError) -> float | None:
        self._condition.running = None
        self._condition.error = error
        self._condition.state, self._condition.reason = "Failing", error.what
        self._parts.journal.say("step failed", "error", **error.as_document())
        pause, self._retry = self._retry, min(self._retry * 2, LONGEST_RETRY)
        return pause


def _carry_out(request: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(request())
    except BaseException as error:  # noqa: BLE001 - the edge between the worker and whoever asked
        future.set_exception(error)


def stopwatch() -> Callable[[], int]:
    """A function that gives the milliseconds since its last call."""
    last = time.perf_counter()

    def lap() -> int:
        nonlocal last
        now = time.perf_counter()
        passed, last = now - last, now
        return round(passed * 1000)

    return lap


def published(parts: Parts, run: Run, entry: Entry, took: Mapping[str, int], warnings: tuple[str, ...]) -> None:
    """Tells the run's record and the log that `run` became `entry`."""
    outcome = summary(entry.tables)
    facts = {"moment": entry.processing_time, "outcome": outcome, "milliseconds": dict(took), "warnings": warnings}
    parts.runs.end(run, "published", **facts)
    parts.journal.say("published", run=run.id, moment=str(entry.processing_time), tables=outcome)


def summary(tables: Any) -> dict[str, dict[str, int]]:
    """What a commit did, per table, as counts."""
    names = ("inserted", "corrected", "retracted", "unchanged")
    return {table: {name: getattr(tally, name) for name in names} for table, tally in tables.items()}
