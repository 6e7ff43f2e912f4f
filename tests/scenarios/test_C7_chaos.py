"""Whatever is killed, whenever: what a mesh publishes in the end is what it would have published undisturbed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests import flights_slice as data
from tests.local_mesh import CONTAINER, HOST, OWN, LocalMesh, deliver, settled, taken_in_order, until_taken
from tests.scenarios.conftest import MakeMesh
from tests.waiting import eventually
from tulle.client.mesh import Mesh
from tulle.product_plane.examples import example_folder
from tulle.times import parse_moment

DAYS = range(11, 13)
KINDS = (HOST, CONTAINER, *OWN)
LONGEST_PAUSE = 1.2
"""Seconds between two events, at most: less than most runs take, so that many are hit in the middle."""
SAMPLE = 6
"""So many states of each derived product are computed again."""
PUNCTUALITY = example_folder("flights") / "products" / "punctuality"


@dataclass(frozen=True)
class Arrival:
    """A file that lands: in which drop folder, under which name."""

    product: str
    folder: str
    name: str
    content: bytes


@dataclass
class Chaos:
    """Kills processes of one mesh. What it kills, and when, grows from its seed."""

    local: LocalMesh
    choices: random.Random
    log: list[str]

    def pause(self) -> None:
        threading.Event().wait(self.choices.uniform(0, LONGEST_PAUSE))

    def kill(self, kind: str) -> None:
        """One process of a kind; where none of that kind runs at the moment, any."""
        if kind == "job":
            with contextlib.suppress(AssertionError):
                eventually(lambda: "job" in dict(self.local.processes()), 1.5, "a job runs")
        killed = eventually(lambda: self._one_of(kind), what="a process was there to be killed")
        assert killed
        name, pid = killed
        self.log.append(name)
        if pid == self.local.host:
            self.local.restart()

    def _one_of(self, kind: str) -> tuple[str, int] | None:
        """A process that has been killed; the host has yet to be."""
        running = self.local.processes()
        chosen = [pair for pair in running if pair[0] == kind] or [pair for pair in running if pair[0] != HOST]
        if not chosen:
            return None
        name, pid = self.choices.choice(chosen)
        with contextlib.suppress(ProcessLookupError):
            if name != HOST:
                os.kill(pid, signal.SIGKILL)
            return name, pid
        return None


def arrivals() -> list[Arrival]:
    """A year: what is there first, then month by month; readings are corrected in June, aircraft leave in August."""
    weather, register = data.weather(DAYS), data.whole("planes.csv")
    months = [
        Arrival("operations/flights", data.FLIGHTS, data.month_name(m), data.flights(m, DAYS)) for m in range(1, 13)
    ]
    corrected = Arrival("weather/hourly", data.HOURLY, "weather-2.csv", _corrected(weather))
    smaller = Arrival(
        "fleet/aircraft", data.AIRCRAFT, "planes-2.csv", b"".join(register.splitlines(keepends=True)[:-900])
    )
    return [
        Arrival("weather/hourly", data.HOURLY, "weather-1.csv", weather),
        Arrival("fleet/aircraft", data.AIRCRAFT, "planes-1.csv", register),
        Arrival("network/airports", data.AIRPORTS, "airports.csv", data.whole("airports.csv")),
        Arrival("network/carriers", data.AIRLINES, "airlines.csv", data.whole("airlines.csv")),
        *months[:5],
        corrected,
        *months[5:8],
        smaller,
        *months[8:],
    ]


def _corrected(weather: bytes) -> bytes:
    """The readings of JFK once more, every wind a little stronger."""
    header, *lines = weather.decode().splitlines()
    wind = header.split(",").index("wind_speed")
    rows = [line.split(",") for line in lines if line.startswith("JFK")]
    for row in rows:
        row[wind] = row[wind] if row[wind] == "NA" else str(float(row[wind]) + 0.5)
    return "\n".join([header, *map(",".join, rows), ""]).encode()


def land(local: LocalMesh, arrival: Arrival) -> None:
    deliver(local.drops / arrival.folder, arrival.name, arrival.content)


def everything_through(mesh: Mesh) -> None:
    """Waits until every file is in a ledger, and everything derived has seen the last moment of its sources."""
    by_product: dict[str, list[str]] = {}
    for arrival in arrivals():
        by_product.setdefault(arrival.product, []).append(arrival.name)
    for product, names in by_product.items():
        until_taken(mesh, product, names)
    for product, sources in data.DERIVED.items():
        settled(mesh, product, sources)


def user_columns(rows: pa.Table) -> pa.Table:
    """The rows without what only says when they were published, in one order."""
    kept = rows.drop_columns(["processing_time"])
    return kept.sort_by([(name, "ascending") for name in kept.column_names]).combine_chunks()


def latest(mesh: Mesh) -> dict[str, pa.Table]:
    return {port: user_columns(mesh.load(port).arrow()) for port in data.PORTS}


@pytest.fixture
def undisturbed(flights_mesh: MakeMesh) -> dict[str, pa.Table]:
    """The latest rows of all ports where nobody disturbed anything."""
    local = flights_mesh()
    for arrival in arrivals():
        land(local, arrival)
    mesh = local.start()
    everything_through(mesh)
    found = latest(mesh)
    assert local.stop() == 0
    return found


@pytest.fixture
def disturbed(flights_mesh: MakeMesh, kills: int, chaos_seed: int) -> tuple[LocalMesh, Mesh]:
    """A mesh that went through the same year while its processes were killed, all of it delivered and settled."""
    local = flights_mesh()
    local.start()
    chaos = Chaos(local, random.Random(chaos_seed), [])
    deeds: list[Arrival | str] = list(arrivals())
    for number in range(1, kills):  # each kind in turn, so that few kills meet all of them
        deeds.insert(chaos.choices.randrange(1, len(deeds) + 1), KINDS[number % len(KINDS)])
    deeds.append(HOST)  # at the end once more: a restart takes nothing in that was taken before
    for deed in deeds:
        chaos.pause()
        if isinstance(deed, Arrival):
            land(local, deed)
        else:
            chaos.kill(deed)
    assert len(chaos.log) == kills
    assert set(KINDS[:kills]) - {"job"} <= set(chaos.log)
    mesh = local.mesh(patience=60)
    try:
        everything_through(mesh)
    except BaseException as lost:
        lost.add_note(f"killed, in this order: {chaos.log}\n{local.said()}\n{mesh.status()}")
        raise
    sys.stdout.write(f"killed: {' '.join(chaos.log)}\n")
    return local, mesh


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_nothing_is_lost_doubled_or_wrong(disturbed, undisturbed):
    local, mesh = disturbed
    after = latest(mesh)
    for port in data.PORTS:
        assert after[port].equals(undisturbed[port]), port
    every_row_is_accounted_for(mesh)
    for port in data.PORTS:
        moments = [parse_moment(entry["moment"]) for entry in reversed(mesh.log(port, limit=10_000))]
        assert all(before < later for before, later in pairwise(moments)), port
    for product in ("punctuality/ontime", "punctuality/daily"):
        every_state_follows_from_its_inputs(mesh, product)
    assert local.stop() == 0
    assert local.leftovers() == []


def every_row_is_accounted_for(mesh: Mesh) -> None:
    """Each file was consumed once; each of its rows is in the port, unless a later file of a snapshot left it out."""
    last: dict[str, Arrival] = {arrival.product: arrival for arrival in arrivals()}
    for product in last:
        names = [arrival.name for arrival in arrivals() if arrival.product == product]
        assert taken_in_order(mesh, product) == names
    months = [arrival.content for arrival in arrivals() if arrival.product == "operations/flights"]
    counts = {product: data.rows(arrival.content) for product, arrival in last.items()}
    counts["operations/flights"] = counts["punctuality/ontime"] = sum(map(data.rows, months))
    counts["weather/hourly"] = data.rows(data.weather(DAYS))
    counts["punctuality/daily"] = 3 * 12 * len(DAYS)
    assert {port: len(mesh.load(port)) for port in data.PORTS} == counts
    delivered = b"".join(content.partition(b"\n")[2] for content in months).decode().splitlines()
    assert sorted(_identity(line) for line in delivered) == sorted(_identities(mesh))


def _identity(line: str) -> tuple[str, str, str, str]:
    cells = line.split(",")
    return cells[9], cells[10], cells[12], cells[18]


def _identities(mesh: Mesh) -> list[tuple[str, ...]]:
    rows = mesh.load("operations/flights", columns=("carrier", "flight", "origin", "time_hour")).arrow()
    hours = pc.strftime(rows["time_hour"], "%Y-%m-%dT%H:%M:%SZ")
    columns = [rows["carrier"], rows["flight"].cast(pa.string()), rows["origin"], hours]
    whole = [column.to_pylist() for column in columns]
    return [(c, f, o, hour[:19].rstrip("Z") + "Z") for c, f, o, hour in zip(*whole, strict=True)]


def every_state_follows_from_its_inputs(mesh: Mesh, product: str) -> None:
    """States of the ledger, spread over it, are what the code makes of the inputs as of the moments that they name."""
    sources = {port["name"]: port["from"] for port in mesh.describe(product)["inputs"]}
    entries = [entry for entry in reversed(mesh.log(product, limit=10_000)) if entry["kind"] == "run"]
    assert len(entries) > 1
    for entry in entries[:: max(1, len(entries) // SAMPLE)] + entries[-1:]:
        assert set(entry["inputs"]) == set(sources)
        names_its_inputs(entry, {sources[name].partition(":")[0]: at for name, at in entry["inputs"].items()})
        given = {name: mesh.load(sources[name], as_of=at).arrow() for name, at in entry["inputs"].items()}
        served = user_columns(mesh.load(product, as_of=entry["moment"]).arrow())
        made = pa.table(transformed(product, given)).select([n for n in served.column_names if n != "actual_time"])
        stored = served.select(made.column_names)
        assert user_order(made.cast(stored.schema)).equals(user_order(stored)), (product, entry)


def names_its_inputs(entry: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
    """Provenance covers what was read: for each input, from the oldest to the newest moment by which it was reached."""
    for source, at in inputs.items():
        oldest, newest = entry["provenance"][source]
        assert parse_moment(oldest) <= parse_moment(at) <= parse_moment(newest) < parse_moment(entry["moment"])


def user_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in rows.column_names]).combine_chunks()


def transformed(product: str, inputs: Mapping[str, pa.Table]) -> pa.Table:
    """The product's own code over whole inputs, in this process."""
    if product == "punctuality/daily":
        code: dict[str, Any] = {}
        exec((PUNCTUALITY / "daily" / "daily.py").read_text(), code)  # noqa: S102 - the example's own code
        return code["daily"](**inputs)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for name, rows in inputs.items():
            con.register(name, rows)
        return con.sql((PUNCTUALITY / "ontime" / "ontime.sql").read_text()).to_arrow_table()
