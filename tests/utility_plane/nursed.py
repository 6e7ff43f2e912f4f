"""Jobs for the tests of the nursery, and a container that runs some of them: `python -m tests.utility_plane.nursed`."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tulle.errors import CheckFailed, NotThere, TulleError
from tulle.utility_plane.nursery import Bounds, Nursery

warmed: list[int] = []


def warm() -> None:
    warmed.append(os.getpid())


def run(job: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    """Does what the job is called."""
    answer: dict[str, Any] = JOBS[job["do"]](job, fds)
    return answer


def look(_: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "environment": dict(os.environ),
        "open": [fd for fd in range(64) if is_open(fd) and fd not in fds],
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in ("AS", "CPU", "CORE")},
        "random": random.random(),
        "warm": warmed == [os.getpid()],
    }


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def copy(_: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    return {"bytes": os.write(fds[1], os.pread(fds[0], 100, 0))}


def read(job: dict[str, Any], _: list[int]) -> dict[str, Any]:
    try:
        return {"text": Path(job["path"]).read_text()}
    except PermissionError:
        return {"text": None}


def raise_error(_: dict[str, Any], __: list[int]) -> dict[str, Any]:
    raise NotThere("E404", "no such thing", where="here", why="because", fix="look elsewhere")


def fault(_: dict[str, Any], __: list[int]) -> dict[str, Any]:
    sys.stdout.write("what the code said\n")
    raise KeyError("a value")


def hang(job: dict[str, Any], _: list[int]) -> dict[str, Any]:
    if job.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Event().wait()
    return {}


def eat(_: dict[str, Any], __: list[int]) -> dict[str, Any]:
    return {"eaten": len(bytearray(8 << 30))}


def fill(_: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    try:
        os.ftruncate(fds[0], 8 << 30)
    except OSError as error:
        return {"refused": type(error).__name__}
    return {}


def vanish(job: dict[str, Any], _: list[int]) -> dict[str, Any]:
    os._exit(job["code"]) if "code" in job else signal.raise_signal(signal.SIGKILL)
    return {}


JOBS = {
    "look": look,
    "copy": copy,
    "read": read,
    "raise": raise_error,
    "fault": fault,
    "hang": hang,
    "eat": eat,
    "fill": fill,
    "vanish": vanish,
}


def container() -> None:
    """A single-threaded process with a forked nursery, which runs jobs side by side and then waits to be killed."""
    nursery = Nursery.start(run)
    secret = os.open("/dev/null", os.O_RDONLY)
    with ThreadPoolExecutor(3) as pool:
        looks = list(pool.map(lambda _: nursery.run({"do": "look"}, [], Bounds(10, 256)), range(3)))
    pending = threading.Thread(target=endless, args=(nursery,), daemon=True)
    pending.start()
    tell = {"pid": os.getpid(), "nursery": nursery.pid, "secret": secret, "looks": looks}
    sys.stdout.write(json.dumps(tell) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


def endless(nursery: Nursery) -> None:
    try:
        nursery.run({"do": "hang"}, [], Bounds(60, 256))
    except (CheckFailed, TulleError):
        return


if __name__ == "__main__":
    container()
