"""A mesh from nothing to nothing, through the real commands: up, its processes' lives, what it finds, down."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.demo import Commands
from tests.waiting import eventually
from tulle.mesh_plane.down import lives

BROKEN = "product: hello/broken\nteam: hello\n"


@dataclass
class Up:
    commands: Commands

    @property
    def state(self) -> Path:
        return self.commands.folder / ".tulle" / "mesh"

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "mesh.json").read_text())
        return found

    @property
    def address(self) -> str:
        return str(self.facts["front_door"])

    def processes(self) -> dict[str, int]:
        """The host's children by the names they show."""
        host = self.facts["host_pid"]
        children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
        return {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}

    def statuses(self) -> dict[str, dict[str, Any]]:
        return {one["product"]: one for one in self.commands.json("status")["products"]}

    def rows(self) -> int:
        return len(self.commands.json("read", "hello/world")["rows"])


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    commands = Commands(tmp_path_factory.mktemp("mesh"))
    commands.run("init", "hello/world")
    said = commands.run("up", "--port", "0")
    assert "tulle is up on http://127.0.0.1:" in said
    assert "1 domain · 1 product" in said
    up = Up(commands)
    eventually(lambda: up.statuses()["hello/world"]["state"] == "Fresh", what="the first file was taken in")
    yield up
    pids = [up.facts["host_pid"], *up.processes().values()]
    assert "stopped" in commands.run("down")
    assert not any(lives(pid) for pid in pids)
    assert not (up.state / "mesh.json").exists()
    assert not list((commands.folder / "r" / "tulle").glob("*/issuer.sock"))
    assert "error[E003]" in commands.run("down", expect=4)


def test_what_was_made_can_be_read_at_once(mesh: Up) -> None:
    assert mesh.rows() == 2
    answer = mesh.commands.json("sql", "select max(words) as n from hello.world")
    assert answer["rows"] == [{"n": 2}]
    assert answer["stamp"]["moment"]
    assert "hello/world" in mesh.commands.run("search", "hello")
    assert mesh.commands.run("status", "--door").strip() == mesh.address


def test_a_second_mesh_on_the_same_state_is_refused(mesh: Up) -> None:
    said = mesh.commands.run("up", "--port", "0", expect=5)
    assert "error[E002]: this mesh is already running" in said
    assert mesh.address in said


def test_a_taken_port_is_named_with_its_process(tmp_path: Path) -> None:
    commands = Commands(tmp_path)
    commands.run("init", "hello/world")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = commands.run("up", "--port", str(port), expect=5)
    assert f"error[E001]: port {port} is in use by pid {os.getpid()}" in said
    assert "fix: tulle up --port 0" in said


def test_a_bad_tulle_yaml_is_pointed_at(tmp_path: Path) -> None:
    (tmp_path / "tulle.yaml").write_text("mesh: x\nprot: 8765\n")
    said = Commands(tmp_path).run("up", expect=1)
    assert 'unknown key "prot"' in said
    assert "tulle.yaml:2:1" in said


def test_a_link_signs_a_browser_in_once(mesh: Up) -> None:
    link = mesh.commands.run("token", "--link").strip()
    with httpx.Client(headers={"Accept": "text/html"}, follow_redirects=True) as browser:
        page = browser.get(link)
        assert page.url == f"{mesh.address}/"
        assert "hello/world" in page.text
        assert browser.get(f"{mesh.address}/hello/world").status_code == 200
    assert httpx.get(link, headers={"Accept": "text/html"}).status_code == 401


def test_a_token_works_over_http_and_nothing_else_does(mesh: Up) -> None:
    url = f"{mesh.address}/hello/world/rows.csv"
    token = mesh.commands.run("token").strip()
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.text.count("\n") == 3
    assert httpx.get(url).json()["error"]["code"] == "E310"
    assert httpx.get(url, headers={"Authorization": "Bearer no"}).json()["error"]["code"] == "E311"


def test_a_product_that_cannot_begin_says_why_and_is_taken_up_when_mended(mesh: Up) -> None:
    mesh.commands.run("init", "hello/broken")
    manifest = mesh.commands.folder / "products" / "hello" / "broken" / "product.yaml"
    whole = manifest.read_text()
    manifest.write_text(BROKEN)
    broken = eventually(lambda: mesh.statuses().get("hello/broken", {}).get("error"), what="its error is shown")
    assert "product.yaml" in json.dumps(broken)
    assert mesh.rows() == 2
    manifest.write_text(whole)
    eventually(lambda: mesh.statuses()["hello/broken"]["state"] == "Fresh", what="it serves once it is mended")
    for file in sorted(manifest.parent.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    eventually(lambda: "hello/broken" not in mesh.statuses(), what="it is forgotten")


@pytest.mark.parametrize("process", ["front-door", "issuer", "mesh-plane", "hello/world"])
def test_whatever_dies_is_started_again(mesh: Up, process: str) -> None:
    before = mesh.processes()[process]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: mesh.processes().get(process, before) != before, what=f"{process} lives again")
    token = eventually(lambda: _quietly(lambda: mesh.commands.run("token").strip()), what="tokens are minted")
    headers = {"Authorization": f"Bearer {token}"}
    eventually(lambda: _status(f"{mesh.address}/hello/world/rows", headers) == 200, what="the front door answers")
    assert mesh.rows() == 2
    eventually(lambda: _status(f"{mesh.address}/search?q=hello", headers) == 200, what="search answers")


def test_products_answer_while_the_mesh_plane_is_stopped(mesh: Up) -> None:
    plane = mesh.processes()["mesh-plane"]
    os.kill(plane, signal.SIGSTOP)
    try:
        assert mesh.rows() == 2
        assert mesh.commands.run("token").count(".") == 2
    finally:
        os.kill(plane, signal.SIGCONT)


def test_after_the_host_is_killed_everything_ends_and_comes_back(mesh: Up) -> None:
    family = mesh.processes()
    stamp = mesh.commands.json("read", "hello/world")["stamp"]
    os.kill(mesh.facts["host_pid"], signal.SIGKILL)
    eventually(lambda: not any(lives(pid) for pid in family.values()), what="no orphan lives")
    assert "error[E003]" in mesh.commands.run("status", expect=4)
    mesh.commands.run("up", "--port", "0")
    assert mesh.commands.json("read", "hello/world")["stamp"]["digest"] == stamp["digest"]
    assert mesh.commands.json("read", "hello/world")["stamp"]["moment"] == stamp["moment"]


def _quietly(ask: Any) -> Any:
    try:
        return ask()
    except AssertionError:
        return None


def _status(url: str, headers: dict[str, str]) -> int:
    try:
        return httpx.get(url, headers=headers, timeout=5).status_code
    except httpx.HTTPError:
        return 0
