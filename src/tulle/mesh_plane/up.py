"""Starting a mesh: its host in a session of its own, and patience until every product's door is open."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tulle.errors import Conflict, TulleError, Unavailable, from_document
from tulle.formats.mesh_file import load_mesh_file
from tulle.formats.running import Running, already_running, running_in
from tulle.utility_plane.names import FolderNames, Record

PATIENCE = 60.0
_LOOK = 0.02

Told = Callable[[str], None]


@dataclass(frozen=True)
class Start:
    """What `up` is asked for. No port means the one of tulle.yaml, no drops the ones of tulle.yaml."""

    root: Path
    state: Path
    port: int | None = None
    drops: Path | None = None
    seconds: float = PATIENCE


@dataclass(frozen=True)
class Up:
    """A mesh that is up, and the products that could not begin, each with its error."""

    running: Running
    products: tuple[str, ...]
    failed: Mapping[str, TulleError]


def up(start: Start, told: Told = lambda _: None) -> Up:
    """Starts the mesh and answers when every product serves or has said why it cannot.

    Raises `Conflict` E002 if it runs already, E001 if its port is taken, `InvalidManifest` for a bad tulle.yaml, and
    `Unavailable` E006 if it is not up in time. Nothing is left running then.
    """
    if running_in(start.state):
        raise already_running(start.state)
    port = load_mesh_file(start.root).port if start.port is None else start.port
    if port:
        _free(port)
    host, report = _host(start)
    try:
        _first_word(host, report, start)
        return _ready(host, start, told)
    except BaseException:
        host.terminate()
        host.wait()
        raise
    finally:
        os.close(report)


def _host(start: Start) -> tuple[subprocess.Popen[bytes], int]:
    logs = start.state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    report, theirs = os.pipe()
    words = ["host", "--state", str(start.state), "--root", str(start.root), "--report", str(theirs)]
    words += ["--port", str(start.port)] if start.port is not None else []
    words += ["--drops", str(start.drops)] if start.drops else []
    with (logs / "host.log").open("ab") as log:
        host = subprocess.Popen(
            [sys.executable, "-m", "tulle.assembly", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(theirs,),
        )
    os.close(theirs)
    return host, report


def _first_word(host: subprocess.Popen[bytes], report: int, start: Start) -> dict[str, Any]:
    """What the host says first: where its front door will be, or the error that keeps it from beginning."""
    heard, _, _ = select.select([report], [], [], start.seconds)
    line = os.read(report, 65_536) if heard else b""
    if not line:
        why = f"It ended with code {host.poll()}." if host.poll() is not None else "It said nothing."
        raise Unavailable("E008", "the host did not begin", where=str(start.state / "logs" / "host.log"), why=why)
    document: dict[str, Any] = json.loads(line)
    if "error" in document:
        raise from_document(document["error"])
    return document


def _ready(host: subprocess.Popen[bytes], start: Start, told: Told) -> Up:
    names = FolderNames(start.state / "names")
    deadline = time.monotonic() + start.seconds
    waiting: list[str] = []
    while time.monotonic() < deadline:
        mesh, records = running_in(start.state), names.all()
        waiting = [name for name, record in records.items() if not record["door"] and "error" not in record]
        if mesh and not waiting and _answers(mesh.front_door):
            return Up(mesh, tuple(records), dict(_failed(records)))
        if host.poll() is not None:
            raise Unavailable("E008", "the host ended", where=str(start.state / "logs" / "host.log"))
        told(f"starting: {len(records) - len(waiting)} of {len(records)} products")
        time.sleep(_LOOK)
    why = f"Not up: {', '.join(waiting) or 'the front door'}"
    where = str(start.state / "logs")
    raise Unavailable("E006", f"the mesh is not up after {start.seconds:g} s", where=where, why=why)


def _failed(records: Mapping[str, Record]) -> Iterator[tuple[str, TulleError]]:
    for name, record in records.items():
        if "error" in record:
            yield name, from_document(record["error"])


def _answers(address: str) -> bool:
    host, _, port = address.removeprefix("http://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def _free(port: int) -> None:
    """Raises `Conflict` E001, naming the process, if somebody listens on `port`."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Conflict("E001", f"port {port} is not for this user", fix="tulle up --port 0") from None
            pid = listener(port)
            by = f" by pid {pid}" if pid else ""
            raise Conflict("E001", f"port {port} is in use{by}", fix="tulle up --port 0") from None


def listener(port: int) -> int | None:
    """The process that listens on `port` of this machine, where the kernel tells."""
    sockets = {f"socket:[{number}]" for number in _listening(port)}
    for path in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        try:
            if str(path.readlink()) in sockets:
                return int(path.parts[2])
        except OSError:
            continue
    return None


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on `port`."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
