from __future__ import annotations

from typing import Any

import pytest

from tulle.mesh_plane.search import search


def described(purpose: str, *columns: tuple[str, str], tags: tuple[str, ...] = (), team: str = "x") -> dict[str, Any]:
    listed = [{"name": name, "type": "string", "meaning": meaning} for name, meaning in columns]
    return {"purpose": purpose, "team": team, "tags": list(tags), "outputs": [{"name": "rows", "columns": listed}]}


MESH = {
    "weather/hourly": described(
        "What was the weather at New York's airports, hour by hour?",
        ("origin", "Airport of the station"),
        ("wind_speed", "Speed of the wind"),
        tags=("wind", "observation"),
        team="met",
    ),
    "operations/flights": described("Which flights left New York?", ("dep_delay", "Delay of the departure")),
    "punctuality/ontime": described(
        "Every flight with its delay and the weather", ("arr_delay", "Delay of the arrival"), ("wind_speed", "Wind")
    ),
    "network/airports": described("Where are the airports?", ("faa", "Code of the airport")),
}


def found(words: str) -> list[str]:
    return [each["product"] for each in search(MESH, words)["found"]]


@pytest.mark.parametrize("words", ["weather/hourly", "hourly", "weather.hourly", "Weather/Hourly"])
def test_an_exact_name_comes_first_and_says_so(words):
    first = search(MESH, words)["found"][0]
    assert first["product"] == "weather/hourly"
    assert first["why"][0] == "name weather/hourly"


def test_an_exact_column_comes_before_words():
    first = search(MESH, "arr_delay")["found"]
    assert [each["product"] for each in first] == ["punctuality/ontime"]
    assert first[0]["why"][0] == "column arr_delay"


def test_words_are_found_wherever_a_product_says_them():
    assert found("weather") == ["weather/hourly", "punctuality/ontime"]
    assert found("wind")[0] == "weather/hourly"
    assert found("met") == ["weather/hourly"]
    assert set(found("flight delay")) == {"operations/flights", "punctuality/ontime"}
    assert set(found("airport")) == {"network/airports", "weather/hourly"}
    assert "tag wind" in search(MESH, "wind")["found"][0]["why"]


def test_products_with_all_words_hide_those_with_some():
    assert found("flights new york") == ["operations/flights"]
    assert found("arrival zebra") == ["punctuality/ontime"]


def test_nothing_asked_is_everything():
    assert found("") == sorted(MESH)


def test_nothing_found_names_the_nearest_words():
    document = search(MESH, "wether")
    assert document["found"] == []
    assert '"weather" (2)' in document["hint"]
    assert "tulle search weather" in document["hint"]
    assert "network, operations" in search(MESH, "qqqqqq")["hint"]
    assert "no products" in search({}, "x")["hint"]
