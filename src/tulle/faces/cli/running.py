"""`tulle up`, `down`, `demo`: a mesh on this machine."""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tulle.errors import NotThere
from tulle.faces.cli.command import Verb, Words
from tulle.faces.cli.showing import SOON, as_json, remark
from tulle.formats.mesh_file import MESH_FILE, find_root

if TYPE_CHECKING:
    from tulle.mesh_plane.demo import Shown
    from tulle.mesh_plane.up import Up

EXAMPLE = "flights"
STATE = Path(".tulle") / "mesh"
DEMO_STATE = Path(".tulle") / "demo"


class Progress:
    """Says what is going on, every two seconds at most, and only where it has changed."""

    def __init__(self) -> None:
        self._told, self._last = time.monotonic(), ""

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if line != self._last and now - self._told > SOON:
            self._told, self._last = now, line
            remark(f"{line} …")


def _declare_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="the front door's port; 0 takes a free one (tulle.yaml says)")
    parser.add_argument("--root", type=Path, help="the folder with tulle.yaml (the nearest upwards)")
    parser.add_argument("--state", type=Path, help="the folder for all that the mesh keeps (.tulle/mesh)")


def _up(words: Words) -> None:
    from tulle.mesh_plane.up import Start, up

    root = _root(words.root)
    done = up(Start(root, words.state or root / STATE, words.port), Progress())
    if words.output == "table":
        print(_is_up(done))
        for name, error in done.failed.items():
            remark(f"\n{name} cannot begin:\n{error.text()}")
    else:
        failed = {name: error.as_document() for name, error in done.failed.items()}
        print(as_json({"front_door": done.running.front_door, "products": done.products, "failed": failed}))


def _is_up(done: Up) -> str:
    domains = {name.partition("/")[0] for name in done.products}
    counted = f"{_count(len(domains), 'domain')} · {_count(len(done.products), 'product')}"
    return f"tulle is up on {done.running.front_door} · {counted}"


def _root(asked: Path | None) -> Path:
    root = asked or find_root(Path.cwd())
    if root is None or not (root / MESH_FILE).is_file():
        raise NotThere(
            "E003", f"there is no {MESH_FILE} in {root or 'this folder or above'}", fix="tulle init domain/name"
        )
    return root.resolve()


def _declare_down(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, help="the state folder of the mesh (the mesh that is meant here)")


def _down(words: Words) -> None:
    from tulle.client.doors import find_mesh
    from tulle.mesh_plane.down import down

    state = words.state or find_mesh().state
    if state is None:
        raise NotThere("E003", "this mesh does not run on this machine", fix="tulle down, where it runs")
    ended = down(state, told=Progress())
    print(as_json({"ended": ended}) if words.output == "json" else f"stopped ({_count(ended, 'process', 'processes')})")


def _declare_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="in a fresh temporary mesh: load, print, leave nothing")
    parser.add_argument("--port", type=int, help="the front door's port; 0 takes a free one")
    parser.add_argument("--state", type=Path, default=DEMO_STATE, help=f"the folder for its state ({DEMO_STATE})")


def _demo(words: Words) -> None:
    from tulle.mesh_plane.demo import demo

    with _folder(words) as state, _ended_by_signals(), demo(_settings(words, state), Progress()) as shown:
        _print_demo(shown, words)
        if not words.once:
            remark("serving until Ctrl-C")
            shown.serve()
            remark("the mesh was stopped from elsewhere")


def _settings(words: Words, state: Path) -> Any:
    from tulle.mesh_plane.demo import Demo
    from tulle.product_plane.examples import example_folder, example_module

    port = 0 if words.once and words.port is None else words.port
    return Demo(example_folder(EXAMPLE), state, port, example_module(EXAMPLE, "load").deliver)


@contextmanager
def _folder(words: Words) -> Iterator[Path]:
    if not words.once:
        yield words.state
        return
    with tempfile.TemporaryDirectory(prefix="tulle-demo-") as folder:
        yield Path(folder) / "mesh"


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A closed terminal and a polite kill end the demo as Ctrl-C does, so that nothing is left running."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        remark("\nstopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_demo(shown: Shown, words: Words) -> None:
    if words.output == "json":
        print(as_json(shown.document()), flush=True)
        return
    failing = f"{_count(len(shown.failing), 'check')} failing" + (" (on purpose)" if shown.failing else "")
    counts = f"{_count(shown.domains, 'domain')} · {_count(shown.products, 'product')} · {shown.rows:,} source rows"
    lines = [f"tulle is up on {shown.front_door} · {counts} · {failing}"]
    lines += [f"  {product}: {check}" for product, check in shown.failing]
    if not words.once:
        lines += ["", f"look around (good once, for 15 minutes):  {shown.link}", "", "try, in another terminal:"]
        lines += [f"  {command}" for command in shown.commands]
    print("\n".join(lines), flush=True)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


VERBS: dict[str, Verb] = {
    "up": (_declare_up, _up),
    "down": (_declare_down, _down),
    "demo": (_declare_demo, _demo),
}
