"""The command line where no mesh is needed: help, errors, exit codes, tables."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.demo import Commands
from tulle.errors import CODES, UsageError
from tulle.faces.cli import command
from tulle.faces.cli.command import FORMS, Parser, Verb
from tulle.faces.cli.conditions import conditions, facts
from tulle.faces.cli.main import main
from tulle.faces.cli.showing import show, show_facts, table, text
from tulle.faces.cli.verbs import VERBS
from tulle.product.reading import Predicate

HEAVY = {"argparse", "dataclasses", "json", "pathlib", "duckdb", "pyarrow", "tulle.errors", "tulle.client"}


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["help"]):
        assert main(words) == 0
        shown = capsys.readouterr().out
        assert all(f"  {verb} " in shown for verb in VERBS)


def test_help_loads_next_to_nothing() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "from tulle.faces.cli.main import main; main(['--help'])\n"
        "print(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_takes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: tulle {verb}")
    assert "--output" in shown


def test_every_module_of_verbs_is_in_the_table() -> None:
    found: dict[str, Verb] = {}
    for _, module, _ in VERBS.values():
        found |= __import__(f"tulle.faces.cli.{module}", fromlist=["VERBS"]).VERBS
    assert set(found) == set(VERBS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["raed", "weather/hourly"], "Did you mean read?"),
        (["read", "weather/hourly", "--limt", "5"], "Did you mean --limit"),
        (["read"], "required: address"),
        (["read", "weather/hourly", "-o", "xml"], "invalid choice: 'xml'"),
        (["retract", "weather/hourly", "--reason", "x"], "required: --where"),
        (["run", "weather/hourly", "--full", "--parked"], "not allowed with argument"),
    ],
)
def test_slips_are_usage_errors_with_a_hint(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == UsageError.exit_code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error[E010]: ")
    assert said in shown.err
    assert "fix: tulle" in shown.err


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "e201"]) == 0
    assert capsys.readouterr().out.startswith("E201: no such column\n\n")
    assert main(["explain", "-o", "json"]) == 0
    assert {row["code"] for row in json.loads(capsys.readouterr().out)} == set(CODES)
    assert main(["explain", "E999"]) == 4
    assert "error[E404]" in capsys.readouterr().err


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_value(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    when = datetime(2013, 2, 12, 8, tzinfo=UTC)
    rows = [
        {"a": 1, "b": 'x, "y"\nz', "c": when, "d": None, "e": True, "f": date(2013, 2, 12), "g": [1, 2]},
        {"a": 22, "b": "", "c": None, "d": 0.5, "e": False, "f": None, "g": None},
    ]
    show(rows, form)
    shown = capsys.readouterr().out
    for part in ("2013-02-12T08:00:00Z", "22", "0.5", "true", "2013-02-12"):
        assert part in shown
    if form == "json":
        assert [row["a"] for row in json.loads(shown)] == [1, 22]
    if form == "csv":
        assert [row["b"] for row in csv.DictReader(io.StringIO(shown, newline=""))] == ['x, "y"\nz', ""]


def test_tables_are_plain_and_aligned() -> None:
    rows = [{"name": "wind", "n": 5}, {"name": "temperature", "n": 1200.25}]
    assert list(table(rows, ("name", "n"))) == [
        "name               n",
        "wind               5",
        "temperature  1200.25",
    ]
    assert list(table([], ("name", "n"))) == ["name  n"]
    assert list(table([], ())) == []


def test_numbers_are_shortened_for_the_eye_only() -> None:
    assert text(56.390000000000001) == "56.39"
    assert text(1048.3605799) == "1048.3606"
    assert text(1e-9) == "1e-09"
    assert text(float("nan")) == "nan"
    assert text({"a": 1, "b": [2.0, None]}) == "a 1, b 2, "


def test_facts_leave_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    show_facts({"state": "Fresh", "reason": "", "entries": 0, "inputs": {}}, "table")
    assert capsys.readouterr().out == "state    Fresh\nentries  0\n"


def test_conditions_are_read_as_they_are_typed() -> None:
    assert conditions(["origin=EWR"]) == (Predicate("origin", "=", "EWR"),)
    assert conditions(["origin='EWR' and time_hour='2013-02-12T08:00Z'"]) == (
        Predicate("origin", "=", "EWR"),
        Predicate("time_hour", "=", "2013-02-12T08:00Z"),
    )
    assert conditions(["wind_speed >= 20", "name != 'rock and roll'"]) == (
        Predicate("wind_speed", ">=", "20"),
        Predicate("name", "!=", "rock and roll"),
    )
    assert conditions(["a in (1, 'b')", "c is not null", "d IS NULL"]) == (
        Predicate("a", "in", ("1", "b")),
        Predicate("c", "is not null"),
        Predicate("d", "is null"),
    )


@pytest.mark.parametrize("typed", ["origin", "a=1 or b=2", "lower(a)='x'", "a between 1 and 2", "a=f(b)"])
def test_more_than_comparisons_belongs_in_sql(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        conditions([typed])
    assert "tulle sql" in caught.value.fix


def test_a_retraction_takes_columns_or_sql() -> None:
    assert facts(["origin=EWR", "day=2013-02-12"]) == {"origin": "EWR", "day": "2013-02-12"}
    assert facts(["origin='EWR' and hour=3"]) == {"origin": "EWR", "hour": "3"}
    assert facts(["wind_speed > 200"]) == "wind_speed > 200"
    assert facts(["a=1 or b=2", "c=3"]) == "(a=1 or b=2) and (c=3)"


def test_a_parser_never_guesses_options() -> None:
    parser = Parser(prog="tulle x", allow_abbrev=False)
    parser.add_argument("--where")
    with pytest.raises(UsageError):
        parser.parse_args(["--whe", "a=1"])
    assert command.INTERRUPTED == 130


def test_without_a_mesh_it_says_how_to_get_one(tmp_path: Path) -> None:
    said = Commands(tmp_path).run("status", expect=4)
    assert "error[E003]" in said
    assert "fix: tulle demo" in said


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    commands = Commands(tmp_path)
    line = f"{sys.executable} -m tulle.faces.cli.main explain -o json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env=commands.environment(), capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["[", "0"]
