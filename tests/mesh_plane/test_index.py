from __future__ import annotations

import json

import pytest

from tulle.errors import NotThere
from tulle.mesh_plane.index import Index


def test_the_index_is_what_products_say(mesh):
    index = Index(mesh)
    assert index.search("weather")["found"][0]["product"] == "weather/hourly"
    assert index.lineage()["edges"] == [
        {
            "from": "weather/hourly",
            "to": "punctuality/daily",
            "port": "weather/hourly",
            "oldest": "2013-02-01T00:00:00.000000Z",
            "newest": "2013-03-01T00:00:00.000000Z",
        }
    ]
    assert index.lineage("weather/hourly")["goes_into"] == ["punctuality/daily"]
    assert {each["state"] for each in index.status()["products"]} == {"Fresh"}
    assert all(each["heard"] for each in index.status()["products"])


def test_an_unknown_product_has_no_lineage(mesh):
    with pytest.raises(NotThere) as lost:
        Index(mesh).lineage("wether/hourly")
    assert "weather/hourly" in lost.value.why


def test_a_product_that_leaves_keeps_what_it_said_and_says_since_when(mesh, doors, tmp_path):
    file = tmp_path / "index.json"
    index = Index(mesh, file)
    index.refresh()
    heard = index.entries()["weather/hourly"].heard
    doors["weather/hourly"].stop()
    index.refresh()
    status = {each["product"]: each for each in index.status()["products"]}
    assert status["weather/hourly"]["state"] == "Away"
    assert status["weather/hourly"]["heard"] == heard
    assert status["punctuality/daily"]["heard"] > heard
    assert index.search("hourly")["found"][0]["purpose"] == "about weather/hourly"
    after = Index(mesh, file)
    assert after.search("hourly")["found"][0]["purpose"] == "about weather/hourly"


def test_a_lost_or_broken_file_fills_itself_again(mesh, tmp_path):
    file = tmp_path / "index.json"
    Index(mesh, file).refresh()
    assert len(json.loads(file.read_text())["entries"]) == 3
    for damage in (file.unlink, lambda: file.write_text("{"), lambda: file.write_text('{"entries": [{"x": 1}]}')):
        damage()
        index = Index(mesh, file)
        assert len(index.status()["products"]) == 3
        assert len(json.loads(file.read_text())["entries"]) == 3


def test_a_product_that_cannot_begin_or_may_not_be_seen_is_told_as_such(mesh, doors, tmp_path):
    path = tmp_path / "names" / "weather" / "hourly.json"
    path.write_text('{"door": "", "error": {"code": "E021", "what": "the manifest is off"}}')
    doors["punctuality/daily"].product.deny = True
    states = {each["product"]: each for each in Index(mesh).status()["products"]}
    assert states["weather/hourly"]["state"] == "Stopped"
    assert "E021" in states["weather/hourly"]["reason"]
    assert states["punctuality/daily"]["state"] == "Hidden"


def test_a_product_whose_name_is_gone_is_forgotten(mesh, tmp_path):
    index = Index(mesh)
    index.refresh()
    (tmp_path / "names" / "weather" / "hourly.json").unlink()
    index.refresh()
    assert sorted(index.entries()) == ["network/airports", "punctuality/daily"]
