"""Takes system calls from this process, for good: it opens no socket, starts no process, executes nothing.

Landlock knows files and TCP; this closes what it leaves open: datagrams, Unix sockets (an issuer that trusts the uid of
its peer listens on one) and children that would outlive a job.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from tulle.utility_plane.kernel import PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl

_FILTER_MODE = 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_CLONE_THREAD = 0x00010000
_LOAD, _EQUAL, _HAS_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16

_CALLS = {
    "x86_64": (0xC000003E, {"socket": 41, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101}, 56),
    "aarch64": (0xC00000B7, {"socket": 198, "execve": 221, "execveat": 281, "ptrace": 117}, 220),
}
_EVERYWHERE = {"io_uring_setup": 425, "pidfd_getfd": 438}
_CLONE3 = 435
_X32_BIT = 0x40000000


def available() -> bool:
    """Whether this module knows the system calls of this machine."""
    return platform.system() == "Linux" and platform.machine() in _CALLS


def restrict() -> bool:
    """Refuses sockets, new processes and tracing from now on. Returns False, having done nothing, elsewhere."""
    if not available():
        return False
    program = _program(*_CALLS[platform.machine()])
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    holder = ctypes.create_string_buffer(header, len(header))
    prctl(PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(holder))
    return True


def _program(architecture: int, calls: dict[str, int], clone: int) -> bytes:
    """The filter as classic BPF. clone3 hides its flags from filters: it does not exist here, and libc falls back."""
    refused = [*calls.values(), *_EVERYWHERE.values()]
    steps = [
        _step(_LOAD, _AT_ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _REFUSE | errno.EPERM),
        _step(_LOAD, _AT_NUMBER),
        _step(0x35, _X32_BIT, 0, 1),
        _step(_RETURN, _REFUSE | errno.EPERM),
    ]
    for number in refused:
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE | errno.EACCES)]
    steps += [_step(_EQUAL, _CLONE3, 0, 1), _step(_RETURN, _REFUSE | errno.ENOSYS)]
    steps += [_step(_EQUAL, clone, 0, 3), _step(_LOAD, _AT_FIRST_ARGUMENT), _step(_HAS_BITS, _CLONE_THREAD, 1, 0)]
    steps += [_step(_RETURN, _REFUSE | errno.EACCES), _step(_RETURN, _ALLOW)]
    return b"".join(steps)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
