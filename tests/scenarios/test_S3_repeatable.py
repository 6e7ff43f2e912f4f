"""A read at the same two times is the same read: before and after whatever is published later, and a restart."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from tests import flights_slice as data
from tests.local_mesh import LocalMesh, deliver, settled, until_taken
from tulle.client.mesh import Mesh
from tulle.times import Moment

FORMS = {"csv": "text/csv", "arrow": "application/vnd.apache.arrow.stream"}
APRIL = range(11, 13)
AT: Mapping[str, str | None] = {
    "weather/hourly": "2013-02",
    "operations/flights": "2013-02-19..2013-02-21",
    "punctuality/ontime": "2013-02-20",
    "punctuality/daily": None,
    "fleet/aircraft": "2013-06-01T12:00Z",
    "network/airports": "2013-06-01T12:00Z",
}
"""An actual time per port: periods for events, an instant for states; everything where nothing is said."""
CROSSING = """
select origin, count(*) as flights, sum(seats) as seats, max(wind_mean) as wind
from punctuality.ontime join punctuality.daily using (origin) group by origin
"""


def digests(mesh: Mesh, moment: Moment) -> dict[str, str]:
    """What each port says of its rows at the two times, through the SDK; and a statement over two of them."""
    found = {port: mesh.load(port, as_of=moment, at=at).digest for port, at in AT.items()}
    return found | {"sql": mesh.sql(CROSSING, as_of=moment).digest}


def bodies(mesh: Mesh, moment: Moment) -> dict[tuple[str, str], bytes]:
    """The answers at the front door, byte by byte, in the order of the key."""
    token, found = mesh.token(), {}
    for port, at in AT.items():
        asked = {"as_of": str(moment), "order": "key"} | ({"at": at} if at else {})
        for form, media in FORMS.items():
            headers = {"Authorization": f"Bearer {token}", "Accept": media}
            answer = httpx.get(f"{mesh.front_door}/{port}/rows", params=asked, headers=headers, timeout=60)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].startswith(media)
            assert answer.headers["tulle-moment"] == str(moment)
            found[port, form] = answer.content
    return found


def publish_more(local: LocalMesh, mesh: Mesh) -> None:
    """Another month, readings of February that are corrected, one that is taken back."""
    header, *lines = data.weather(range(20, 21)).splitlines(keepends=True)
    changed = [line.replace(b",10,2013-02-2", b",9,2013-02-2") for line in lines if b",2013,2,20," in line]
    assert changed != [line for line in lines if b",2013,2,20," in line]
    deliver(local.drops / data.HOURLY, "february-20.csv", b"".join([header, *changed]))
    deliver(local.drops / data.FLIGHTS, data.month_name(4), data.flights(4, APRIL))
    until_taken(mesh, "weather/hourly", ["february-20.csv"])
    until_taken(mesh, "operations/flights", [data.month_name(4)])
    mesh.retract("weather/hourly", {"origin": "LGA", "time_hour": "2013-02-20T12:00Z"}, "a bird sat on it", wait=True)
    settled(mesh, "punctuality/daily", ["operations/flights", "weather/hourly"])


def test_the_same_two_times_give_the_same_rows_and_bytes(february):
    mesh = february.mesh()
    moment = max(mesh.load(port, limit=0).moment for port in AT)
    digests_before, bodies_before = digests(mesh, moment), bodies(mesh, moment)
    assert digests(mesh, moment) == digests_before
    publish_more(february, mesh)
    later = {port: mesh.load(port, at=at).digest for port, at in AT.items()}
    moved = {port for port in AT if later[port] != digests_before[port]}
    assert moved == {"weather/hourly", "punctuality/ontime", "punctuality/daily"}
    assert digests(mesh, moment) == digests_before
    again = february.restart()
    assert digests(again, moment) == digests_before
    assert bodies(again, moment) == bodies_before


@pytest.mark.parametrize("port", ["punctuality/daily", "fleet/aircraft"])
def test_the_latest_rows_can_be_asked_for_again_by_the_moment_of_the_answer(february, port):
    mesh = february.mesh()
    latest = mesh.load(port)
    again = mesh.load(port, as_of=latest.moment)
    assert (again.moment, again.digest) == (latest.moment, latest.digest)
