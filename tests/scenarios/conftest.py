"""Meshes that the scenarios share."""

from __future__ import annotations

import contextlib
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
    with contextlib.ExitStack() as ends:
        yield lambda: ends.enter_context(_example())


@pytest.fixture(scope="session")
def february() -> Iterator[LocalMesh]:
    """A year's weather and the flights of February, in a mesh that runs, shared by scenarios that add to it: each keeps
    to days, or to readings, of its own.
    """
    with _example() as local:
        mesh = local.start()
        data.load().deliver_reference(local.drops)
        deliver(local.drops / data.FLIGHTS, data.month_name(2), data.flights(2))
        until_taken(mesh, "operations/flights", [data.month_name(2)])
        for product, sources in data.DERIVED.items():
            settled(mesh, product, sources)
        yield local


@contextlib.contextmanager
def _example() -> Iterator[LocalMesh]:
    folder = Path(tempfile.mkdtemp(prefix="tulle-"))
    local = LocalMesh(folder, copy_example(folder), folder / "s")
    with local.ended():
        yield local
    shutil.rmtree(folder, ignore_errors=True)
