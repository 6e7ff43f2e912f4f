"""The demo: the example mesh brought up, its year of files delivered, and patience until all products have it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tulle.client.doors import place_in
from tulle.client.mesh import Mesh
from tulle.client.operating import made_from
from tulle.errors import Unavailable
from tulle.formats.running import running_in
from tulle.mesh_plane.down import down, lives
from tulle.mesh_plane.up import Start, Told, up
from tulle.uris import ProductName, parse_product

PATIENCE = 300.0
_LOOK = 0.1
_FAULT = "origin='EWR' and time_hour='2013-02-12T08:00Z'"
COMMANDS = (
    "tulle sql \"select round(wind_mean, 2) from punctuality.daily where origin = 'EWR' and day = '2013-02-12'\"",
    f'tulle retract weather/hourly --where "{_FAULT}" --reason "sensor fault" --wait',
    "tulle history punctuality/daily --where origin=EWR day=2013-02-12",
    "tulle status",
    "tulle describe punctuality/daily",
)


@dataclass(frozen=True)
class Demo:
    """The example's folder, where its state goes, its port, and what brings its files into a folder of drop folders."""

    root: Path
    state: Path
    port: int | None
    deliver: Callable[[Path], list[Path]]


@dataclass(frozen=True)
class Shown:
    """What the demo has to show."""

    front_door: str
    domains: int
    products: int
    rows: int
    failing: tuple[tuple[str, str], ...]
    link: str
    host_pid: int
    commands: tuple[str, ...] = COMMANDS

    def serve(self) -> None:
        """Returns when the host has ended."""
        while lives(self.host_pid):
            time.sleep(0.2)

    def document(self) -> dict[str, Any]:
        """The same in JSON."""
        counts = {"domains": self.domains, "products": self.products, "source_rows": self.rows}
        failing = [{"product": product, "check": check} for product, check in self.failing]
        return {"front_door": self.front_door, **counts, "failing": failing, "link": self.link}


@contextlib.contextmanager
def demo(asked: Demo, told: Told = lambda _: None) -> Iterator[Shown]:
    """The example mesh, loaded, for as long as the context lasts. Its state is taken up where it was left."""
    drops = asked.state / "drops"
    started = up(Start(asked.root, asked.state, asked.port, drops), told)
    try:
        for error in started.failed.values():
            raise error
        told("bringing the files")
        asked.deliver(drops)
        mesh = Mesh.at(place_in(asked.state))
        _wait_for_all(mesh, drops, told)
        yield _shown(mesh, started.running.host_pid)
    finally:
        if running_in(asked.state):
            down(asked.state)


def _wait_for_all(mesh: Mesh, drops: Path, told: Told) -> None:
    """Returns when every file has been taken in and every product made from it has seen it."""
    arrived: dict[str, set[str]] = {}
    for file in drops.glob("*/*/*/*"):
        if not file.name.startswith("."):
            arrived.setdefault("/".join(file.relative_to(drops).parts[:2]), set()).add(file.name)
    deadline = time.monotonic() + PATIENCE
    for source, files in sorted(arrived.items()):
        while not _taken(mesh, source, files):
            told(f"{source} takes in its files")
            _insist(source, deadline)
            time.sleep(_LOOK)
    for source in sorted(arrived):
        moment = str(mesh.status(source)["published"])
        for product in _made_from(mesh, source):
            told(f"{product} takes up {source}")
            mesh.wait(str(product), (source, moment), max(1.0, deadline - time.monotonic()))


def _made_from(mesh: Mesh, source: str) -> list[ProductName]:
    products = [parse_product(name) for name in mesh.products()]
    return made_from(parse_product(source), products, lambda name: mesh.describe(str(name)))


def _taken(mesh: Mesh, source: str, files: set[str]) -> bool:
    told = " ".join(str(entry.get("inputs", "")) for entry in mesh.log(source, 10_000))
    return all(file in told for file in files)


def _insist(source: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Unavailable("E074", f"{source} has not taken in its files", fix=f"tulle status {source}")


def _shown(mesh: Mesh, host_pid: int) -> Shown:
    products = mesh.products()
    described = {name: mesh.describe(name) for name in products}
    rows = sum(_count(mesh, name, d["outputs"][0]) for name, d in described.items() if _is_source(d))
    failing = tuple(check for name, d in described.items() for check in _failing(mesh, name, d))
    domains = len({name.partition("/")[0] for name in products})
    return Shown(mesh.front_door, domains, len(products), rows, failing, mesh.link(), host_pid)


def _is_source(description: Mapping[str, Any]) -> bool:
    return any(port["kind"] == "files" for port in description["inputs"])


def _failing(mesh: Mesh, name: str, description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The expectations that rows do not meet now; a null counts as met."""
    for output in description["outputs"]:
        for expected in output["expectations"]:
            count = _count(mesh, name, output, f" where not ({expected['rule']})")
            if count:
                yield name, f"{expected['rule']} fails for {count:,} row{'' if count == 1 else 's'}"


def _count(mesh: Mesh, name: str, output: Mapping[str, Any], where: str = "") -> int:
    domain, _, product = name.partition("/")
    rows = mesh.sql(f'select count(*) as n from "{domain}"."{product}:{output["port"]}"{where}').rows()
    return int(rows[0]["n"])
