"""Which mesh is meant: asked in processes of their own, since it depends on folder and environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

FIND = """
import json, sys
from pathlib import Path
from tulle.client.doors import find_mesh
from tulle.errors import TulleError
try:
    found = find_mesh(*sys.argv[1:])
    print(json.dumps({"mesh": found.mesh, "front_door": found.front_door, "state": str(found.state)}))
except TulleError as error:
    print(json.dumps({"error": error.as_document()}))
"""
HOLD = """
import os, sys
from tulle.formats.running import Running, announce
state, port, mesh = sys.argv[1:4]
os.makedirs(state, exist_ok=True)
announce(Running(mesh, f"http://127.0.0.1:{port}", f"{state}/issuer.sock", os.getpid(), port, state))
print("up", flush=True)
sys.stdin.read()
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def environment(short_folder: Path) -> dict[str, str]:
    """An environment whose registry of running meshes is empty."""
    return {**os.environ, "XDG_RUNTIME_DIR": str(short_folder)}


@pytest.fixture
def start(environment: Mapping[str, str]) -> Iterator[Start]:
    """Starts a process that is to be found as the host of a mesh."""
    held: list[subprocess.Popen[str]] = []

    def one(state: Path, port: int, mesh: str = "m-1") -> subprocess.Popen[str]:
        words = [sys.executable, "-c", HOLD, str(state), str(port), mesh, "tulle"]
        held.append(
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment))
        )
        stdout = held[-1].stdout
        assert stdout is not None
        assert stdout.readline() == "up\n"
        return held[-1]

    yield one
    for process in held:
        process.communicate()


def find(environment: Mapping[str, str], folder: Path, *where: str, **more: str) -> dict[str, Any]:
    words = [sys.executable, "-c", FIND, *where]
    done = subprocess.run(words, cwd=folder, env={**environment, **more}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_no_mesh_says_how_to_get_one(environment, tmp_path):
    assert find(environment, tmp_path)["error"]["fix"] == "tulle demo"
    assert find(environment, tmp_path, str(tmp_path))["error"]["code"] == "E003"
    assert find(environment, tmp_path, "ftp://x")["error"]["code"] == "E010"


def test_the_only_one_that_runs_is_meant_however_it_is_named(environment, tmp_path, start):
    process = start(tmp_path / "state", 8701)
    expected = {"mesh": "m-1", "front_door": "http://127.0.0.1:8701", "state": str(tmp_path / "state")}
    assert find(environment, tmp_path) == expected
    assert find(environment, tmp_path, "http://localhost:8701") == expected
    assert find(environment, tmp_path, TULLE_MESH=str(tmp_path / "state")) == expected
    process.communicate()
    assert find(environment, tmp_path)["error"]["code"] == "E003"


def test_of_several_one_must_be_named(environment, tmp_path, start):
    start(tmp_path / "one", 8701)
    start(tmp_path / "two", 8702)
    several = find(environment, tmp_path)["error"]
    assert "http://127.0.0.1:8701" in several["why"]
    assert "http://127.0.0.1:8702" in several["why"]
    assert several["fix"].startswith("TULLE_MESH=")


def test_the_nearest_tulle_yaml_comes_before_all_else(environment, tmp_path, start):
    start(tmp_path / "other", 8701)
    other, inside = str(tmp_path / "other"), tmp_path / "mine" / "products" / "a"
    inside.mkdir(parents=True)
    (tmp_path / "mine" / "tulle.yaml").write_text("mesh: mine\n")
    down = find(environment, inside)["error"]
    assert "tulle up" in down["fix"]
    assert find(environment, inside, TULLE_MESH=other)["front_door"] == "http://127.0.0.1:8701"
    start(tmp_path / "elsewhere", 8703, "mine")
    assert find(environment, inside)["front_door"] == "http://127.0.0.1:8703"
    start(tmp_path / "mine" / ".tulle" / "mesh", 8702)
    assert find(environment, inside, TULLE_MESH=other)["front_door"] == "http://127.0.0.1:8702"
    assert find(environment, inside, other)["front_door"] == "http://127.0.0.1:8701"


def test_an_address_elsewhere_is_taken_as_it_is(environment, tmp_path):
    found = find(environment, tmp_path, "https://mesh.example/tulle/")
    assert found == {"mesh": "mesh.example", "front_door": "https://mesh.example/tulle", "state": "None"}


def test_the_environment_s_token_speaks_for_people_and_not_for_products(environment, tmp_path):
    text = (
        "from tulle.client.doors import Place; from tulle.client.mesh import Mesh;"
        "place = Place('m', 'http://x'); print(Mesh.at(place).token());"
        "print(Mesh.at(place, 'product:a/b').token())"
    )
    more = {**environment, "TULLE_TOKEN": "given"}
    done = subprocess.run([sys.executable, "-c", text], env=more, capture_output=True, text=True, check=False)
    assert done.stdout == "given\n"
    assert "E310" in done.stderr


def test_importing_tulle_loads_nothing(environment):
    text = "import sys, tulle; print([m for m in ('pyarrow', 'sqlglot', 'duckdb', 'tulle.client') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
