"""Names are whole or absent, outlive their writers, and never leave their folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tulle.errors import UsageError
from tulle.utility_plane.names import MESH_PLANE, FolderNames, Record


def record(pid: int = 7, door: str = "http://127.0.0.1:5000") -> Record:
    return {
        "uri": "https://m-1/weather/hourly",
        "door": door,
        "stage": "serving",
        "pid": pid,
        "folder": "/products/weather/hourly",
    }


def test_a_name_resolves_to_what_was_registered_last(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    assert names.resolve("weather/hourly") is None
    names.register("weather/hourly", record())
    names.register("weather/hourly", record(door="http://127.0.0.1:5001"))
    found = FolderNames(tmp_path).resolve("weather/hourly")
    assert found is not None
    assert found["door"] == "http://127.0.0.1:5001"


def test_all_lists_products_in_order_and_not_the_mesh_plane(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    for name in ("weather/hourly", "fleet/aircraft", MESH_PLANE):
        names.register(name, record())
    assert list(names.all()) == ["fleet/aircraft", "weather/hourly"]
    assert names.resolve(MESH_PLANE) is not None


@pytest.mark.parametrize(
    "name", ["../evil", "weather/../x", "weather", "/etc/passwd", "a/b/c", "weather/.hourly", "_x/y"]
)
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    names = FolderNames(tmp_path / "names")
    assert names.resolve(name) is None
    with pytest.raises(UsageError) as caught:
        names.register(name, record())
    assert caught.value.code == "E010"


def test_only_its_own_process_takes_a_name_away(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    names.register("weather/hourly", record(pid=8))
    names.remove("weather/hourly", pid=7)
    assert names.resolve("weather/hourly") is not None
    names.remove("weather/hourly", pid=8)
    assert names.resolve("weather/hourly") is None


def test_readers_never_see_half_a_record(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    names.register("weather/hourly", record())
    done = threading.Event()
    seen: list[object] = []

    def read() -> None:
        while not done.is_set():
            seen.append(names.resolve("weather/hourly"))

    reader = threading.Thread(target=read)
    reader.start()
    for pid in range(300):
        names.register("weather/hourly", record(pid=pid))
    done.set()
    reader.join()
    assert seen
    assert None not in seen
    assert [path.name for path in (tmp_path / "weather").iterdir()] == ["hourly.json"]


def test_a_spoilt_record_is_no_record(tmp_path: Path) -> None:
    names = FolderNames(tmp_path)
    names.register("weather/hourly", record())
    (tmp_path / "weather" / "hourly.json").write_text("{", "utf-8")
    assert names.resolve("weather/hourly") is None
    assert names.all() == {}
