"""Bad input stops nothing but itself: it is parked with its reason, what was good is served, and later files go on."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.local_mesh import LocalMesh, deliver, settled, until_taken
from tests.waiting import eventually
from tulle.client.calls import Call
from tulle.client.mesh import Mesh
from tulle.uris import parse_product

READINGS, DOUBLED, DROP = "lab/readings", "lab/doubled", "lab/readings/files"
PARKED = Call(f"/{READINGS}/input/parked", parse_product(READINGS))
HEADER = "station,hour,wind"
SOURCE = """
product: lab/readings
archetype: source-aligned
team: lab
domain_system: The station on the roof
purpose: How strong was the wind?
inputs:
  files: {folder: drop, pattern: "*.csv"}
outputs:
  rows:
    version: 1.0.0
    facts: events
    key: [station]
    actual_time: hour
    columns:
      - {name: station, type: string, required: true, meaning: Name of the station}
      - {name: hour, type: timestamp, required: true, meaning: When it was measured}
      - {name: wind, type: double, unit: mph, meaning: Speed of the wind}
    expectations:
      - {name: wind is wind, rule: wind < 200, on_failure: stop}
readers: ["*"]
"""
DERIVED = """
product: lab/doubled
archetype: consumer-aligned
team: lab
purpose: How strong would twice the wind be?
inputs:
  readings: {from: "lab/readings:rows@1"}
transform: {sql: doubled.sql}
outputs:
  rows:
    version: 1.0.0
    facts: events
    key: [station]
    actual_time: hour
    columns:
      - {name: station, type: string, required: true, meaning: Name of the station}
      - {name: hour, type: timestamp, required: true, meaning: When it was measured}
      - {name: wind, type: double, unit: mph, meaning: Twice its speed}
readers: ["*"]
"""


@dataclass(frozen=True)
class Lab:
    """A mesh of two products that runs; one file has been taken in."""

    local: LocalMesh
    mesh: Mesh

    @property
    def manifest(self) -> Path:
        return self.local.root / "products" / READINGS / "product.yaml"

    def land(self, name: str, *lines: str, header: str = HEADER) -> None:
        deliver(self.local.drops / DROP, name, "\n".join([header, *lines, ""]).encode())

    def take(self, name: str, *lines: str, header: str = HEADER) -> None:
        """Lands a file and waits until the ledger names it."""
        self.land(name, *lines, header=header)
        until_taken(self.mesh, READINGS, [name], 30)

    def winds(self, station: str, product: str = READINGS) -> list[float]:
        found: list[float] = (
            self.mesh.load(product, where={"station": station}, order="hour").arrow()["wind"].to_pylist()
        )
        return found

    def status(self) -> dict[str, Any]:
        return self.mesh.status(READINGS)

    def degraded(self) -> dict[str, Any]:
        """The status once it says so."""
        eventually(lambda: self.status()["state"] == "Degraded", 20, "it says that something is parked")
        return self.status()

    def follows(self) -> None:
        settled(self.mesh, DOUBLED, [READINGS])


@contextmanager
def running_lab(folder: Path, state: Path) -> Iterator[Lab]:
    root = folder / "mesh"
    for product, manifest in ((READINGS, SOURCE), (DOUBLED, DERIVED)):
        (root / "products" / product).mkdir(parents=True)
        (root / "products" / product / "product.yaml").write_text(manifest)
    (root / "products" / DOUBLED / "doubled.sql").write_text("select station, hour, 2 * wind as wind from readings\n")
    (root / "tulle.yaml").write_text("mesh: lab.local\nport: 0\n")
    local = LocalMesh(folder, root, state)
    with local.ended():
        made = Lab(local, local.start())
        made.take("good.csv", "roof,2013-01-01T00:00Z,10", "roof,2013-01-01T01:00Z,11")
        made.follows()
        yield made


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    with running_lab(folder, folder / "s") as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def another_file(lab: Lab, code: str) -> None:
    """The file is mended and comes again under its name."""
    lab.land(f"{code}.csv", f"{code},2013-01-01T02:00Z,20", f"{code},2013-01-01T03:00Z,21")


def another_rule(old: str, new: str) -> Callable[[Lab, str], None]:
    """The manifest is mended, and what is parked is tried again."""

    def mend(lab: Lab, code: str) -> None:
        revision = lab.status()["revision"]
        text = lab.manifest.read_text()
        assert old in text
        lab.manifest.write_text(text.replace(old, new))
        eventually(lambda: lab.status()["revision"] != revision, 20, "the mended product runs")
        assert lab.mesh.run(READINGS, parked=True)["still_parked"] == []

    return mend


@dataclass(frozen=True)
class Bad:
    """A file that is parked: why, what its error must say, how it is mended, and the winds that it has then."""

    code: str
    lines: tuple[str, ...]
    says: str
    mend: Callable[[Lab, str], None]
    winds: tuple[float | None, ...] = (20.0, 21.0)
    header: str = HEADER


BAD = [
    Bad("E030", ("E030,2013-01-01T02:00Z,20",), "speed", another_file, header="station,hour,speed"),
    Bad(
        "E031",
        ("E031,2013-01-01T02:00Z,20", "E031,2013-01-01T03:00Z,calm"),
        "E031.csv:3",
        another_rule("{folder: drop,", "{folder: drop, format: {csv: {null: calm}},"),
        (20.0, None),
    ),
    Bad("E032", ("E032,2013-01-01T02:00Z,20", "E032,2013-01-01T02:00Z,21"), "station", another_file),
    Bad(
        "E033",
        ("E033,2013-01-01T02:00Z,20", "E033,2013-01-01T03:00Z,900"),
        "wind is wind",
        another_rule("wind < 200", "wind < 1000"),
        (20.0, 900.0),
    ),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.code)
def test_a_bad_file_is_parked_whole_and_later_ones_go_on(lab, bad):
    lab.take(f"{bad.code}.csv", *bad.lines, header=bad.header)
    status = lab.degraded()
    (parked,) = lab.mesh.calls.document(PARKED)["parked"]
    assert (parked["name"], parked["error"]["code"]) == (f"{bad.code}.csv", bad.code)
    assert bad.says in str(parked["error"])
    assert "900" not in str(parked["error"])
    assert "calm" not in str(parked["error"])
    assert parked["error"]["what"] in status["reason"]
    assert status["parked"] == 1
    assert lab.winds("roof") == [10.0, 11.0]
    assert lab.winds(bad.code) == []

    lab.take(f"after-{bad.code}.csv", f"after-{bad.code},2013-01-02T00:00Z,5")
    lab.follows()
    assert lab.winds(f"after-{bad.code}", DOUBLED) == [10.0]
    assert lab.winds(bad.code, DOUBLED) == []
    assert lab.status()["state"] == "Degraded"

    bad.mend(lab, bad.code)
    eventually(lambda: lab.status()["state"] == "Fresh", 20, "nothing is parked any more")
    assert lab.status()["parked"] == 0
    lab.follows()
    assert lab.winds(bad.code) == list(bad.winds)
    assert lab.winds(bad.code, DOUBLED) == [None if wind is None else 2 * wind for wind in bad.winds]


def test_what_later_files_have_said_stands_when_a_parked_one_is_published_at_last(lab):
    lab.take("old.csv", "old,2013-01-01T02:00Z,20", "old,2013-01-01T03:00Z,7000")
    lab.degraded()
    lab.take("newer.csv", "old,2013-01-01T02:00Z,30")
    another_rule("rule: wind <", "rule: wind < 100 *")(lab, "old")
    assert lab.winds("old") == [30.0, 7000.0]


def test_what_is_parked_stays_so_until_it_is_mended(lab):
    lab.take("stays.csv", "stays,2013-01-01T00:00Z,strong")
    tried = lab.mesh.run(READINGS, parked=True)
    assert tried["published"] == []
    assert [batch["file"] for batch in tried["still_parked"]] == ["stays.csv"]
    lab.local.restart()
    assert "parked" in lab.degraded()["reason"]
    assert lab.winds("roof") == [10.0, 11.0]
    lab.land("stays.csv", "stays,2013-01-01T00:00Z,30")
    eventually(lambda: lab.status()["parked"] == 0, 20, "the mended file took its place")
    assert lab.winds("stays") == [30.0]


def test_a_file_that_is_still_copied_is_waited_for(lab):
    entries = lab.status()["entries"]
    place, hours = lab.local.drops / DROP / "slow.csv", iter(range(10_000))

    def is_waited_for() -> bool:
        slow.write(f"slow,{2014 + next(hours)}-01-01T00:00Z,1\n")
        slow.flush()
        return "still being written" in str(lab.status()["reason"])

    with place.open("w") as slow:
        slow.write(f"{HEADER}\n")
        eventually(is_waited_for, 20, "the product says what it waits for")
        assert lab.winds("slow") == []
        slow.write("slow,2013-01-01T00:00Z,2\n")
    until_taken(lab.mesh, READINGS, ["slow.csv"])
    assert len(lab.winds("slow")) == next(hours) + 1
    assert lab.status()["entries"] == entries + 1
    deliver(lab.local.drops / DROP, "slow.csv.part", b"never")
    assert lab.status()["parked"] == 0


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────────────────────────

ROOMS = (0, 100_000, 290_000, 330_000)
"""Bytes left when a file of 270 kB lands: for nothing, for a part of it, for its bytes, for some of what follows."""
QUOTA = 150_000
"""Bytes that a file may have at most."""


@dataclass(frozen=True)
class Narrowed:
    """A lab, what makes its room narrow for a while, and how narrow."""

    lab: Lab
    narrow: Callable[[int], AbstractContextManager[None]]
    rooms: tuple[int, ...]


def on_a_small_disk() -> Iterator[Narrowed]:
    """The state lies on a disk of its own, of a few megabytes, which something else fills up."""
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    state, ballast = folder / "s", folder / "s" / "ballast"
    state.mkdir()
    mount(state)

    @contextmanager
    def narrow(room: int) -> Iterator[None]:
        # the mesh writes meanwhile, so that the last piece may find less room than there just was
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while (free := shutil.disk_usage(state).free) > room:
                file.write(bytes(min(free - room, 65_536)))
        yield
        ballast.unlink()

    try:
        with running_lab(folder, state) as made:
            yield Narrowed(made, narrow, ROOMS)
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def under_a_quota(lab: Lab) -> Iterator[Narrowed]:
    """The product's process may write no file longer than what there is room for."""

    @contextmanager
    def narrow(room: int) -> Iterator[None]:
        pid = lab.local.container_of(READINGS)
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, most))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))

    yield Narrowed(lab, narrow, (QUOTA,))


def mount(place: Path) -> bool:
    """A small disk at `place`, where this user may have one."""
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tulle-test", str(place)]
    return bool(shutil.which("mount")) and subprocess.run(words, capture_output=True, check=False).returncode == 0


def ways() -> list[str]:
    """How a disk can be full here: a quota everywhere, a small disk where one may be mounted."""
    with tempfile.TemporaryDirectory() as place:
        mounted = mount(Path(place))
        if mounted:
            subprocess.run(["umount", place], check=True)
    return ["quota", "disk"] if mounted else ["quota"]


@pytest.fixture(params=ways())
def narrowed(request: pytest.FixtureRequest) -> Iterator[Narrowed]:
    yield from on_a_small_disk() if request.param == "disk" else under_a_quota(request.getfixturevalue("lab"))


def test_a_full_disk_is_said_and_waited_out(narrowed):
    lab, told = narrowed.lab, set()
    for room in narrowed.rooms:
        station = f"room-{room}"
        days = [f"2012-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
        lines = [f"{station},{day}T{hour:02}:00Z,{hour}.5" for day in days for hour in range(24)]
        with narrowed.narrow(room):
            lab.land(f"{station}.csv", *lines)
            eventually(partial(said_or_done, lab, station), 30, "it is said, or there was room")
            told.add(lab.status().get("error", {}).get("code", "room"))
            for _ in range(50):
                assert lab.winds("roof") == [10.0, 11.0]
            assert len(lab.winds(station)) in (0, len(lines))
        until_taken(lab.mesh, READINGS, [f"{station}.csv"])
        lab.follows()
        assert len(lab.winds(station)) == len(lab.winds(station, DOUBLED)) == len(lines)
        eventually(lambda: lab.status()["state"] == "Fresh", 20, "all is well again")
    assert "E004" in told
    assert told <= {"E004", "room"}


def said_or_done(lab: Lab, station: str) -> bool:
    return bool(lab.status().get("error") or lab.winds(station))
