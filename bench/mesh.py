"""The example mesh beside the same work in one process: how long, how much memory, how large."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.bars import Bar, Bench, median, spread
from bench.example import DAILY, FLIGHTS, ONTIME, ROOT, WEATHER, ExampleMesh, Published, loader, until
from bench.memory import family, pss_mb, title
from bench.one_process import AIRCRAFT, OneProcess

REPETITIONS = 3
SETTLED = 60.0
"""Seconds after loading at which memory is read."""


@dataclass(frozen=True)
class Landing:
    """One month's way through the mesh, in seconds from its file's getting its name; and the script's time."""

    flights: float
    ontime: float
    daily: float
    script: float


def month() -> Iterator[Bar]:
    """A month's file landing to its days published."""
    with ExampleMesh() as mesh, tempfile.TemporaryDirectory() as folder:
        load = loader()
        load.deliver_reference(mesh.drops)
        mesh.up()
        until(lambda: all(mesh.ledger(name) for name in (WEATHER, AIRCRAFT)))
        script = OneProcess(Path(folder))
        weather = script.parse(WEATHER, mesh.drops / WEATHER / "readings" / "weather.csv")
        aircraft = script.parse(AIRCRAFT, mesh.drops / AIRCRAFT / "register" / "planes.csv")
        waiting = Path(folder) / "months"
        files = load.deliver(waiting)
        months = [file for file in files if load.BY_MONTH in str(file)]
        landings = [_landing(mesh, script, file, (weather, aircraft)) for file in months]
    yield Bar("a month's file to its days, beside one process", _ratio(landings), 3, detail=tuple(_hops(landings)))


def _landing(mesh: ExampleMesh, script: OneProcess, file: Path, reference: tuple[object, object]) -> Landing:
    began = time.monotonic()
    script.month(file, *reference)
    alone = time.monotonic() - began
    before = len(mesh.ledger(FLIGHTS))
    target = mesh.drops / loader().BY_MONTH / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    draft.write_bytes(file.read_bytes())
    landed = time.time()
    draft.rename(target)
    flights: Published = until(lambda: next(iter(mesh.ledger(FLIGHTS)[before:]), None))
    ontime = until(lambda: mesh.reached(ONTIME, flights))
    daily = until(lambda: mesh.reached(DAILY, ontime))
    return Landing(flights.at - landed, ontime.at - landed, daily.at - landed, alone)


def _ratio(landings: list[Landing]) -> float:
    return median([each.daily for each in landings]) / median([each.script for each in landings])


def _hops(landings: list[Landing]) -> Iterator[str]:
    yield f"landed to {FLIGHTS}      {spread([each.flights for each in landings])} s"
    yield f"then to {ONTIME}        {spread([each.ontime - each.flights for each in landings])} s"
    yield f"then to {DAILY}         {spread([each.daily - each.ontime for each in landings])} s"
    yield f"landed to {DAILY}       {spread([each.daily for each in landings])} s"
    yield f"the same in one process           {spread([each.script for each in landings])} s"


def loading() -> Iterator[Bar]:
    """The mesh from nothing to everything loaded, and what memory it then keeps."""
    times = [_loading_once(last=repetition == REPETITIONS - 1) for repetition in range(REPETITIONS)]
    up, alone = [each[0] for each in times], [each[1] for each in times]
    detail = (f"mesh {spread(up)} s", f"one process {spread(alone)} s")
    yield Bar("mesh up and loaded, beside one process", median(up) / median(alone), 5, detail=detail)
    yield times[-1][2]


def _loading_once(*, last: bool) -> tuple[float, float, Bar]:
    with ExampleMesh() as mesh, tempfile.TemporaryDirectory() as folder:
        loader().deliver(mesh.drops)
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "bench.one_process", folder, str(mesh.drops)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        alone = time.monotonic() - began
        began = time.time()
        mesh.up()
        finished = until(lambda: _loaded(mesh))
        if last:
            time.sleep(SETTLED)
        return finished - began, alone, _memory(mesh)


def _loaded(mesh: ExampleMesh) -> float | None:
    """When `punctuality/daily` had published all there is; None if it has not yet."""
    months = len(list(mesh.drops.glob(f"{FLIGHTS}/*/*.csv")))
    flights, weather = mesh.ledger(FLIGHTS), mesh.ledger(WEATHER)
    taken = sum(text.count('"sha256"') for text in (str(each.entry).replace("'", '"') for each in flights))
    if taken < months or not weather:
        return None
    reached = [mesh.reached(DAILY, source) for source in (flights[-1], weather[-1])]
    found = [each.at for each in reached if each]
    return max(found) if len(found) == len(reached) else None


def _memory(mesh: ExampleMesh) -> Bar:
    sizes = {pid: pss_mb(pid) for pid in family(mesh.host())}
    largest = sorted(sizes, key=lambda pid: -sizes[pid])
    detail = [f"{len(sizes)} processes, {SETTLED:.0f} s after loading"]
    detail += [f"{sizes[pid]:6.1f} MB  {title(pid)}" for pid in largest[:10]]
    return Bar("memory of the whole mesh (PSS)", sum(sizes.values()), 700, "MB", tuple(detail))


def start() -> Iterator[Bar]:
    """`tulle --help` beside the bare interpreter, turn by turn."""
    commands = {"help": [str(Path(sys.executable).parent / "tulle"), "--help"], "pass": [sys.executable, "-c", "pass"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(21):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append((time.perf_counter() - began) * 1000)
    detail = tuple(f"{' '.join(commands[name][-2:])}: {spread(took, 0)} ms" for name, took in seconds.items())
    yield Bar(
        "tulle --help, beside python -c pass", median(seconds["help"]) / median(seconds["pass"]), 4, detail=detail
    )


def size() -> Iterator[Bar]:
    """Everything that an installation of the core brings, as files on disk."""
    text = (ROOT / "requirements" / "core.lock").read_text()
    sizes = {}
    for name in re.findall(r"^([a-z0-9][a-z0-9-]*)==", text, re.MULTILINE):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # locked for another system or Python
        paths = [Path(str(file.locate())) for file in files]
        sizes[name] = sum(path.stat().st_size for path in paths if path.exists()) / 1e6
    sizes["tulle"] = sum(file.stat().st_size for file in (ROOT / "src").rglob("*.py")) / 1e6
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    detail = (f"{len(sizes)} packages", ", ".join(f"{name} {sizes[name]:.0f}" for name in largest))
    yield Bar("installed size of the core", sum(sizes.values()), 480, "MB", detail)


BENCHES = (
    Bench("mesh.size", size),
    Bench("mesh.start", start),
    Bench("mesh.month", month),
    Bench("mesh.loading", loading),
)
