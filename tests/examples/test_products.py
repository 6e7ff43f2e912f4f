from __future__ import annotations

import pytest

from tulle.product_plane.examples import example_folder
from tulle.product_plane.test import run_tests

PRODUCTS = sorted(example_folder("flights").glob("products/*/*"))


@pytest.mark.parametrize("folder", PRODUCTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_product_passes_its_own_cases(folder):
    tested = run_tests(folder)
    assert tested.cases
    assert tested.passed, "\n".join(f"{case.where} {case.name}\n{case.message}" for case in tested.failed)
