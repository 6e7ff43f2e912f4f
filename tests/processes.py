"""Which processes this test run started and has not ended."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

MARK = "TULLE_TEST_RUN"


def mark_this_run() -> None:
    """Every process started from now on carries this run's mark in its environment, and so do those it starts."""
    os.environ[MARK] = uuid.uuid4().hex


@dataclass(frozen=True)
class Resources:
    """What this run's other processes hold together."""

    processes: int
    descriptors: int
    megabytes: float


def resources() -> Resources:
    """Counts what the processes hold now; memory is PSS, which shares out what is shared."""
    folders = [Path("/proc") / line.split()[0] for line in left_running()]
    descriptors = sum(len(list((folder / "fd").iterdir())) for folder in folders if (folder / "fd").is_dir())
    rollups = (_read(f"{folder}/smaps_rollup").decode() for folder in folders)
    kilobytes = sum(
        int(found[1]) for found in (re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE) for text in rollups) if found
    )
    return Resources(len(folders), descriptors, kilobytes / 1000)


def left_running() -> list[str]:
    """Processes of this run other than this one: `pid command`. A fork of this process shows this one's command."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    ours = _read(f"/proc/{os.getpid()}/cmdline")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        command = _read(f"{folder}/cmdline")
        marked = mark in _read(f"{folder}/environ").split(b"\0")
        if command and (marked or command == ours) and int(folder.name) != os.getpid():
            found.append(f"{folder.name} {command.replace(bytes(1), b' ').decode(errors='replace').strip()}")
    return found


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
