"""The walls around a child, tried from inside by plain Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source import ROOT
from tulle.utility_plane import landlock, seccomp

FILES = {"read closed", "list closed", "write open", "execute", "environment of the parent"}


def attempts(walls: str, folder: Path) -> dict[str, str]:
    for name in ("open", "ours"):
        (folder / name).mkdir()
    (folder / "open" / "a").write_text("a")
    (folder / "closed").write_text("secret")
    command = [sys.executable, "-m", "tests.utility_plane.confined", walls, str(folder)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    found: dict[str, str] = json.loads(said.stdout)
    return found


def refused(found: dict[str, str]) -> set[str]:
    return {name for name, outcome in found.items() if outcome == "PermissionError"}


def test_without_walls_everything_is_possible(tmp_path: Path) -> None:
    assert set(attempts("none", tmp_path).values()) == {"done"}


@pytest.mark.parametrize("walls", ["landlock", "landlock+seccomp"])
def test_landlock_leaves_only_the_named_paths(tmp_path: Path, walls: str) -> None:
    found = attempts(walls, tmp_path)
    version = landlock.available()
    expected = set() if version < 1 else set(FILES)
    expected |= {"connect", "bind"} if version >= 4 else set()
    expected |= {"signal"} if version >= 6 else set()
    if "seccomp" in walls and seccomp.available():
        expected |= {"execute", "fork", "udp", "unix", "connect", "bind"}
    assert refused(found) == expected
    assert {found["read open"], found["write ours"], found["thread"]} == {"done"}


def test_seccomp_leaves_files_and_threads(tmp_path: Path) -> None:
    found = attempts("seccomp", tmp_path)
    assert refused(found) == ({"execute", "fork", "udp", "unix", "connect", "bind"} if seccomp.available() else set())


def test_what_an_old_kernel_cannot_hold_is_said() -> None:
    assert landlock.degraded(0) != ()
    assert len(landlock.degraded(0)) > len(landlock.degraded(3)) > len(landlock.degraded(7)) == 0


def test_the_interpreter_needs_no_more_than_its_own_folders() -> None:
    paths = landlock.interpreter_paths()
    assert Path(sys.prefix).resolve() in paths
    assert not {Path("/"), Path.home(), Path("/etc"), Path("/proc"), Path("/tmp")} & set(paths)  # noqa: S108
