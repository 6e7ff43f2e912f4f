"""One nursery for all tests of this room, and small products to run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tulle.transformation.run import Workshop
from tulle.utility_plane.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    started = Workshop.nursery()
    yield started
    started.stop()


@pytest.fixture
def workshop(nursery: Nursery, tmp_path: Path) -> Workshop:
    """A workshop whose product's code lies in `tmp_path`."""
    return Workshop(nursery, tmp_path)
