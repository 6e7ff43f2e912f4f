"""tulle.yaml, and how a running mesh is found."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tulle.errors import InvalidManifest
from tulle.formats.mesh_file import DEFAULT_PRODUCTS, MeshFile, find_root, load_mesh_file, product_folders
from tulle.formats.running import Running, announce, running_in, socket_folder, withdraw


def test_nothing_said_means_the_defaults(tmp_path: Path) -> None:
    assert load_mesh_file(tmp_path) == MeshFile("", DEFAULT_PRODUCTS, 8765, None)


def test_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "tulle.yaml").write_text("mesh: flights.example\nproducts: [a/*, b]\nport: 0\ndrops: .tulle/drops\n")
    assert load_mesh_file(tmp_path) == MeshFile("flights.example", ("a/*", "b"), 0, tmp_path / ".tulle" / "drops")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot: 1\n", "Did you mean port"),
        ("port: 70000\n", "whole number"),
        ("mesh: My Mesh\n", "not a name"),
        ("port: 1\nport: 2\n", "stands twice"),
        ("products: a\n", "must be a list"),
    ],
)
def test_slips_are_pointed_at(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "tulle.yaml").write_text(text)
    with pytest.raises(InvalidManifest) as caught:
        load_mesh_file(tmp_path)
    assert said in caught.value.text()
    assert "tulle.yaml:" in caught.value.where


def test_the_nearest_root_upwards(tmp_path: Path) -> None:
    below = tmp_path / "products" / "a" / "b"
    below.mkdir(parents=True)
    assert find_root(tmp_path) is None
    (tmp_path / "tulle.yaml").touch()
    assert find_root(below) == tmp_path.resolve()


def test_products_are_folders_with_a_manifest(tmp_path: Path) -> None:
    for name in ("a/x", "a/y", "b/z"):
        (tmp_path / "products" / name).mkdir(parents=True)
    for name in ("a/x", "b/z"):
        (tmp_path / "products" / name / "product.yaml").touch()
    found = product_folders(tmp_path, ("products/*/*", "products/a/*"))
    assert [folder.name for folder in found] == ["x", "z"]


@pytest.fixture
def running(tmp_path: Path) -> Running:
    state = tmp_path / "state"
    state.mkdir()
    return Running("m-1", "http://127.0.0.1:1", "/x", os.getpid(), "2026-01-01T00:00:00Z", str(state))


def test_a_mesh_is_running_as_long_as_its_host_lives(running: Running) -> None:
    state = Path(running.state)
    assert running_in(state) is None
    program = "import sys; print('tulle', flush=True); sys.stdin.read()"
    host = subprocess.Popen(
        [sys.executable, "-c", program, "tulle.assembly"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert host.stdout is not None
    host.stdout.readline()
    there = replace(running, host_pid=host.pid)
    announce(there)
    assert running_in(state) == there
    host.communicate()
    assert running_in(state) is None
    withdraw(state, host.pid)
    assert not (state / "mesh.json").exists()


def test_another_hosts_announcement_is_not_withdrawn(running: Running) -> None:
    announce(running)
    withdraw(Path(running.state), running.host_pid + 1)
    assert (Path(running.state) / "mesh.json").exists()
    withdraw(Path(running.state), running.host_pid)


def test_sockets_lie_where_paths_are_short_and_private(tmp_path: Path) -> None:
    folder = socket_folder(tmp_path / ("long" * 40))
    assert len(str(folder / "issuer.sock")) < 100
    assert folder.stat().st_mode & 0o077 == 0
    assert folder == socket_folder(tmp_path / ("long" * 40))
    folder.rmdir()
