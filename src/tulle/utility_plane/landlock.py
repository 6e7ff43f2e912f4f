"""Takes from this process what it does not need, for good: Landlock, the kernel's sandbox for everyone.

A process that has called `restrict` reads nothing but the paths it named, writes nothing, executes nothing, opens no
TCP connection and signals nobody outside. There is no way back, and threads and children inherit it. Threads that exist
already are not restricted, so the caller must be single-threaded.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tulle.utility_plane.kernel import PR_SET_NO_NEW_PRIVS, libc, prctl

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_QUESTION = 1
_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _TRUNCATE, _IOCTL_DEV = 1 << 1, 1 << 14, 1 << 15
_FILE_RIGHTS = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS_SINCE = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL_DEV}
_TCP_BIND_AND_CONNECT = 3
_ABSTRACT_SOCKETS_AND_SIGNALS = 3


@cache
def available() -> int:
    """The version of Landlock that this kernel speaks; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    version: int = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUESTION))
    return max(version, 0)


def restrict(readable: Iterable[Path], writable: Iterable[Path] = (), *, network: bool = False) -> bool:
    """Restricts this process to reading below `readable` and to reading and writing below `writable`.

    Without `network` it can neither bind nor connect TCP sockets (since version 4). Paths that do not exist are passed
    over. Returns False, having done nothing, where the kernel lacks Landlock.
    """
    version = available()
    if not version:
        return False
    rights = sum(bits for since, bits in _RIGHTS_SINCE.items() if since <= version)
    ruleset = _create(rights, version, network=network)
    try:
        for path in readable:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR) & rights)
        for path in writable:
            _allow(ruleset, path, rights & ~1)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return True


@cache
def interpreter_paths() -> tuple[Path, ...]:
    """What any Python process must be able to read: interpreter, libraries, time zones, and this package."""
    places = [sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    system = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime"]
    devices = ["/dev/null", "/dev/urandom", "/dev/zero"]
    # How many processors and how much memory there are: the query engine ends its process if it may not look. The
    # last is another file in every process, so it stays the link it is.
    machine = {Path("/sys/devices/system/cpu"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")}
    known = machine | {Path(place).resolve() for place in (*places, *system, *devices)}
    known.add(Path(__file__).resolve().parents[1])
    return tuple(sorted(path for path in known if path.exists() and path != Path("/")))


def _create(rights: int, version: int, *, network: bool) -> int:
    net = _TCP_BIND_AND_CONNECT if version >= 4 and not network else 0
    scope = _ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = struct.pack("=QQQ", rights, net, scope)[:size]
    return _call(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        granted = rights if path.is_dir() else rights & _FILE_RIGHTS
        rule = struct.pack("=Qi", granted, fd)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(fd)


def _call(number: int, *arguments: object) -> int:
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def degraded(version: int | None = None) -> Sequence[str]:
    """What the sandbox of this kernel cannot hold, one line each; `tulle status` shows them."""
    have = available() if version is None else version
    lacks = {1: "files are not restricted", 4: "TCP is not restricted", 6: "signals are not restricted"}
    return [text for since, text in lacks.items() if have < since]
