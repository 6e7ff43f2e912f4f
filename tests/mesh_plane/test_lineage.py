from __future__ import annotations

from tulle.mesh_plane.lineage import Edge, downstream, edges, lineage, upstream


def reads(*sources: str) -> dict[str, object]:
    return {"inputs": [{"name": s.partition("/")[2], "kind": "product", "from": f"{s}:rows@1"} for s in sources]}


DIAMOND = edges(
    {
        "weather/hourly": {"inputs": [{"name": "readings", "kind": "files"}]},
        "punctuality/ontime": reads("operations/flights", "weather/hourly"),
        "punctuality/daily": reads("punctuality/ontime", "weather/hourly"),
        "away/away": {},
    },
    {"punctuality/daily": {"provenance": {"weather/hourly": ["1", "2"]}}},
)


def test_edges_come_from_inputs_with_moments_from_provenance():
    assert Edge("weather/hourly", "punctuality/daily", "hourly", "1", "2") in DIAMOND
    assert len(DIAMOND) == 4
    assert DIAMOND[0].document() == {"from": "operations/flights", "to": "punctuality/ontime", "port": "flights"}


def test_up_and_down_are_transitive():
    assert upstream(DIAMOND, "punctuality/daily") == {"punctuality/ontime", "weather/hourly", "operations/flights"}
    assert downstream(DIAMOND, "operations/flights") == {"punctuality/ontime", "punctuality/daily"}


def test_the_whole_mesh_as_a_tree():
    document = lineage(DIAMOND, ["weather/hourly", "punctuality/ontime", "punctuality/daily", "network/airports"])
    assert document["products"][0] == "network/airports"
    assert document["text"].splitlines() == [
        "network/airports",
        "punctuality/daily",
        "  <- punctuality/ontime",
        "    <- operations/flights",
        "    <- weather/hourly",
        "  <- weather/hourly",
    ]


def test_around_one_product():
    document = lineage(DIAMOND, [], "punctuality/ontime")
    assert document["made_from"] == ["operations/flights", "weather/hourly"]
    assert document["goes_into"] == ["punctuality/daily"]
    assert {(e["from"], e["to"]) for e in document["edges"]} == {
        ("operations/flights", "punctuality/ontime"),
        ("weather/hourly", "punctuality/ontime"),
        ("punctuality/ontime", "punctuality/daily"),
    }
    assert document["text"].splitlines()[-1] == "  -> punctuality/daily"


def test_a_declared_circle_ends():
    circle = (Edge("a/a", "b/b"), Edge("b/b", "a/a"))
    assert upstream(circle, "a/a") == {"b/b"}
    assert lineage(circle, ["a/a", "b/b"])["text"].splitlines()[:3] == ["a/a", "  <- b/b", "    <- a/a"]
