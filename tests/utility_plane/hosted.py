"""A host for tests: `python -m tests.utility_plane.hosted FOLDER` runs what FOLDER/wanted.json asks for.

Its events go to FOLDER/events as JSON lines. A process does what its kind says and notes its start in FOLDER/started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tulle.utility_plane.processes import Host, Process, become_host_environment


def append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def work(folder: Path, name: str, kind: str) -> None:
    open_here = [fd for fd in range(3, 64) if is_open(fd)]
    comm = Path("/proc/self/comm").read_text().strip()
    append(
        folder / "started", {"name": name, "pid": os.getpid(), "parent": os.getppid(), "open": open_here, "comm": comm}
    )
    sys.stdout.write(f"{name} speaks\n")
    KINDS[kind]()


def orphan() -> None:
    """Leaves a grandchild behind that ends later, without a parent."""
    if os.fork() == 0:
        threading.Event().wait(0.1)
        os._exit(0)
    os._exit(0)


def crash() -> None:
    raise RuntimeError("the process crashed")


def stubborn() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Event().wait()


KINDS: dict[str, Callable[[], object]] = {
    "stay": lambda: threading.Event().wait(),
    "stubborn": stubborn,
    "crash": crash,
    "end": lambda: None,
    "orphan": orphan,
}


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def wanted(folder: Path) -> list[Process]:
    specs = json.loads((folder / "wanted.json").read_text())
    return [
        Process(
            spec["name"],
            partial(work, folder, spec["name"], spec.get("kind", "stay")),
            spec.get("restart", "always"),
            spec.get("revision", ""),
            folder / f"{spec['name']}.log",
        )
        for spec in specs
    ]


def main(folder: Path) -> None:
    become_host_environment()
    secret = (folder / "secret").open("w")
    host = Host(
        wanted(folder),
        rescan=lambda: wanted(folder),
        note=lambda event: append(folder / "events", event),
        control=0,
        grace=1.0,
    )
    host.run()
    secret.close()
    append(folder / "events", {"event": "stopped"})
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
