"""What this house asks of Linux beyond the standard library: ties to a parent, names, threads, descriptors, memory."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 15, 22, 36, 38

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_FALLOC_FL_KEEP_SIZE = 1

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int | bytes = 0, more: int = 0) -> None:
    """One attribute of this process set, as in its manual page. Raises `OSError` where the kernel refuses."""
    first = value if isinstance(value, bytes) else ctypes.c_ulong(value)
    if libc.prctl(option, first, ctypes.c_ulong(more), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def put_by(fd: int, size: int) -> bool:
    """Keeps `size` bytes of the disk for what is appended to a file. False where there are none, or no way to."""
    if not hasattr(libc, "fallocate"):
        return False
    end = ctypes.c_longlong(os.fstat(fd).st_size)
    return not libc.fallocate(fd, _FALLOC_FL_KEEP_SIZE, end, ctypes.c_longlong(size))


def die_with(parent: int) -> None:
    """Ties this process to `parent`: it is killed when that one ends, however that happens."""
    prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it ended between the fork and the line above
        os._exit(1)


def set_name(name: str) -> None:
    """Gives this process the name that `ps` and `/proc/PID/comm` show; the first 15 bytes count."""
    prctl(PR_SET_NAME, name.encode()[:15])


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant that loses its own, so that it can reap them."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def threads() -> int:
    """How many threads this process has, those of native libraries included."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def virtual_memory() -> int:
    """The size of this process's address space in bytes, which is what RLIMIT_AS limits."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def close_all_but(kept: Iterable[int]) -> None:
    """Closes every descriptor of this process above 2 but those in `kept`."""
    low = 3
    for fd in sorted({fd for fd in kept if fd > 2}):
        os.closerange(low, fd)
        low = fd + 1
    top = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    os.closerange(low, top + 1)


def default_signals() -> None:
    """Undoes the signal handling that a forked process has from its parent."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def plain_output() -> None:
    """Has `print` and tracebacks go to descriptors 1 and 2, wherever this process's parent had sent its own."""
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", 1, "utf-8", "replace", closefd=False) for fd in (1, 2))


def few_arenas() -> None:
    """Has the C library share what is freed between threads, and give large pieces back at once.

    By default it keeps a heap per thread; in a container that runs now and then these are what memory is lost to.
    """
    if sys.platform == "linux" and hasattr(libc, "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
