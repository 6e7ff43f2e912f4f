"""Stopping a mesh: its host is told, and everything that it started is waited for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tulle.errors import NotThere, Unavailable
from tulle.formats.running import running_in
from tulle.utility_plane.processes import tree

Told = Callable[[str], None]

PATIENCE = 20.0
_LOOK = 0.02


def down(state: Path, seconds: float = PATIENCE, told: Told = lambda _: None) -> int:
    """Stops the mesh of this state folder and answers with how many processes have ended.

    Raises `NotThere` E003 if it does not run, `Unavailable` E006 if it will not end.
    """
    mesh = running_in(state)
    if mesh is None:
        raise NotThere("E003", "no mesh is running here", where=str(state), fix="tulle up")
    family = {pid: _born(pid) for pid in tree(mesh.host_pid)}
    os.kill(mesh.host_pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(born is not None and _born(pid) == born for pid, born in family.items()):
            return len(family)
        told("stopping")
        time.sleep(_LOOK)
    raise Unavailable("E006", f"the mesh has not ended after {seconds:g} s", fix=f"kill -9 {mesh.host_pid}")


def lives(pid: int) -> bool:
    """Whether a process is still there."""
    return _born(pid) is not None


def _born(pid: int) -> str | None:
    """When a process began, as the kernel counts: with its number that names one process. None once it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
