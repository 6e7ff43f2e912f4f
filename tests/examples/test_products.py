from __future__ import annotations

from collections.abc import Iterator

import pytest

from tulle.product_plane.examples import example_folder
from tulle.product_plane.test import run_tests
from tulle.transformation.run import Workshop
from tulle.utility_plane.nursery import Nursery

PRODUCTS = sorted(example_folder("flights").glob("products/*/*"))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Workshop.nursery()
    yield started
    started.stop()


@pytest.mark.parametrize("folder", PRODUCTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_product_passes_its_own_cases(folder, nursery):
    tested = run_tests(folder, nursery)
    assert tested.cases
    assert tested.passed, "\n".join(f"{case.where} {case.name}\n{case.message}" for case in tested.failed)
