"""The nursery's own process: its loop over jobs and children. It holds nothing but descriptors on their way."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

MOST_DESCRIPTORS = 200

Work = Callable[[int, list[int]], NoReturn]
"""The life of a child with a job: the nursery's pid and the descriptors that came with the job."""
Idle = Callable[[int, socket.socket], NoReturn]
"""The life of a spare: the nursery's pid and the socket on which its job will come."""


@dataclass
class _Child:
    """One child: a spare while it has a link, a job's once it has a verdict to be written."""

    pid: int
    pidfd: int
    link: socket.socket | None = None
    verdict: int | None = None
    deadline: float = math.inf
    late: bool = False


class Ward:
    """The loop of the nursery: takes jobs, watches children, kills the late ones, tells how each ended."""

    def __init__(self, control: socket.socket, work: Work, idle: Idle, linger: float) -> None:
        self._control, self._work, self._idle, self._linger = control, work, idle, linger
        self._children: dict[int, _Child] = {}
        self._spare: _Child | None = None
        self._spare_until = 0.0
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Returns when the container's end of the control socket closes."""
        while True:
            for fd, _ in self._poll.poll(self._patience()):
                if fd != self._control.fileno():
                    self._bury(self._children[fd])
                elif not self._accept():
                    return
            self._kill_the_late()
            self._see_to_the_spare()

    def _accept(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, 64, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return False
        verdict, *theirs = fds
        child = self._give_to_spare(theirs) or self._fork(theirs)
        child.verdict, child.deadline = verdict, time.monotonic() + float(message)
        for fd in theirs:
            os.close(fd)
        return True

    def _give_to_spare(self, fds: list[int]) -> _Child | None:
        child, self._spare = self._spare, None
        if child is None or child.link is None:
            return None
        try:
            socket.send_fds(child.link, [b"job"], fds)
        except OSError:  # it has died, and is buried when its turn comes
            return None
        child.link.close()
        child.link = None
        return child

    def _fork(self, fds: list[int]) -> _Child:
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._work(nursery, fds)
        return self._watch(_Child(pid, os.pidfd_open(pid)))

    def _fork_spare(self) -> _Child:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        nursery = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._idle(nursery, theirs)
        theirs.close()
        return self._watch(_Child(pid, os.pidfd_open(pid), link=ours))

    def _watch(self, child: _Child) -> _Child:
        self._children[child.pidfd] = child
        self._poll.register(child.pidfd, select.POLLIN)
        return child

    def _bury(self, child: _Child) -> None:
        self._poll.unregister(child.pidfd)
        del self._children[child.pidfd]
        os.close(child.pidfd)
        _, status = os.waitpid(child.pid, 0)
        if child is self._spare:
            self._spare = None
        if child.link is not None:
            child.link.close()
        if child.verdict is not None:
            judged = {"code": os.waitstatus_to_exitcode(status), "late": child.late}
            with contextlib.suppress(BrokenPipeError):
                os.write(child.verdict, json.dumps(judged).encode())
            os.close(child.verdict)
            self._spare_until = time.monotonic() + self._linger

    def _kill_the_late(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline <= now and not child.late:
                child.late = True
                signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

    def _see_to_the_spare(self) -> None:
        """One spare while jobs are likely to follow each other; none when all is quiet, for it costs memory."""
        likely = time.monotonic() < self._spare_until
        if self._spare is None and likely and not any(child.verdict for child in self._children.values()):
            self._spare = self._fork_spare()
        elif self._spare is not None and not likely and self._spare.link is not None:
            self._spare.link.close()  # it ends by itself
            self._spare.link = None
            self._spare = None

    def _patience(self) -> float | None:
        dues = [child.deadline for child in self._children.values() if not child.late]
        dues += [self._spare_until] if self._spare is not None else []
        soonest = min(dues, default=math.inf)
        return None if soonest == math.inf else max(soonest - time.monotonic(), 0.0) * 1000 + 1
