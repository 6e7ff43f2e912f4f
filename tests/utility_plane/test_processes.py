"""A host: what dies is started again, what is asked to stop stops, and nothing outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.source import ROOT
from tests.waiting import eventually
from tulle.utility_plane.processes import host_environment, pss_of, tree

Start = Callable[..., "Running"]


class Running:
    """A host in a folder of its own."""

    def __init__(self, folder: Path, *specs: dict[str, str]) -> None:
        self.folder = folder
        self.want(*specs)
        command = [sys.executable, "-m", "tests.utility_plane.hosted", str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def want(self, *specs: dict[str, str]) -> None:
        draft = self.folder / "draft"
        draft.write_text(json.dumps(specs))
        draft.rename(self.folder / "wanted.json")

    def lines(self, file: str, **having: Any) -> list[dict[str, Any]]:
        path = self.folder / file
        text = path.read_text() if path.exists() else ""
        found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [line for line in found if all(line.get(key) == value for key, value in having.items())]

    def started(self, name: str, times: int = 1) -> list[dict[str, Any]]:
        return eventually(
            lambda: f if len(f := self.lines("started", name=name)) >= times else [], what=f"{name} starts"
        )

    def ended(self) -> int:
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a host that wants the given processes; it is ended with the test if it has not been before."""
    hosts: list[Running] = []

    def begin(*specs: dict[str, str]) -> Running:
        hosts.append(Running(tmp_path, *specs))
        return hosts[-1]

    yield begin
    for host in hosts:
        assert host.process.stdin is not None
        host.process.stdin.close()
        host.ended()


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_processes_start_named_logged_and_with_nothing_of_the_hosts(start: Start, tmp_path: Path) -> None:
    host = start({"name": "names"}, {"name": "a-rather-long-name"})
    one, two = host.started("names")[0], host.started("a-rather-long-name")[0]
    assert {one["parent"], two["parent"]} == {host.process.pid}
    assert (one["comm"], two["comm"]) == ("names", "a-rather-long-n")
    assert one["open"] == two["open"] == []
    eventually(lambda: (tmp_path / "names.log").read_text() == "names speaks\n")
    assert set(tree(host.process.pid)) == {host.process.pid, one["pid"], two["pid"]}
    assert 1 << 20 < pss_of(tree(host.process.pid)) < 500 << 20


def test_what_is_killed_starts_again_at_once(start: Start) -> None:
    host = start({"name": "container"})
    first = host.started("container")[0]["pid"]
    os.kill(first, signal.SIGKILL)
    second = host.started("container", 2)[1]["pid"]
    assert second != first
    assert host.lines("events", event="ended", code=-9, again_in=0.05)
    assert gone([first])


def test_what_crashes_again_and_again_waits_longer_and_longer(start: Start, tmp_path: Path) -> None:
    host = start({"name": "broken", "kind": "crash"})
    host.started("broken", 4)
    pauses = [line["again_in"] for line in host.lines("events", event="ended")]
    assert pauses[:3] == [0.05, 0.1, 0.2]
    assert "RuntimeError: the process crashed" in (tmp_path / "broken.log").read_text()


@pytest.mark.parametrize(
    ("restart", "kind", "again"),
    [("never", "crash", False), ("failure", "end", False), ("failure", "crash", True), ("always", "end", True)],
)
def test_who_starts_again_is_said_by_the_process(start: Start, restart: str, kind: str, *, again: bool) -> None:
    host = start({"name": "one", "kind": kind, "restart": restart})
    ended = eventually(lambda: host.lines("events", event="ended"))
    assert ("again_in" in ended[0]) == again


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "the control pipe"])
def test_the_host_ends_everything_and_then_itself(start: Start, how: str) -> None:
    host = start({"name": "polite"}, {"name": "rude", "kind": "stubborn"})
    pids = [host.started(name)[0]["pid"] for name in ("polite", "rude")]
    assert host.process.stdin is not None
    if how.startswith("SIG"):
        host.process.send_signal(signal.Signals[how])
    host.process.stdin.close()
    assert host.ended() == 0
    assert gone(pids)
    assert host.lines("events", event="stopped")
    codes = {line["process"]: line["code"] for line in host.lines("events", event="ended")}
    assert codes == {"polite": -signal.SIGTERM, "rude": -signal.SIGKILL}


def test_nothing_outlives_a_killed_host(start: Start) -> None:
    host = start({"name": "one"}, {"name": "two", "kind": "stubborn"})
    pids = [host.started(name)[0]["pid"] for name in ("one", "two")]
    host.process.kill()
    host.ended()
    eventually(lambda: gone(pids))


def test_orphans_are_adopted_and_buried(start: Start) -> None:
    host = start({"name": "parent", "kind": "orphan", "restart": "never"})
    host.started("parent")
    eventually(lambda: tree(host.process.pid) == (host.process.pid,) and not zombies(host.process.pid))


def zombies(parent: int) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        text = path.read_text() if path.exists() else ""
        state = text.rpartition(") ")[2].split()[:2]
        found += [text] if state == ["Z", str(parent)] else []
    return found


def test_new_processes_start_and_unwanted_ones_end_without_a_restart(start: Start) -> None:
    host = start({"name": "old"}, {"name": "kept"})
    old, kept = host.started("old")[0]["pid"], host.started("kept")[0]["pid"]
    host.want({"name": "kept"}, {"name": "new"})
    host.process.send_signal(signal.SIGHUP)
    host.started("new")
    eventually(lambda: gone([old]))
    assert len(host.started("kept")) == 1
    assert not gone([kept])


def test_a_new_revision_takes_the_place_of_the_old_one(start: Start) -> None:
    host = start({"name": "product", "revision": "1"})
    first = host.started("product")[0]["pid"]
    host.want({"name": "product", "revision": "2"})  # found by looking, once a second
    host.started("product", 2)
    assert gone([first])


def test_a_process_with_threads_may_not_be_a_host() -> None:
    program = "import threading; from tulle.utility_plane.processes import Host\n"
    program += "threading.Thread(target=threading.Event().wait, daemon=True).start(); Host([]).run()"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert "the host has 2 threads where it may have one" in said.stderr
    assert said.returncode == 1


def test_libraries_start_no_threads_in_the_hosts_environment() -> None:
    program = "import pyarrow.csv, pyarrow.parquet, duckdb, os; print(len(os.listdir('/proc/self/task')))"
    command = [sys.executable, "-c", program]
    said = subprocess.run(
        command, cwd=ROOT, env=host_environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert said.stdout == "1\n"


def test_a_dead_process_has_no_memory_and_no_children() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert pss_of([child.pid]) == 0
    assert tree(child.pid) == (child.pid,)
