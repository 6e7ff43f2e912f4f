"""How a running mesh is found: `mesh.json` in its state folder, and a registry of the meshes that this user runs."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tulle.errors import Conflict

MESH_JSON = "mesh.json"


@dataclass(frozen=True)
class Running:
    """A mesh that is up: its id, where its front door and issuer are, and the process that holds it."""

    mesh: str
    front_door: str
    issuer_socket: str
    host_pid: int
    started: str
    state: str


def runtime_folder() -> Path:
    """This user's private folder for sockets and the registry: short, since paths of Unix sockets may not be long."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "tulle" if base and Path(base).is_dir() else _own_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        why = "It must be a folder of this user that nobody else may enter."
        raise Conflict("E007", f"{folder} is not private", why=why, fix=f"rm -r {folder}")
    return folder


def socket_folder(state: Path) -> Path:
    """Where the sockets of the mesh with this state folder lie."""
    folder = runtime_folder() / _key(state)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def announce(running: Running) -> None:
    """Writes mesh.json and the registry's entry."""
    document = json.dumps(asdict(running))
    for path in _places(Path(running.state)):
        _write(path, document)


def withdraw(state: Path, pid: int) -> None:
    """Removes what `announce` wrote, if `pid` wrote it."""
    for path in _places(state):
        found = _read(path)
        if found and found.host_pid == pid:
            path.unlink(missing_ok=True)


def running_in(state: Path) -> Running | None:
    """The mesh that runs on this state folder. One whose host is gone counts as not running."""
    return _alive(_read(state / MESH_JSON))


def all_running() -> tuple[Running, ...]:
    """Every mesh that this user runs, the newest first."""
    found = (_alive(_read(path)) for path in _registry().glob("*.json"))
    return tuple(sorted((mesh for mesh in found if mesh), key=lambda mesh: mesh.started, reverse=True))


def already_running(state: Path) -> Conflict:
    """The error for a second host on one state folder."""
    mesh = running_in(state)
    where = f"{mesh.front_door}, process {mesh.host_pid}" if mesh else str(state)
    return Conflict("E002", "this mesh is already running", where=where, fix="tulle down")


def _own_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"tulle-{os.getuid()}"


def _registry() -> Path:
    return runtime_folder() / "running"


def _key(state: Path) -> str:
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]


def _places(state: Path) -> tuple[Path, Path]:
    return state / MESH_JSON, _registry() / f"{_key(state)}.json"


def _alive(running: Running | None) -> Running | None:
    if running is None:
        return None
    try:
        os.kill(running.host_pid, 0)
    except OSError:
        return None
    return running if _is_ours(running.host_pid) else None


def _is_ours(pid: int) -> bool:
    """Numbers of processes are used again, so the name counts too, where the kernel tells it."""
    try:
        return b"tulle" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()


def _read(path: Path) -> Running | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return Running(**document)
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
