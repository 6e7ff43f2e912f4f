"""A mesh that a test starts by its host, works with through the SDK, and ends; and what of it is still there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.source import ROOT
from tests.waiting import eventually
from tulle.client.doors import FolderNames, place_in
from tulle.client.mesh import Mesh
from tulle.errors import NotThere
from tulle.mesh_plane.down import lives
from tulle.utility_plane.processes import tree

HOST, CONTAINER = "host", "container"
OWN = ("issuer", "front-door", "mesh-plane", "nursery", "job")


@dataclass
class LocalMesh:
    """A mesh in a folder with a short path: its products below `root`, its state in `s`, its drop folders in `d`."""

    folder: Path
    root: Path
    state: Path
    process: subprocess.Popen[bytes] | None = None
    seen: set[int] = field(default_factory=set)
    doors: set[str] = field(default_factory=set)

    @property
    def drops(self) -> Path:
        return self.folder / "d"

    @property
    def host(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Mesh:
        """Starts the host on the state that is there, and waits until it can be found."""
        runtime = self.folder / "r"
        runtime.mkdir(mode=0o700, exist_ok=True)
        words = ["host", "--state", self.state, "--root", self.root, "--port", "0", "--drops", self.drops]
        own = {"XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
        with (self.folder / "host.out").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tulle.assembly", *map(str, words)],
                cwd=self.folder,
                env=os.environ | own,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        eventually(self._found, 30, f"the host is up: {self.folder}/host.out")
        return self.mesh()

    def mesh(self, patience: float = 30) -> Mesh:
        """The mesh as a new reader meets it."""
        return Mesh.at(place_in(self.state), patience=patience)

    def processes(self) -> list[tuple[str, int]]:
        """What it consists of now: kind and number of every process. A container's kind is `container`."""
        found = []
        for pid in tree(self.host):
            self.seen.add(pid)
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                kind = HOST if pid == self.host else name if name in OWN else CONTAINER
                found.append((kind, pid))
        return found

    def pid_of(self, kind: str) -> int:
        """The one process of a kind, once it is there."""
        return int(eventually(lambda: dict(self.processes()).get(kind, 0), 20, f"{kind} runs"))

    def container_of(self, product: str) -> int:
        """The process of a product, once its door is open."""
        return int(eventually(lambda: self._record(product), 30, f"{product} is open")["pid"])

    def restart(self) -> Mesh:
        """As a machine that lost power and came back."""
        self.kill_host()
        return self.start()

    def kill_host(self) -> None:
        """SIGKILL; whatever it has started is gone, too, before this returns."""
        assert self.process is not None
        self.processes()
        self.process.kill()
        self.process.wait()
        eventually(lambda: not self.left(), 20, "what a killed host started has ended")

    def stop(self, seconds: float = 30) -> int:
        """Ends the host as `tulle down` does; its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.processes()
            self.doors |= {str(record["door"]) for record in self._names.all().values() if record["door"]}
            with contextlib.suppress(NotThere):
                self.doors.add(place_in(self.state).front_door)
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """Ends the mesh after the block, whatever happened in it; where all went well, it must have ended cleanly."""
        try:
            yield
        except BaseException:
            if self.process:
                self.kill_host()
            raise
        if self.process:
            code = self.stop()
            assert (code, self.leftovers()) == (0, []), self.said()

    def left(self) -> list[int]:
        """The processes it ever had that still live."""
        return [pid for pid in self.seen if lives(pid)]

    def leftovers(self) -> list[str]:
        """Everything that a stopped mesh must not keep: processes, ports, sockets, locks, its announcement."""
        found = [f"process {pid}" for pid in self.left()]
        found += [f"port {door}" for door in self.doors if _answers(door)]
        found += [f"socket {path}" for path in (self.folder / "r").rglob("*.sock")]
        locks = [self.state / "host.lock", *self.state.glob("products/*/*/writer.lock")]
        found += [f"lock {path}" for path in locks if _held(path)]
        found += [
            str(path) for path in (self.state / "mesh.json", *(self.folder / "r").rglob("*.json")) if path.exists()
        ]
        return found

    def said(self) -> str:
        """What the host said, for the message of a failing test."""
        return (self.folder / "host.out").read_text(errors="replace")[-4000:]

    @property
    def _names(self) -> FolderNames:
        return FolderNames(self.state / "names")

    def _record(self, product: str) -> dict[str, Any]:
        record = self._names.resolve(product) or {}
        return dict(record) if record.get("door") and lives(int(record["pid"])) else {}

    def _found(self) -> bool:
        assert self.process is not None
        ended = self.process.poll()
        assert ended is None, f"the host ended with {ended}:\n{self.said()}"
        try:
            found = place_in(self.state)
        except NotThere:
            return False
        assert found.state is not None
        return f'"host_pid": {self.host},' in (found.state / "mesh.json").read_text()


def deliver(folder: Path, name: str, content: bytes) -> Path:
    """Puts a file into a drop folder as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{name}.part"
    draft.write_bytes(content)
    return draft.rename(folder / name)


def until_taken(mesh: Mesh, product: str, names: Iterable[str], seconds: float = 60) -> None:
    """Waits until the product's ledger names these files."""
    wanted = set(names)
    what = f"{product} has taken {sorted(wanted)}"
    eventually(lambda: wanted <= taken(mesh, product), seconds, what)


def taken(mesh: Mesh, product: str) -> set[str]:
    """The names of the files that the product's ledger names, parked ones too."""
    return set(taken_in_order(mesh, product))


def taken_in_order(mesh: Mesh, product: str) -> list[str]:
    """The files as the product consumed them, oldest first; one that was consumed twice stands there twice."""
    entries = reversed(mesh.log(product, limit=10_000))
    return [str(cursor["name"]) for entry in entries for cursor in entry.get("inputs", {}).values()]


def settled(mesh: Mesh, product: str, sources: Iterable[str], seconds: float = 90) -> None:
    """Waits until the product has seen what each of its sources has published now."""
    for source in sources:
        mesh.wait(product, (source, mesh.load(source, limit=0).moment), seconds)


def _answers(door: str) -> bool:
    parts = urlsplit(door)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1):
            return True
    except OSError:
        return False


def _held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
