"""A mesh of its own for a test, run through the real command line in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.source import ROOT
from tests.waiting import eventually

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass
class Commands:
    """A folder in which commands are run as a user runs them, with this environment's `tulle` first on the path."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        here = str(Path(sys.executable).parent)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TULLE_MESH")}
        runtime = self.folder / "r"
        runtime.mkdir(mode=0o700, exist_ok=True)
        own = {"PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(runtime), "COLUMNS": "120"}
        return inherited | own | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "src")} | self.extra

    def run(self, *words: str, expect: int = 0, stdin: str = "", seconds: float = 120) -> str:
        """`tulle WORDS`; its output. Fails unless it exits with `expect`."""
        done = subprocess.run(
            [sys.executable, "-m", "tulle.faces.cli.main", *words],
            cwd=self.folder,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        both = done.stdout + done.stderr
        assert done.returncode == expect, f"tulle {' '.join(words)} exited {done.returncode}:\n{both}"
        return done.stdout if expect == 0 else both

    def json(self, *words: str) -> Any:
        """What `tulle WORDS -o json` says."""
        return json.loads(self.run(*words, "-o", "json"))

    def rows(self, sql: str, *words: str) -> list[dict[str, Any]]:
        """The rows that `tulle sql` gives."""
        rows: list[dict[str, Any]] = self.json("sql", sql, *words)["rows"]
        return rows


@dataclass
class Served:
    """A command that serves until it is stopped, with what it has said so far."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, condition: Callable[[str], Any], seconds: float, what: str) -> Any:
        """The first true value of `condition` of what the command has said. Fails if the command ends before."""

        def look() -> Any:
            ended = self.process.poll()
            found = condition(self.said())
            assert found or ended is None, f"ended with {ended} before {what}:\n{self.said()}"
            return found

        return eventually(look, seconds, what)

    def stop(self, seconds: float = 30) -> int:
        """Asks as Ctrl-C does, waits for the end, and gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(seconds)


def serve(commands: Commands, *words: str) -> Served:
    """Starts `tulle WORDS` and comes back at once; its output goes to a file."""
    log = commands.folder / f"{words[0]}.out"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tulle.faces.cli.main", *words],
            cwd=commands.folder,
            env=commands.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    return Served(process, log)


@dataclass(frozen=True)
class RunningDemo:
    """The example mesh, loaded and serving. Read it; a test that changes something starts one of its own."""

    commands: Commands
    url: str
    served: Served


def start_demo(folder: Path) -> RunningDemo:
    """`tulle demo --port 0` in `folder`, once it has said where it is. The caller stops it."""
    commands = Commands(folder)
    served = serve(commands, "demo", "--port", "0")
    address = served.wait_for(ADDRESS.search, 150, "its address was printed")
    return RunningDemo(commands, address.group(), served)


def copy_example(folder: Path) -> Path:
    """A copy of `examples/flights` in `folder`, free to be changed."""
    target = folder / "flights"
    shutil.copytree(ROOT / "examples" / "flights", target, ignore=shutil.ignore_patterns(".tulle", "__pycache__"))
    return target
