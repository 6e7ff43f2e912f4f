"""Where children that run somebody else's code are born: used once, bounded, and reaching nothing.

A container forks its nursery before it opens anything: no token, no lock, no socket is in it, so none is in a child. A
job goes to the nursery with the descriptors it may use. Its child closes all others, empties its environment, takes
limits of memory, time and file size, shuts itself in (Landlock, seccomp), does the job, and ends. One spare child is
kept warm for a while after each job. The nursery kills who overstays, and dies with its container.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import pickle
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from tulle.errors import CheckFailed, TulleError, Unavailable, from_document
from tulle.utility_plane import kernel, landlock, seccomp
from tulle.utility_plane.processes import host_environment
from tulle.utility_plane.ward import MOST_DESCRIPTORS, Ward

Run = Callable[[dict[str, Any], list[int]], dict[str, Any]]
"""Does a job in a child: the job, the descriptors it came with; returns a report that JSON can hold."""

LINGER = 20.0
"""Seconds a spare child is kept after the last job."""
_MIB = 1 << 20
_HEADROOM = 768 * _MIB
"""Address space for threads and libraries that the job's own code may start; reserved is not used."""
_LONGEST_REPORT = 64 * _MIB
_CHILD_ENVIRONMENT = {"PATH": "", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Bounds:
    """What one job may use. `code` and `name` make the error of a job that goes beyond: E034, the transformation."""

    seconds: float
    memory_mb: int
    readable: tuple[Path, ...] = ()
    code: str = "E034"
    name: str = "the transformation"


class Nursery:
    """The container's side. Safe to use from several threads; several jobs may run at once."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._control = control
        self._lock = threading.Lock()
        self._reaped = False

    @classmethod
    def start(cls, run: Run, warm: Callable[[], None] | None = None, linger: float = LINGER) -> Nursery:
        """Starts a nursery whose children call `run`; a spare calls `warm` before it has a job.

        It is forked, so call this before the process opens anything. A process that has threads already cannot fork
        safely: there a fresh interpreter is started instead, and `run` and `warm` must be importable.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if kernel.threads() > 1:
            pid = _spawn(theirs, run, warm, linger)
        else:
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                _begin(theirs.detach(), parent, run, warm, linger)
        theirs.close()
        return cls(pid, ours)

    def run(self, job: Mapping[str, Any], fds: Sequence[int], bounds: Bounds, log: int | None = None) -> dict[str, Any]:
        """Has one child do `job`, waits for it, and returns its report.

        `fds` arrive in the child in the same order; `log` takes what it prints. Raises the `TulleError` the child
        raised; `CheckFailed` with the code of `bounds` when it went beyond them or was killed; `Unavailable` E006 when
        the nursery itself is gone, after which the container should restart.
        """
        with contextlib.ExitStack() as opened:
            parcel = _memory(opened, "job", pickle.dumps((dict(job), bounds)))
            report = _memory(opened, "report")
            verdict, verdict_end = os.pipe()
            opened.callback(os.close, verdict)
            try:
                self._send(bounds, [verdict_end, parcel, report, 2 if log is None else log, *fds])
            finally:
                os.close(verdict_end)
            return _outcome(_judged(verdict, bounds), report, bounds)

    def alive(self) -> bool:
        """Whether the nursery is still there. Once it is gone this buries it, so that no zombie is left."""
        with self._lock:
            if not self._reaped:
                with contextlib.suppress(ChildProcessError):
                    self._reaped = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG) is not None
            return not self._reaped

    def fileno(self) -> int:
        """A descriptor that becomes readable when the nursery ends, for an event loop to watch."""
        return self._pidfd

    def stop(self) -> None:
        """Ends the nursery and every child of it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        with self._lock:
            if not self._reaped:
                with contextlib.suppress(ChildProcessError):
                    os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
                self._reaped = True
        self._control.close()
        os.close(self._pidfd)

    def _send(self, bounds: Bounds, fds: list[int]) -> None:
        if len(fds) > MOST_DESCRIPTORS:
            raise Unavailable("E008", f"a job came with {len(fds)} descriptors; {MOST_DESCRIPTORS} are the most")
        try:
            with self._lock:
                socket.send_fds(self._control, [repr(bounds.seconds).encode()], fds)
        except OSError as error:
            raise _nursery_gone() from error


def isolation() -> tuple[str, ...]:
    """What this machine's kernel cannot hold of a child's walls, one line each; nothing when they are whole."""
    lacks = () if seccomp.available() else ("sockets and new processes are not refused",)
    return (*landlock.degraded(), *lacks)


def _nursery_gone() -> Unavailable:
    return Unavailable("E006", "the process that runs the product's code has ended", why="The container restarts.")


def _memory(opened: contextlib.ExitStack, name: str, content: bytes = b"") -> int:
    fd = os.memfd_create(name)
    opened.callback(os.close, fd)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _judged(verdict: int, bounds: Bounds) -> dict[str, Any]:
    """What the nursery says of a child that has ended. Its silence means that it is gone itself."""
    poll = select.poll()
    poll.register(verdict, select.POLLIN)
    if not poll.poll((bounds.seconds + 10.0) * 1000):
        raise _nursery_gone()
    text = os.read(verdict, 4096)
    if not text:
        raise _nursery_gone()
    judged: dict[str, Any] = json.loads(text)
    return judged


def _outcome(judged: Mapping[str, Any], report: int, bounds: Bounds) -> dict[str, Any]:
    if judged["late"]:
        raise CheckFailed(bounds.code, f"{bounds.name} ran over its {bounds.seconds:g} s and was stopped")
    size = os.fstat(report).st_size
    if judged["code"] < 0 or not 0 < size <= _LONGEST_REPORT:
        raise CheckFailed(
            bounds.code, f"{bounds.name} ended without a result", why=_how_it_ended(judged["code"], bounds)
        )
    said: dict[str, Any] = json.loads(os.pread(report, size, 0))
    if "error" in said:
        raise from_document(said["error"])
    answer: dict[str, Any] = said["report"]
    return answer


def _how_it_ended(code: int, bounds: Bounds) -> str:
    if code >= 0:
        return f"Its process ended by itself, with code {code}."
    if -code == signal.SIGXCPU:
        return f"It used more processor time than {bounds.seconds:g} s allow."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"Its process was ended by {name}; it may use {bounds.memory_mb} MB of memory."


# ── the nursery's process and its children ───────────────────────────────────────────────────────────────────────────


def _begin(control: int, parent: int, run: Run, warm: Callable[[], None] | None, linger: float) -> NoReturn:
    try:
        kernel.die_with(parent)
        kernel.default_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the container, which ends us
        kernel.set_name("nursery")
        kernel.close_all_but([control])
        kernel.plain_output()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        landlock.interpreter_paths()  # found once here rather than in every child
        landlock.available()
        gc.freeze()
        work, idle = partial(_work, run), partial(_idle, run, warm)
        Ward(socket.socket(fileno=control), work, idle, linger).serve()
    except Exception:  # noqa: BLE001 - the first frame of the process
        traceback.print_exc()
    finally:
        os._exit(0)


def _idle(run: Run, warm: Callable[[], None] | None, nursery: int, link: socket.socket) -> NoReturn:
    """A spare: it has made itself ready, and waits for a job or for the end."""
    try:
        kernel.die_with(nursery)
        kernel.close_all_but([link.fileno()])
        if warm is not None:
            warm()
        message, fds, _, _ = socket.recv_fds(link, 64, MOST_DESCRIPTORS)
    except BaseException:  # noqa: BLE001 - whatever it was, the nursery forks another
        os._exit(1)
    if not message:
        os._exit(0)
    _work(run, nursery, fds)


def _work(run: Run, nursery: int, fds: list[int]) -> NoReturn:
    """The whole life of a child with a job. It leaves by `os._exit`: nothing of the nursery's is finalised in it."""
    parcel, report, log, *own = fds
    code = 1
    try:
        kernel.die_with(nursery)
        kernel.set_name("job")
        os.dup2(log, 1)
        os.dup2(log, 2)
        kernel.close_all_but([parcel, report, *own])
        job, bounds = pickle.loads(os.pread(parcel, os.fstat(parcel).st_size, 0))  # noqa: S301 - the container wrote it
        _shut_in(bounds, sum(os.fstat(fd).st_size for fd in own))
        _write_report(report, _answered(run, job, own, bounds))
        code = 0
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _shut_in(bounds: Bounds, input_bytes: int) -> None:
    """No way back from here: nothing to reach, and no more memory, time or disk than allowed."""
    if kernel.threads() != 1:
        raise RuntimeError("a child has threads before its walls stand; they would be outside")
    os.environ.clear()
    os.environ.update(_CHILD_ENVIRONMENT)
    os.chdir("/")
    random.seed()
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    space = kernel.virtual_memory() + _HEADROOM + input_bytes + bounds.memory_mb * _MIB
    processor = math.ceil(bounds.seconds * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))
    resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.memory_mb * _MIB,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    landlock.restrict([*landlock.interpreter_paths(), *bounds.readable])
    seccomp.restrict()


def _answered(run: Run, job: dict[str, Any], fds: list[int], bounds: Bounds) -> dict[str, Any]:
    try:
        return {"report": run(job, fds)}
    except TulleError as error:
        return {"error": error.as_document()}
    except MemoryError:
        what = f"{bounds.name} used more than its {bounds.memory_mb} MB of memory"
        return {"error": CheckFailed(bounds.code, what).as_document()}
    except Exception as fault:  # noqa: BLE001 - the edge between a job and who asked for it
        traceback.print_exc()
        what = f"an internal error in a job: {type(fault).__name__}"
        return {"error": TulleError("E008", what, why="The run's log has the traceback.").as_document()}


def _write_report(report: int, said: Mapping[str, Any]) -> None:
    view = memoryview(json.dumps(said, default=str).encode())
    os.ftruncate(report, 0)
    at = 0
    while at < len(view):
        at += os.pwrite(report, view[at:], at)


# ── where a fork is not safe ─────────────────────────────────────────────────────────────────────────────────────────


def _spawn(control: socket.socket, run: Run, warm: Callable[[], None] | None, linger: float) -> int:
    """A nursery in a fresh interpreter; what it runs travels as the name it can be imported by."""
    with contextlib.ExitStack() as opened:
        parcel = _memory(opened, "nursery", pickle.dumps((run, warm, linger)))
        program = "import sys; from tulle.utility_plane.nursery import awake; awake(*map(int, sys.argv[1:]))"
        arguments = [str(number) for number in (control.fileno(), parcel, os.getpid())]
        environment = {**host_environment(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            pass_fds=(control.fileno(), parcel),
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        process.returncode = 0  # the nursery's own handle buries it; this one must not try
        return process.pid


def awake(control: int, parcel: int, parent: int) -> NoReturn:
    """The first frame of a nursery that was spawned."""
    kernel.die_with(parent)
    run, warm, linger = pickle.loads(os.pread(parcel, os.fstat(parcel).st_size, 0))  # noqa: S301 - our own parent wrote it
    _begin(control, parent, run, warm, linger)
