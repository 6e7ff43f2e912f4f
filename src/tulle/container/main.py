"""The process of one product: from its folder to an open door, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tulle.client.calls import Calls
from tulle.client.doors import Doors
from tulle.client.sign_in import SignIn
from tulle.container.decisions import Decisions
from tulle.container.derive import Derive
from tulle.container.door import Door
from tulle.container.ingest import Ingest
from tulle.container.intake import DropFolder, clear_drafts
from tulle.container.journal import Journal, Runs
from tulle.container.parts import Bell, Condition, Parts, shape_of
from tulle.container.sidecar import Sidecar
from tulle.container.upstream import Upstream
from tulle.container.watch import watch
from tulle.container.worker import Task, Worker
from tulle.formats.manifest import drop_folder, load_manifest, revision
from tulle.product.manifest import Manifest
from tulle.storage.log import Log
from tulle.transformation.run import Workshop
from tulle.utility_plane.identities import Verifier, issuer_of
from tulle.utility_plane.names import FolderNames, Record
from tulle.utility_plane.nursery import Nursery

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 3


@dataclass(frozen=True)
class Mesh:
    """The mesh a container belongs to: its id, its state folder, who mints tokens, where files are dropped."""

    id: str
    state: Path
    issuer_socket: Path
    drops: Path | None


def serve(folder: Path, state: Path, *, mesh_id: str, issuer_socket: Path, drops: Path | None = None) -> None:
    """Runs the product in `folder` until SIGTERM. The nursery is forked before anything is opened."""
    nursery = Workshop.nursery()
    mesh = Mesh(mesh_id, state, issuer_socket, drops)
    manifest = load_manifest(folder)
    parts = assemble(manifest, folder, mesh, nursery)
    parts.journal.say("starting", revision=parts.revision, isolation=list(parts.workshop.isolation()))
    asyncio.run(_Container(parts, mesh, nursery).run())


def assemble(manifest: Manifest, folder: Path, mesh: Mesh, nursery: Nursery) -> Parts:
    """The product's parts, its place made and cleared of what a killed run left, its log rolled forward."""
    product = manifest.product
    place = mesh.state / "products" / product.domain / product.product
    place.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(place / "work", ignore_errors=True)
    (place / "intake").mkdir(exist_ok=True)
    clear_drafts(place / "intake")
    return Parts(
        manifest=manifest,
        revision=revision(folder),
        code=folder,
        place=place,
        mesh_id=mesh.id,
        log=Log.open(place, [shape_of(output) for output in manifest.outputs]),
        workshop=Workshop(nursery, folder),
        journal=Journal(mesh.state / "logs" / f"{product.domain}.{product.product}.log", str(product)),
        runs=Runs(place / "runs"),
        decisions=Decisions(place / "decisions"),
    )


class _Container:
    """One product while it runs: its worker, its listeners, its door."""

    def __init__(self, parts: Parts, mesh: Mesh, nursery: Nursery) -> None:
        self._parts, self._mesh, self._nursery = parts, mesh, nursery
        self._condition, self._bell = Condition(), Bell()
        self._upstreams = self._follow()
        self._drop = self._drop_folder()
        self._worker = Worker(parts, self._condition, self._tasks())

    async def run(self) -> None:
        verifier = Verifier(self._mesh.state / "issuer" / "jwks.json", issuer_of(self._mesh.id), self._mesh.id)
        sidecar = Sidecar(self._parts, verifier.verify)
        door = Door(self._parts, self._condition, self._bell, self._worker, sidecar)
        listening = socket.create_server((LOOPBACK, 0))
        config = uvicorn.Config(
            door.application(),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = uvicorn.Server(config)
        self._leave_when_the_nursery_is_gone(server)
        self._register(f"http://{LOOPBACK}:{listening.getsockname()[1]}")
        self._start()
        watching = asyncio.create_task(watch(self._drop, self._wake)) if self._drop else None
        try:
            await server.serve(sockets=[listening])
        finally:
            if watching:
                watching.cancel()
            self._stop()

    def _tasks(self) -> tuple[Task, ...]:
        if self._drop:
            return (Ingest(self._parts, self._condition, self._bell, self._drop),)
        if self._upstreams:
            return (Derive(self._parts, self._condition, self._bell, self._upstreams),)
        return ()

    def _follow(self) -> dict[str, Upstream]:
        itself = SignIn(self._mesh.issuer_socket, f"product:{self._parts.address}")
        calls = Calls(Doors(FolderNames(self._mesh.state / "names")), itself)
        return {i.name: Upstream(i.source, calls, self._wake) for i in self._parts.manifest.product_inputs}

    def _drop_folder(self) -> DropFolder | None:
        ports = self._parts.manifest.file_inputs
        if not ports:
            return None
        folder = drop_folder(self._parts.manifest, ports[0], self._parts.code, self._mesh.drops)
        return DropFolder(ports[0], folder, self._parts.place / "intake")

    def _wake(self) -> None:
        self._worker.wake()

    def _start(self) -> None:
        self._worker.start()
        for upstream in self._upstreams.values():
            upstream.follow()
        self._worker.wake()

    def _stop(self) -> None:
        self._parts.journal.say("stopping")
        for upstream in self._upstreams.values():
            upstream.close()
        self._worker.stop()
        self._worker.join(GRACE_SECONDS)
        FolderNames(self._mesh.state / "names").remove(self._parts.address, os.getpid())
        self._parts.log.close()
        self._nursery.stop()

    def _register(self, door: str) -> None:
        record: Record = {
            "uri": self._parts.uri,
            "door": door,
            "stage": "running",
            "pid": os.getpid(),
            "folder": str(self._parts.code),
        }
        FolderNames(self._mesh.state / "names").register(self._parts.address, record)

    def _leave_when_the_nursery_is_gone(self, server: uvicorn.Server) -> None:
        """Without its nursery the product cannot run code; the host starts a whole container in its place."""

        def leave() -> None:
            asyncio.get_running_loop().remove_reader(self._nursery.fileno())
            self._parts.journal.say("the nursery is gone", "error")
            server.should_exit = True

        asyncio.get_running_loop().add_reader(self._nursery.fileno(), leave)
