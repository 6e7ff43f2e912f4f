"""Puts a mesh together: the only module that reads configuration and picks implementations.

`python -m tulle.assembly host --state DIR --root DIR` is a whole mesh on one machine. Its process only forks: the
issuer, the front door, the mesh plane and one container per product live in processes of their own and are started
again when they die. New product folders are found while it runs, and a product whose files change is started anew.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tulle.errors import Conflict, TulleError
from tulle.formats import running
from tulle.formats.manifest import MANIFEST
from tulle.formats.mesh_file import load_mesh_file, product_folders
from tulle.formats.revision import revision
from tulle.formats.yaml_text import parse, plain
from tulle.uris import ProductName, parse_product
from tulle.utility_plane.identities import Verifier, issuer_of, redeem
from tulle.utility_plane.names import MESH_PLANE, FolderNames, Record
from tulle.utility_plane.processes import Host, Process, become_host_environment

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """One mesh on this machine: where it lies, what it is called, where it is reached."""

    state: Path
    root: Path
    mesh_id: str
    patterns: tuple[str, ...]
    drops: Path | None
    port: int

    @property
    def names(self) -> FolderNames:
        return FolderNames(self.state / "names")

    @property
    def issuer_socket(self) -> Path:
        return running.socket_folder(self.state) / "issuer.sock"

    @property
    def jwks(self) -> Path:
        return self.state / "issuer" / "jwks.json"

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def log(self, process: str) -> Path:
        """Where a process writes what it has to say."""
        return self.state / "logs" / f"{process.replace('/', '.')}.log"

    def verifier(self) -> Verifier:
        return Verifier(self.jwks, issuer_of(self.mesh_id), self.mesh_id)


def survey(state: Path, root: Path, port: int | None, drops: Path | None) -> Site:
    """Reads the configuration. Raises `InvalidManifest` for a bad tulle.yaml, `Conflict` E001 for a taken port."""
    from tulle.faces.http.serving import address_of, listen

    mesh = load_mesh_file(root)
    with contextlib.closing(listen(mesh.port if port is None else port)) as listening:
        chosen = int(address_of(listening).rpartition(":")[2])
    place = drops or mesh.drops
    return Site(state, root, _mesh_id(state, mesh.mesh), mesh.products, place.resolve() if place else None, chosen)


def host(site: Site, report: int | None) -> None:
    """Runs the mesh until it is told to stop. `report` is a pipe on which one line says that it has begun."""
    _preload()
    shutil.rmtree(site.state / "names", ignore_errors=True)  # doors of an earlier life; their ports may be others' now
    find = Finder(site)
    own = _own_processes(site)
    find()
    _announce(site)
    _tell(report, {"front_door": site.address})
    try:
        Host([*own, *find()], rescan=lambda: [*own, *find()], note=_note).run()
    finally:
        running.withdraw(site.state, os.getpid())
        shutil.rmtree(site.issuer_socket.parent, ignore_errors=True)
        shutil.rmtree(site.state / "names", ignore_errors=True)


class Finder:
    """Finds the products of a mesh, again and again; a new one gets a name at once, and a door when it is ready."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._told: set[str] = set()

    def __call__(self) -> list[Process]:
        """One process per product folder. Of two folders that claim one name, the first is taken."""
        found: dict[str, Process] = {}
        for folder in product_folders(self.site.root, self.site.patterns):
            name = _name_of(folder)
            if name is None or str(name) in found:
                self._tell_once(folder, str(name))
                continue
            found[str(name)] = self._process(name, folder)
        for gone in set(self.site.names.all()) - set(found):
            self._forget(gone)
        return list(found.values())

    def _process(self, name: ProductName, folder: Path) -> Process:
        if self.site.names.resolve(str(name)) is None:
            self.site.names.register(str(name), _record(self.site, name, folder, "starting"))
        run = functools.partial(_container, self.site, name, folder)
        return Process(str(name), run, revision=_revision(folder), log=self.site.log(f"{name}.out"))

    def _forget(self, name: str) -> None:
        record = self.site.names.resolve(name)
        if record:
            self.site.names.remove(name, record["pid"])

    def _tell_once(self, folder: Path, name: str) -> None:
        if str(folder) not in self._told:
            self._told.add(str(folder))
            _note({"event": "left out", "folder": str(folder), "name": name})


def _container(site: Site, name: ProductName, folder: Path) -> None:
    """The life of one product. One that cannot begin says why under its name, and waits for its files to change."""
    from tulle.container.main import serve

    try:
        serve(folder, site.state, mesh_id=site.mesh_id, issuer_socket=site.issuer_socket, drops=site.drops)
    except TulleError as error:
        record = _record(site, name, folder, "failed")
        record["error"] = error.as_document()
        site.names.register(str(name), record)
        print(json.dumps({"event": "cannot begin", "product": str(name), "error": error.as_document()}))  # noqa: T201
        if error.retryable or isinstance(error, Conflict):
            raise SystemExit(1) from None
        sys.stdout.flush()
        signal.pause()


def _own_processes(site: Site) -> list[Process]:
    lives = {"issuer": _issuer, "front-door": _front_door, "mesh-plane": _mesh_plane}
    return [Process(name, functools.partial(life, site), log=site.log(name)) for name, life in lives.items()]


def _issuer(site: Site) -> None:
    from tulle.utility_plane.issuer import serve

    serve(site.state / "issuer", site.issuer_socket, site.mesh_id)


def _front_door(site: Site) -> None:
    from tulle.faces.http.front_door import House, front_door
    from tulle.faces.http.serving import listen, serve

    open_session = functools.partial(redeem, site.issuer_socket)
    issuer = issuer_of(site.mesh_id)
    house = House(site.mesh_id, site.address, site.names, site.verifier().verify, open_session, site.jwks, issuer)
    serve(front_door(house), listen(site.port))


def _mesh_plane(site: Site) -> None:
    from tulle.client.doors import Place
    from tulle.client.mesh import Mesh
    from tulle.faces.http.mesh_app import mesh_app
    from tulle.faces.http.serving import address_of, listen, serve
    from tulle.mesh_plane.index import Index

    listening = listen(0)
    asked = Mesh.at(Place(site.mesh_id, site.address, site.state, site.issuer_socket), "service:mesh-plane")
    app = mesh_app(Index(asked, site.state / "mesh_plane.json"), site.verifier().verify)
    record = _record(site, None, site.state, "serving")
    site.names.register(MESH_PLANE, {**record, "door": address_of(listening), "pid": os.getpid()})
    serve(app, listening)


def _record(site: Site, name: ProductName | None, folder: Path, stage: str) -> Record:
    uri = name.uri(site.mesh_id) if name else issuer_of(site.mesh_id)
    return {"uri": uri, "door": "", "stage": stage, "pid": os.getpid(), "folder": str(folder)}


def _name_of(folder: Path) -> ProductName | None:
    """The name in the manifest, or, while the manifest cannot be read, the one that the folder suggests."""
    try:
        document = plain(parse((folder / MANIFEST).read_text("utf-8-sig"), MANIFEST))
        return parse_product(str(document["product"]))
    except (OSError, ValueError, KeyError, TypeError, TulleError):
        pass
    try:
        return parse_product("/".join(folder.parts[-2:]))
    except TulleError:
        return None


def _revision(folder: Path) -> str:
    try:
        return revision(folder)
    except OSError:  # a file went away under our eyes: the next look will tell
        return ""


def _mesh_id(state: Path, declared: str) -> str:
    """The mesh's id, made once: it is part of every product's permanent address."""
    path = state / "mesh_id"
    if not path.exists():
        temporary = state / ".mesh_id.tmp"
        temporary.write_text(declared or f"m-{secrets.token_hex(3)}", "utf-8")
        temporary.replace(path)
    return path.read_text("utf-8").strip()


def _announce(site: Site) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    running.announce(
        running.Running(
            site.mesh_id, site.address, str(site.issuer_socket), os.getpid(), started, str(site.state.resolve())
        )
    )


def _preload() -> None:
    """Imports before the first fork what most processes need, so that they share it. Nothing here starts a thread."""
    import tulle.container.main
    import tulle.faces.http.front_door
    import tulle.faces.http.mesh_app
    import tulle.utility_plane.issuer  # noqa: F401


@contextlib.contextmanager
def _lock(state: Path) -> Iterator[None]:
    """Holds the mesh. Raises `Conflict` E002 if another host does."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "host.lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise running.already_running(state) from None
        yield


def _note(event: Mapping[str, Any]) -> None:
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **event}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def _tell(report: int | None, document: Mapping[str, Any]) -> None:
    """Says one thing to whoever started us, who may have left."""
    if report is None:
        return
    with contextlib.suppress(OSError), os.fdopen(report, "w", encoding="utf-8") as pipe:
        pipe.write(json.dumps(document) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The entry of the host's process."""
    parser = argparse.ArgumentParser(prog="python -m tulle.assembly")
    verbs = parser.add_subparsers(required=True)
    words = verbs.add_parser("host", help="run a mesh until told to stop")
    words.add_argument("--state", type=Path, required=True, help="the folder for all that the mesh keeps")
    words.add_argument("--root", type=Path, default=Path(), help="the folder with tulle.yaml")
    words.add_argument("--port", type=int, help="the front door's port; 0 takes a free one")
    words.add_argument("--drops", type=Path, help="the folder for all drop folders")
    words.add_argument("--report", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    become_host_environment()
    try:
        with _lock(asked.state):
            host(survey(asked.state.resolve(), asked.root.resolve(), asked.port, asked.drops), asked.report)
    except TulleError as error:
        _note({"event": "cannot begin", "error": error.as_document()})
        _tell(asked.report, {"error": error.as_document()})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
