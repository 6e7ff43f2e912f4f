"""A process that takes its own rights away, then tries things: `python -m tests.utility_plane.confined WALLS DIR`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tulle.utility_plane import kernel, landlock, seccomp


def main(walls: str, folder: Path) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    host = os.getppid()
    if "landlock" in walls:
        readable = [*landlock.interpreter_paths(), folder / "open", folder / "no such file"]
        landlock.restrict(readable, [folder / "ours"])
    if "seccomp" in walls:
        seccomp.restrict()
    attempts: dict[str, Callable[[], object]] = {
        "read open": (folder / "open" / "a").read_text,
        "read closed": (folder / "closed").read_text,
        "list closed": lambda: list(folder.iterdir()),
        "write open": lambda: (folder / "open" / "a").write_text("x"),
        "write ours": lambda: (folder / "ours" / "b").write_text("x"),
        "execute": lambda: subprocess.run(["/bin/true"], check=True),
        "environment of the parent": lambda: Path(f"/proc/{host}/environ").read_bytes(),
        "connect": lambda: socket.create_connection(listening.getsockname(), 2).close(),
        "bind": lambda: socket.create_server(("127.0.0.1", 0)).close(),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "unix": lambda: socket.socket(socket.AF_UNIX).close(),
        "signal": lambda: os.kill(host, 0),
        "fork": fork,
        "thread": thread,
    }
    sys.stdout.write(json.dumps({name: tried(attempt) for name, attempt in attempts.items()}))


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def thread() -> None:
    started = threading.Thread(target=signal.getsignal, args=(signal.SIGTERM,))
    started.start()
    started.join()


def tried(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    kernel.set_name("confined")
    main(sys.argv[1], Path(sys.argv[2]))
