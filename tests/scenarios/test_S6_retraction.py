"""One reading of 1,048 mph is taken back: the day's mean follows by itself, and nothing that comes again undoes it."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx
import pytest

from tests import flights_slice as data
from tests.local_mesh import deliver, until_taken
from tests.waiting import eventually
from tulle.client.mesh import Mesh
from tulle.errors import CheckFailed, NotThere, UsageError
from tulle.times import Moment

DAY = date(2013, 2, 12)
HOUR = "2013-02-12T08:00Z"
READING = {"origin": "EWR", "time_hour": HOUR}
LINE = b",2013-02-12T08:00:00Z"


def wind(mesh: Mesh, as_of: Moment | None = None) -> Any:
    """The mean wind of the day, through the SDK."""
    answer = mesh.load("punctuality/daily", as_of=as_of, where={"origin": "EWR", "day": DAY})
    return answer.rows()[0]["wind_mean"]


def wind_over_http(mesh: Mesh, **asked: str) -> Any:
    """The same at the front door."""
    address = f"{mesh.front_door}/punctuality/daily/rows.json"
    headers = {"Authorization": f"Bearer {mesh.token()}"}
    answer = httpx.get(address, params={"origin": "EWR", "day": str(DAY), **asked}, headers=headers, timeout=10)
    return answer.json()["rows"][0]["wind_mean"]


def reading(mesh: Mesh) -> list[dict[str, Any]]:
    return mesh.load("weather/hourly", where=READING).rows()


def followed(mesh: Mesh) -> None:
    """Waits until the day has seen what the weather has published."""
    mesh.wait("punctuality/daily", ("weather/hourly", mesh.load("weather/hourly", limit=0).moment))


def whole_file_otherwise() -> bytes:
    """The same readings in other bytes: their order is turned round."""
    header, *lines = data.whole("weather.csv").splitlines(keepends=True)
    return b"".join([header, *reversed(lines)])


def other_value() -> bytes:
    """The one reading, as the station corrected it: 10.5 mph."""
    header, *lines = data.whole("weather.csv").splitlines(keepends=True)
    (line,) = (line for line in lines if line.startswith(b"EWR") and LINE in line)
    cells = line.split(b",")
    place = header.split(b",").index(b"wind_speed")
    assert float(cells[place]) > 1000
    cells[place] = b"10.5"
    return header + b",".join(cells)


def test_it_stands_until_the_source_says_otherwise(february):
    mesh = february.mesh()
    drop = february.drops / data.HOURLY
    before = mesh.load("punctuality/daily", limit=0).moment
    assert wind(mesh) == wind_over_http(mesh) == 56.39

    done = mesh.retract("weather/hourly", READING, "1,048 mph is no wind", wait=True)
    assert done["retracted"] == 1
    assert wind(mesh) == wind_over_http(mesh) == 13.26
    assert wind(mesh, before) == wind_over_http(mesh, as_of=str(before)) == 56.39
    told = mesh.log("weather/hourly", 1)[0]
    assert (told["kind"], told["reason"]) == ("retract", "1,048 mph is no wind")

    deliver(drop, "weather-again.csv", data.whole("weather.csv"))
    eventually(lambda: skipped(mesh, "weather-again.csv"), 20, "the same bytes were noticed")
    assert reading(mesh) == []
    deliver(drop, "weather-turned.csv", whole_file_otherwise())
    until_taken(mesh, "weather/hourly", ["weather-turned.csv"])
    still_taken_back(mesh)
    mesh.run("weather/hourly", since=Moment(0))
    still_taken_back(mesh)
    for product in ("weather/hourly", "punctuality/ontime", "punctuality/daily"):
        mesh.run(product, full=True)
        still_taken_back(mesh)

    deliver(drop, "weather-mended.csv", other_value())
    until_taken(mesh, "weather/hourly", ["weather-mended.csv"])
    followed(mesh)
    (mended,) = reading(mesh)
    assert mended["wind_speed"] == 10.5
    hours = mesh.load("weather/hourly", where={"origin": "EWR", "month": 2, "day": 12}).arrow()["wind_speed"]
    assert wind(mesh) == round(sum(hours.to_pylist()) / len(hours), 2) != 13.26
    with pytest.raises(NotThere) as refused:
        mesh.lift("weather/hourly", READING, "it does not stand any more")
    assert refused.value.code == "E043"
    assert wind(mesh, before) == 56.39


def skipped(mesh: Mesh, name: str) -> bool:
    return any(line["event"] == "the same bytes again" and line["file"] == name for line in mesh.logs("weather/hourly"))


def still_taken_back(mesh: Mesh) -> None:
    followed(mesh)
    assert reading(mesh) == []
    assert wind(mesh) == 13.26


def test_lifting_it_lets_the_fact_stand_again(february):
    mesh = february.mesh()
    where = {"origin": "EWR", "time_hour": "2013-02-13T15:00Z"}
    (before,) = mesh.load("weather/hourly", where=where).rows()
    mesh.retract("weather/hourly", where, "a doubt", wait=True)
    assert len(mesh.load("weather/hourly", where=where)) == 0
    mesh.lift("weather/hourly", where, "the doubt was wrong")
    (after,) = mesh.load("weather/hourly", where=where).rows()
    assert before | {"processing_time": 0} == after | {"processing_time": 0}
    ops = [version["_op"] for version in mesh.history("weather/hourly", where).rows()]
    assert ops == [0, 1, 0]


def test_what_is_made_of_others_is_not_retracted(february):
    mesh = february.mesh()
    with pytest.raises(CheckFailed) as refused:
        mesh.retract("punctuality/daily", {"origin": "EWR", "day": "2013-02-12"}, "wrong")
    assert refused.value.code == "E040"
    assert "weather/hourly" in refused.value.why
    assert "tulle retract punctuality/ontime" in refused.value.fix


def test_a_retraction_says_why_and_how_much(february):
    mesh = february.mesh()
    entries = mesh.status("weather/hourly")["entries"]
    with pytest.raises(UsageError) as silent:
        mesh.retract("weather/hourly", {"origin": "EWR", "time_hour": "2013-02-14T08:00Z"}, " ")
    assert silent.value.code == "E041"
    with pytest.raises(UsageError) as wide:
        mesh.retract("weather/hourly", {"origin": "EWR", "month": 2}, "all of it")
    assert wide.value.code == "E042"
    assert "--yes" in wide.value.fix
    with pytest.raises(UsageError) as miscounted:
        mesh.retract("weather/hourly", {"origin": "EWR", "month": 2, "day": 14}, "a day", expect=23)
    assert miscounted.value.code == "E042"
    assert "24" in miscounted.value.what
    preview = mesh.retract("weather/hourly", {"origin": "EWR", "month": 2, "day": 14}, "", preview=True)
    assert preview["matches"] == 24
    assert mesh.status("weather/hourly")["entries"] == entries
