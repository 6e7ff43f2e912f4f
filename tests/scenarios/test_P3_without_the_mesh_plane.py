"""Nothing that serves or flows needs the mesh plane: it may be stopped, killed, and lose what it knew."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests import flights_slice as data
from tests.local_mesh import LocalMesh, deliver, settled, until_taken
from tests.waiting import eventually
from tulle.client.mesh import Mesh
from tulle.errors import TulleError

MARCH = range(11, 13)


@pytest.fixture
def stopped_plane(february: LocalMesh) -> Iterator[int]:
    """The mesh plane's process, there but answering nothing: it is not started anew, as a dead one would be."""
    pid = february.pid_of("mesh-plane")
    os.kill(pid, signal.SIGSTOP)
    yield pid
    os.kill(pid, signal.SIGCONT)


def read_at_the_front_door(mesh: Mesh, port: str, token: str) -> httpx.Response:
    address = f"{mesh.front_door}/{port}/rows.json"
    return httpx.get(address, params={"limit": 3}, headers={"Authorization": f"Bearer {token}"}, timeout=10)


def test_every_product_answers_and_tokens_are_minted(february, stopped_plane):
    mesh = february.mesh()
    for port in data.PORTS:
        assert len(mesh.load(port, limit=3)) == 3
        assert mesh.describe(port)["outputs"]
    assert {status["state"] for status in mesh.status()["products"]} == {"Fresh"}
    token = mesh.token("person:newcomer", teams=(), seconds=60)
    for port in data.PORTS:
        answer = read_at_the_front_door(mesh, port, token)
        assert (answer.status_code, len(answer.json()["rows"])) == (200, 3)
    joined = mesh.sql("select count(*) as n from operations.flights join network.carriers using (carrier)")
    assert joined.rows()[0]["n"] > 0


def test_a_new_month_still_flows_to_the_end(february, stopped_plane):
    mesh = february.mesh()
    deliver(february.drops / data.FLIGHTS, data.month_name(3), data.flights(3, MARCH))
    until_taken(mesh, "operations/flights", [data.month_name(3)])
    settled(mesh, "punctuality/daily", ["operations/flights"])
    days = mesh.load("punctuality/daily", at="2013-03").arrow()
    assert days.num_rows == 3 * len(MARCH)
    assert sum(days["flights"].to_pylist()) == data.rows(data.flights(3, MARCH))


def test_what_only_the_mesh_plane_knows_is_refused_rather_than_waited_for(february, stopped_plane):
    mesh = february.mesh()
    headers = {"Authorization": f"Bearer {mesh.token()}"}
    answer = httpx.get(f"{mesh.front_door}/search", params={"q": "wind"}, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "E006")


def test_its_index_comes_back_by_itself(february):
    mesh = february.mesh()
    index = february.state / "mesh_plane.json"
    assert mesh.search("punctual")["found"]
    assert index.exists()
    old = february.pid_of("mesh-plane")
    os.kill(old, signal.SIGKILL)
    index.unlink(missing_ok=True)
    eventually(lambda: february.pid_of("mesh-plane") != old, 20, "another one runs")

    def found() -> bool:
        try:
            return "punctuality/daily" in str(mesh.search("punctual")["found"])
        except TulleError:
            return False

    eventually(found, 20, "the search finds it again")
    assert "weather/hourly" in str(mesh.lineage("punctuality/daily"))
