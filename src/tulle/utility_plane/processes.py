"""The host's machinery: a single-threaded fork server that keeps named processes alive.

It has no event loop and no socket, so that its own death is unlikely and a fork of it is always safe. What it imported
before the first fork is shared by all its processes, which makes each of them small and quick to start.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

from tulle.errors import Unavailable
from tulle.utility_plane import kernel

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds before a dead process is started again; each death in a row doubles the pause."""
STEADY = 10.0
"""Seconds of life after which a death counts as the first one again."""
GRACE = 5.0
"""Seconds a process has to end after SIGTERM before it is killed."""
RESCAN = 1.0

_QUIET_LIBRARIES = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


@dataclass(frozen=True)
class Process:
    """One process to keep alive. A new `revision` under the same name means: stop the old one, start this one."""

    name: str
    run: Callable[[], None] = field(compare=False)
    restart: Literal["always", "failure", "never"] = "always"
    revision: str = ""
    log: Path | None = None


@dataclass
class _Seat:
    """The place of one process: who sits there, since when, and when to try again."""

    spec: Process
    pid: int = 0
    since: float = 0.0
    due: float = 0.0
    pause: float = FIRST_PAUSE
    kill_at: float = 0.0
    leaving: bool = False


def host_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a process that will fork: native libraries start no threads when they are imported."""
    return {**(os.environ if base is None else base), **_QUIET_LIBRARIES}


def become_host_environment() -> None:
    """Puts `host_environment` in place for this process. Must come before anything imports pyarrow or numpy."""
    os.environ.update(_QUIET_LIBRARIES)
    kernel.few_arenas()


class Host:
    """Starts processes, starts them again when they die, ends them all when it is told to.

    `rescan` gives the processes that should run; it is asked every second and on SIGHUP. `note` is told every event as
    a mapping. `control` is the read end of a pipe whose closing ends the host.
    """

    def __init__(
        self,
        specs: Sequence[Process],
        *,
        rescan: Callable[[], Sequence[Process]] | None = None,
        note: Callable[[Mapping[str, Any]], None] = lambda _: None,
        control: int | None = None,
        grace: float = GRACE,
    ) -> None:
        self._seats = {spec.name: _Seat(spec) for spec in specs}
        self._rescan, self._note, self._control, self._grace = rescan, note, control, grace
        self._stopping = False
        self._look_at = 0.0

    def run(self) -> None:
        """Runs until SIGTERM, SIGINT or the end of the control pipe; then ends every process and returns."""
        _insist_on_one_thread()
        kernel.adopt_orphans()
        gc.freeze()
        wake, wake_end = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_end, False)
        before = self._listen(wake_end)
        try:
            while not (self._stopping and not self._alive()):
                self._turn(wake)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake)
            os.close(wake_end)
            gc.unfreeze()

    def _listen(self, wake_end: int) -> dict[int, Any]:
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        heard = {
            signal.SIGTERM: self._told_to_stop,
            signal.SIGINT: self._told_to_stop,
            signal.SIGHUP: self._told_to_look,
            signal.SIGCHLD: lambda *_: None,
        }
        return {number: signal.signal(number, handler) for number, handler in heard.items()}

    def _told_to_stop(self, *_: object) -> None:
        if self._stopping:  # the second time means at once
            for seat in self._alive():
                seat.kill_at = 0.001
        self._stopping = True

    def _told_to_look(self, *_: object) -> None:
        self._look_at = 0.0

    def _turn(self, wake: int) -> None:
        self._look_around()
        for seat in list(self._seats.values()):
            self._tend(seat)
        ears = [wake] if self._control is None else [wake, self._control]
        heard, _, _ = select.select(ears, [], [], self._patience())
        if wake in heard:
            _drain(wake)
        if self._control is not None and self._control in heard and not os.read(self._control, 4096):
            self._stopping, self._control = True, None
        self._reap()

    def _look_around(self) -> None:
        now = time.monotonic()
        if self._rescan is None or self._stopping or now < self._look_at:
            return
        self._look_at = now + RESCAN
        wanted = {spec.name: spec for spec in self._rescan()}
        for name, seat in self._seats.items():
            seat.leaving = seat.leaving or wanted.get(name) != seat.spec
        for name, spec in wanted.items():
            self._seats.setdefault(name, _Seat(spec))

    def _tend(self, seat: _Seat) -> None:
        now = time.monotonic()
        unwanted = self._stopping or seat.leaving
        if seat.pid and unwanted:
            self._end(seat, now)
        elif not seat.pid and seat.leaving:
            del self._seats[seat.spec.name]
            self._look_at = 0.0  # a process of the same name may be wanted in its place
        elif not seat.pid and not unwanted and 0.0 <= seat.due <= now:
            self._start(seat, now)

    def _start(self, seat: _Seat, now: float) -> None:
        _insist_on_one_thread()
        host = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _live(seat.spec, host)
        seat.pid, seat.since, seat.kill_at = pid, now, 0.0
        self._note({"event": "started", "process": seat.spec.name, "pid": pid})

    def _end(self, seat: _Seat, now: float) -> None:
        if not seat.kill_at:
            seat.kill_at = now + self._grace
            os.kill(seat.pid, signal.SIGTERM)
        elif now >= seat.kill_at:
            os.kill(seat.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def _reap(self) -> None:
        """Buries every child that has ended, orphans of the processes included."""
        by_pid = {seat.pid: seat for seat in self._alive()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in by_pid:
                self._died(by_pid[pid], os.waitstatus_to_exitcode(status))

    def _died(self, seat: _Seat, code: int) -> None:
        now = time.monotonic()
        seat.pause = FIRST_PAUSE if now - seat.since >= STEADY else seat.pause
        again = seat.spec.restart == "always" or (seat.spec.restart == "failure" and code != 0)
        seat.pid, seat.due = 0, (now + seat.pause if again else -1.0)
        pause, seat.pause = seat.pause, min(seat.pause * 2, LONGEST_PAUSE)
        going = again and not self._stopping and not seat.leaving
        event = {"event": "ended", "process": seat.spec.name, "code": code}
        self._note({**event, "again_in": pause} if going else event)

    def _alive(self) -> list[_Seat]:
        return [seat for seat in self._seats.values() if seat.pid]

    def _patience(self) -> float | None:
        """Seconds until there is something to do that no signal announces."""
        dues = [seat.kill_at for seat in self._alive() if seat.kill_at]
        if not self._stopping:
            dues += [seat.due for seat in self._seats.values() if not seat.pid and seat.due >= 0]
            dues += [self._look_at] if self._rescan is not None else []
        return max(min(dues) - time.monotonic(), 0.0) if dues else None


def pss_of(pids: Iterable[int]) -> int:
    """The memory of these processes in bytes, each shared page counted once among those who share it."""
    return sum(_pss(pid) for pid in pids)


def tree(pid: int) -> tuple[int, ...]:
    """The process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(") ")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return tuple(found)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _insist_on_one_thread() -> None:
    if (count := kernel.threads()) != 1:
        why = "A fork of a process with threads can hang in a lock that one of them held."
        raise Unavailable("E008", f"the host has {count} threads where it may have one", why=why)


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        return


def _live(spec: Process, host: int) -> NoReturn:
    """The life of a forked process, from its first line to its last."""
    code = 1
    try:
        kernel.die_with(host)
        kernel.default_signals()
        kernel.set_name(spec.name)
        _settle_descriptors(spec.log)
        spec.run()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except KeyboardInterrupt:
        code = 130
    except Exception:  # noqa: BLE001 - the first frame of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _settle_descriptors(log: Path | None) -> None:
    kernel.close_all_but(())
    kernel.plain_output()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.close(out)
