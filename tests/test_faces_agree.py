"""Three faces, the same words and the same answers: command line, HTTP and SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

import tulle
from tests.demo import Commands, RunningDemo
from tulle.client.doors import place_in
from tulle.client.mesh import Mesh
from tulle.faces.cli.verbs import VERBS
from tulle.formats.routes import ROUTES

OF_THIS_MACHINE = {"demo", "up", "down", "init", "test"}
"""Verbs on files and processes of one machine: nobody can ask for them from elsewhere."""
WITHOUT_A_ROUTE = {
    "wait": "the provenance route waits, with seen= and wait=",
    "log": "the route is called ledger, as the port is read by machines",
    "token": "tokens are minted over a Unix socket only",
}
DAY = "2013-02-12"
READS: dict[str, tuple[list[str], dict[str, str], dict[str, Any]]] = {
    "latest": ([], {}, {}),
    "a day": (["--at", DAY], {"at": DAY}, {"at": DAY}),
    "a month": (["--at", "2013-06"], {"at": "2013-06"}, {"at": "2013-06"}),
    "from to": (["--at", "2013-03-01..2013-03-05"], {"at": "2013-03-01..2013-03-05"}, {"at": "2013-03-01..2013-03-05"}),
    "an instant": (["--at", f"{DAY}T05:00Z"], {"at": f"{DAY}T05:00Z"}, {"at": f"{DAY}T05:00Z"}),
    "filtered": (["--where", "origin=EWR"], {"origin": "EWR"}, {"where": {"origin": "EWR"}}),
    "some columns": (
        ["--columns", "origin,wind_mean"],
        {"columns": "origin,wind_mean"},
        {"columns": ["origin", "wind_mean"]},
    ),
    "in order": (["--order", "key", "--limit", "7"], {"order": "key", "limit": "7"}, {"order": "key", "limit": 7}),
}


@contextmanager
def asking(demo: RunningDemo) -> Iterator[Mesh]:
    yield Mesh.at(place_in(demo.commands.folder / ".tulle" / "demo"))


def fetched(demo: RunningDemo, path: str, accept: str, token: str | None, expect: int = 200) -> httpx.Response:
    headers = {"accept": accept} | ({"authorization": f"Bearer {token}"} if token else {})
    reply = httpx.get(f"{demo.url}{path}", headers=headers, timeout=60, trust_env=False)
    assert reply.status_code == expect, reply.text
    return reply


def test_every_verb_is_a_word_of_the_sdk_and_a_route() -> None:
    routes = {route.name for route in ROUTES}
    for verb in set(VERBS) - OF_THIS_MACHINE:
        assert verb in tulle.__all__, f"tulle.{verb}"
        assert verb in routes or verb in WITHOUT_A_ROUTE, f"no route {verb}"


@pytest.mark.parametrize("case", READS, ids=str)
def test_a_read_gives_the_same_rows_moment_and_digest(running_demo: RunningDemo, case: str) -> None:
    words, parameters, arguments = READS[case]
    token = running_demo.commands.run("token").strip()
    said = running_demo.commands.json("read", "punctuality/daily", *words)
    path = f"/punctuality/daily/rows?{httpx.QueryParams(parameters)}"
    over_http = fetched(running_demo, path, "application/json", token).json()
    with asking(running_demo) as mesh:
        answer = mesh.load("punctuality/daily", **arguments)
    assert said["stamp"]["digest"] == over_http["stamp"]["digest"] == answer.digest
    assert said["stamp"]["moment"] == over_http["stamp"]["moment"] == str(answer.moment)
    assert len(said["rows"]) == len(over_http["rows"]) == len(answer)
    if "order" in parameters:
        assert said["rows"] == over_http["rows"]


def test_as_of_and_sql_agree(running_demo: RunningDemo) -> None:
    question = (
        "select origin, round(avg(dep_delay_mean), 1) as late from punctuality.daily group by origin order by origin"
    )
    with asking(running_demo) as mesh:
        moment = str(mesh.load("punctuality/daily", limit=1).moment)
        answer = mesh.sql(question, as_of=moment)
        rows = answer.arrow().to_pylist()
    said = running_demo.commands.json("sql", question, "--as-of", moment)
    assert said["rows"] == rows
    assert said["stamp"]["digest"] == answer.digest
    assert [row["origin"] for row in rows] == ["EWR", "JFK", "LGA"]


def test_arrow_json_and_csv_hold_the_same_rows(running_demo: RunningDemo) -> None:
    token = running_demo.commands.run("token").strip()
    path = f"/punctuality/daily/rows?at={DAY}&order=key&columns=origin,wind_mean"
    arrow = fetched(running_demo, path, "application/vnd.apache.arrow.stream", token)
    table = pa.ipc.open_stream(arrow.content).read_all()
    document = fetched(running_demo, path, "application/json", token).json()
    csv = fetched(running_demo, path.replace("rows?", "rows.csv?"), "*/*", token).text.splitlines()
    assert table.to_pylist() == document["rows"]
    assert csv == ["origin,wind_mean", *(f"{row['origin']},{row['wind_mean']}" for row in document["rows"])]
    assert arrow.headers["Tulle-Digest"] == document["stamp"]["digest"]


def test_without_a_token_there_is_no_answer_but_the_line_that_gets_one(running_demo: RunningDemo) -> None:
    error = fetched(running_demo, "/punctuality/daily/rows", "application/json", None, 401).json()["error"]
    assert error["code"] == "E310"
    assert "tulle token" in error["fix"]


def test_a_parameter_that_is_off_lists_the_valid_ones(running_demo: RunningDemo) -> None:
    token = running_demo.commands.run("token").strip()
    error = fetched(running_demo, "/punctuality/daily/rows?_limt=5", "application/json", token, 400).json()["error"]
    assert error["code"] == "E011"
    assert "_limit" in error["why"]


def test_a_stranger_is_refused_in_every_face_and_each_refusal_is_on_record(running_demo: RunningDemo) -> None:
    """Everybody signed in may read the example; taking facts back is for the team that owns them."""
    stranger = running_demo.commands.run("token", "--as", "person:stranger").strip()
    asked = {"where": {"origin": "EWR"}, "reason": "mischief", "preview": True}
    address, headers = f"{running_demo.url}/weather/hourly/control/retract", {"authorization": f"Bearer {stranger}"}
    refused = httpx.post(address, json=asked, headers=headers, timeout=60, trust_env=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "E301")
    state = running_demo.commands.folder / ".tulle" / "demo"
    with pytest.raises(tulle.TulleError) as denied:
        Mesh.at(place_in(state), "person:stranger", ()).retract(
            "weather/hourly", {"origin": "EWR"}, "mischief", preview=True
        )
    assert denied.value.code == "E301"
    as_stranger = Commands(running_demo.commands.folder, {"TULLE_TOKEN": stranger})
    words = ("weather/hourly", "--where", "origin=EWR", "--reason", "mischief", "--preview")
    assert "E301" in as_stranger.run("retract", *words, expect=3)
    refusals = [d for d in decisions(state, "weather/hourly") if d["who"] == "person:stranger" and not d["allowed"]]
    assert len(refusals) == 3
    assert all(d["reasons"] for d in refusals)


def decisions(state: Path, product: str) -> list[dict[str, Any]]:
    files = sorted((state / "products" / product / "decisions").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]
