from __future__ import annotations

import pytest

from tulle.client.doors import Doors, FolderNames
from tulle.errors import NotThere, Unavailable
from tulle.uris import ProductName

HOURLY = ProductName("weather", "hourly")


class Records(dict[str, dict[str, object]]):
    def resolve(self, name: str) -> dict[str, object] | None:
        return self.get(name)

    def all(self) -> dict[str, dict[str, object]]:
        return self


def test_a_door_is_the_product_s_own_where_it_can_be_reached():
    names = Records({"weather/hourly": {"door": "http://127.0.0.1:5"}})
    assert Doors(names, "http://127.0.0.1:1").door(HOURLY) == "http://127.0.0.1:5"
    assert Doors(names, "https://mesh.example").door(HOURLY) == "https://mesh.example"
    names["weather/hourly"]["door"] = "https://hourly.example"
    assert Doors(names, "https://mesh.example").door(HOURLY) == "https://hourly.example"


def test_a_product_without_a_door():
    names = Records({"weather/hourly": {"door": ""}})
    with pytest.raises(Unavailable) as starting:
        Doors(names).door(HOURLY)
    assert starting.value.retryable
    names["weather/hourly"] = {"door": "", "error": {"code": "E020", "what": "no YAML", "fix": "mend it"}}
    with pytest.raises(Unavailable) as cannot:
        Doors(names).door(HOURLY)
    assert not cannot.value.retryable
    assert cannot.value.fix == "mend it"
    with pytest.raises(NotThere) as lost:
        Doors(names).door(ProductName("weather", "hurly"))
    assert "weather/hourly" in lost.value.why


def test_names_in_a_folder(tmp_path):
    names = FolderNames(tmp_path)
    (tmp_path / "_mesh").mkdir()
    (tmp_path / "_mesh" / "plane.json").write_text("{}")
    (tmp_path / "weather").mkdir()
    (tmp_path / "weather" / "hourly.json").write_text('{"door": "x"}')
    (tmp_path / "weather" / ".half.tmp").write_text("{")
    (tmp_path / "weather" / "daily.json").write_text("{")
    assert names.all() == {"weather/hourly": {"door": "x"}}
    assert names.resolve("weather/daily") is None
    assert names.resolve("weather/none") is None
