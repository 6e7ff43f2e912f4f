"""Meshes that the scenarios share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import flights_slice as data
from tests.demo import copy_example
from tests.local_mesh import LocalMesh, deliver, settled, until_taken

MakeMesh = Callable[[], LocalMesh]


@pytest.fixture
def flights_mesh() -> Iterator[MakeMesh]:
    """Makes meshes of the example, not started, each in a folder of its own; ends what still runs."""
    made: list[LocalMesh] = []

    def make() -> LocalMesh:
        folder = Path(tempfile.mkdtemp(prefix="tulle-"))
        made.append(LocalMesh(folder, copy_example(folder), folder / "s"))
        return made[-1]

    yield make
    _end(made)


@pytest.fixture(scope="session")
def february() -> Iterator[LocalMesh]:
    """A year's weather and the flights of February, in a mesh that runs. Tests may add to it; none looks back at
    what another added, and days from the 10th to the 14th of February stay as they are but for the readings of EWR.
    """
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    local = LocalMesh(folder, copy_example(folder), folder / "s")
    mesh = local.start()
    data.load().deliver_reference(local.drops)
    deliver(local.drops / data.FLIGHTS, data.month_name(2), data.flights(2))
    until_taken(mesh, "operations/flights", [data.month_name(2)])
    for product, sources in data.DERIVED.items():
        settled(mesh, product, sources)
    yield local
    _end([local])


def _end(meshes: list[LocalMesh]) -> None:
    codes = {local.stop() for local in meshes if local.process}
    left = [found for local in meshes for found in local.leftovers()]
    said = [local.said() for local in meshes if local.process]
    for local in meshes:
        shutil.rmtree(local.folder, ignore_errors=True)
    assert codes <= {0}, said
    assert not left
