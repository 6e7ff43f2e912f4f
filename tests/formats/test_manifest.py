from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tulle.errors import InvalidManifest, TulleError
from tulle.formats.manifest import check, drop_folder, load_manifest, read_manifest, revision
from tulle.product.manifest import FileInput, Manifest
from tulle.times import parse_moment
from tulle.uris import ProductName, parse_port

DAILY = """\
product: punctuality/daily
archetype: consumer-aligned
team: punctuality
purpose: How punctual was each airport, day by day, and how windy was it?
inputs:
  ontime:  {from: "punctuality/ontime:rows@1"}
  weather: {from: "weather/hourly:rows@1", wait_for: [ontime]}
transform: {python: "daily.py:daily"}
scope:
  ontime:  {origin: origin, day: "local_day(time_hour, 'America/New_York')"}
  weather: {origin: origin, day: "local_day(time_hour, 'America/New_York')"}
outputs:
  rows:
    version: 1.0.0
    facts: events
    key: [origin]
    actual_time: day_start
    columns:
      - {name: origin, type: string, meaning: Airport of departure (IATA)}
      - {name: day, type: date, meaning: Calendar day at the airport}
      - {name: day_start, type: timestamp, meaning: "Its first instant, UTC"}
      - {name: flights, type: int64, meaning: Flights scheduled}
      - {name: wind_mean, type: double, unit: mph, meaning: Mean of the day's hourly wind}
    expectations:
      - {rule: "wind_mean between 0 and 50", on_failure: warn}
    objectives:
      - {timeliness: "<= 5 s after inputs"}
readers: ["*"]
"""
FILES = """\
product: weather/hourly
archetype: source-aligned
team: weather
purpose: Weather
inputs:
  files:
    folder: drop
    delivery: snapshot
    format:
      csv: {null: NA, delimiter: ";", decimal: ",", encoding: latin-1, timezone: Europe/Berlin}
outputs:
  rows:
    version: 2.1.0
    facts: state
    key: [station]
    actual_time: {constant: 2013-01-01}
    columns:
      - {name: station, type: string, source: Messstelle}
      - {name: wind, type: double}
      - {name: since, type: timestamp}
      - {name: until, type: timestamp}
owner: person:ann
limits: {memory_mb: 512, seconds: 60}
"""


def refusal(text: str) -> InvalidManifest:
    with pytest.raises(InvalidManifest) as refused:
        read_manifest(text, "product.yaml")
    return refused.value


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


def test_the_manifest_of_the_design_is_read_whole():
    manifest = read_manifest(DAILY, "product.yaml")
    assert manifest.product == ProductName("punctuality", "daily")
    assert manifest.product_inputs[1].source == parse_port("weather/hourly:rows@1")
    assert manifest.product_inputs[1].wait_for == ("ontime",)
    assert manifest.scope[0] == (
        "ontime",
        (("origin", "origin"), ("day", "local_day(time_hour, 'America/New_York')")),
    )
    output = manifest.outputs[0]
    assert (output.table, output.key, output.actual_time.column) == ("rows@1", ("origin",), "day_start")
    assert output.expectations[0].rule == "wind_mean between 0 and 50"
    assert (output.objectives[0].measure, output.objectives[0].promise) == ("timeliness", "<= 5 s after inputs")
    assert manifest.readers == ("*",)


def test_files_have_the_columns_of_the_output_port_by_their_names_in_the_source():
    manifest = read_manifest(FILES, "product.yaml")
    port = manifest.file_inputs[0]
    assert (port.delivery, port.format.null, port.format.delimiter, port.format.decimal) == ("snapshot", "NA", ";", ",")
    assert port.format.columns[0] == ("Messstelle", "string")
    assert port.format.timezone == "Europe/Berlin"
    assert manifest.outputs[0].actual_time.constant == parse_moment("2013-01-01")
    assert (manifest.limits.memory_mb, manifest.limits.seconds) == (512, 60)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("actual_time: {constant: 2013-01-01}", "actual_time: since", "since"),
        ("actual_time: {constant: 2013-01-01}", "actual_time: {column: since, until: until}", "since"),
        ("actual_time: {constant: 2013-01-01}", "actual_time: arrival", None),
    ],
)
def test_actual_time_is_a_column_a_window_a_constant_or_arrival(old, new, found):
    time = read_manifest(FILES.replace(old, new), "product.yaml").outputs[0].actual_time
    assert time.column == found
    assert time.arrival == (found is None)


@pytest.mark.parametrize(
    ("old", "new", "at", "said", "fix"),
    [
        (
            "archetype: consumer-aligned",
            "archetyp: consumer-aligned",
            "archetyp:",
            'unknown key "archetyp"',
            "archetype",
        ),
        ("team: punctuality\n", "", "product:", 'the key "team" is missing', ""),
        (
            "archetype: consumer-aligned",
            "archetype: consumer",
            "archetype:",
            'cannot be "consumer"',
            "consumer-aligned",
        ),
        ("type: int64", "type: integer", "type: integer", "Did you mean int64?", "type: int64"),
        ("type: int64", "type: [int64]", "type: [int64]", "must be a text, not a list", ""),
        ("key: [origin]", "key: origin", "key: origin", "must be a list", "key: [origin]"),
        ("key: [origin]", "key: [orign]", "key:", "the key names orign", ""),
        ("key: [origin]", "key: [origin, origin]", "key:", "stands twice in the key", ""),
        ("actual_time: day_start", "actual_time: day_strt", "actual_time:", "Did you mean day_start?", ""),
        ("actual_time: day_start", "actual_time: flights", "actual_time:", "flights is int64", ""),
        ("actual_time: day_start", "actual_time: arrival", "actual_time:", "this product has no files", ""),
        ("actual_time: day_start", "actual_time: {constant: soon}", "actual_time:", '"soon" is no moment', ""),
        ("version: 1.0.0", "version: 1.0", "version:", "three numbers", ""),
        ("wind_mean between", "wind_men between", "wind_men", "Did you mean wind_mean?", ""),
        ("wind_mean between 0 and 50", "wind_mean between 0", "rule:", "does not parse as SQL", ""),
        ("wind_mean between 0 and 50", "wind_mean + 1", "rule:", "not true or false", ""),
        ("wind_mean between 0 and 50", "max(wind_mean) < 3", "rule:", "many rows", ""),
        ("wind_mean between 0 and 50", "wind_mean < (select 1)", "rule:", "a statement of its own", ""),
        ("wind_mean between 0 and 50", "true; drop table x", "rule:", "must be one SQL expression", ""),
        (
            "on_failure: warn",
            "on_failure: quarantine",
            "on_failure",
            "Did you mean set_aside?",
            "on_failure: set_aside",
        ),
        ("  weather: {origin: origin", "  wether: {origin: origin", "wether:", "Did you mean weather?", ""),
        ("  ontime:  {origin: origin", "  ontime:  {orign: origin", "orign:", "not a column of rows@1", ""),
        ("time_hour, 'America/New_York')\"}\n  w", 'time_hour, "}\n  w', 'local_day(time_hour, "', "SQL", ""),
        ('{from: "punctuality/ontime:rows@1"}', '{from: "./drop"}', "ontime:", "no address of a port", "folder"),
        ('{from: "punctuality/ontime:rows@1"}', "{folder: x, from: a/b}", "ontime:", "needs either from", ""),
        ('{from: "punctuality/ontime:rows@1"}', '{from: "punctuality/daily"}', "ontime:", "cannot read itself", ""),
        ("wait_for: [ontime]", "wait_for: [ontim]", "wait_for", "Did you mean ontime?", ""),
        ("consumer-aligned", "source-aligned", "weather:", "cannot read weather/hourly", "archetype: aggregate"),
        ("product: punctuality/daily", "product: Daily", "product:", "no name of a product", ""),
        ("name: flights", "name: actual_time", "name: actual_time", "every row has actual_time anyway", ""),
        ("name: flights", "name: _flights", "name: _flights", "beginning with a letter", ""),
        ("name: flights", "name: Origin", "name: Origin", "stands twice among the columns", ""),
        ('readers: ["*"]', "readers: [ann]", "readers:", "is not a reader", ""),
        ('readers: ["*"]', "limits: {seconds: 0}", "limits:", "whole number from 1", ""),
        (
            'transform: {python: "daily.py:daily"}',
            "transform: {python: daily.py}",
            "transform:",
            "file.py:function",
            "",
        ),
        ('transform: {python: "daily.py:daily"}\n', "", "product:", "needs a transform", "transform: {sql"),
    ],
)
def test_what_a_manifest_may_not_say_is_refused_with_line_and_mend(old, new, at, said, fix):
    assert old in DAILY
    text = DAILY.replace(old, new, 1)
    refused = refusal(text)
    assert refused.code == "E021"
    assert said in refused.text()
    assert fix in refused.fix
    assert re.fullmatch(rf"product\.yaml:{line_of(text, at)}:\d+", refused.where), refused.text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("delivery: snapshot", "delivery: all", "cannot be"),
        ("folder: drop", "folder: .", "the product's own folder"),
        ("encoding: latin-1", "encoding: klingon", 'no encoding "klingon"'),
        ("encoding: latin-1", "encoding: base64", "no encoding"),
        ("timezone: Europe/Berlin", "timezone: Berlin", 'no time zone "Berlin"'),
        ('delimiter: ";"', 'delimiter: ";;"', "one character"),
        ('delimiter: ";"', 'delimiter: ","', "same character"),
        ("csv: {", "xml: {", 'unknown key "xml"'),
        ("source: Messstelle", "source: wind", "stands twice among the columns"),
        ("null: NA,", "columns: {station: string}, null: NA,", "no column Messstelle"),
        ("null: NA,", "columns: {Messstelle: int64, wind: double, since: timestamp, until: timestamp},", "is int64 in"),
        ("type: double}", "type: double}\n      - {name: until, type: date}", "stands twice"),
    ],
)
def test_contradictions_of_a_file_input_are_refused(old, new, said):
    assert old in FILES
    refused = refusal(FILES.replace(old, new, 1))
    assert refused.code == "E021"
    assert said in refused.text()


def test_several_errors_come_together_in_the_order_of_the_document():
    text = DAILY.replace("team:", "tema:").replace("type: int64", "type: int").replace("key: [origin]", "key: origin")
    refused = refusal(text)
    assert refused.where == "product.yaml:3:1"
    assert refused.text().startswith('error[E021]: unknown key "tema"')
    assert f"{line_of(text, 'key: origin')}:10  key must be a list" in refused.why
    assert f"{line_of(text, 'type: int,')}" in refused.why


def test_two_majors_of_a_port_stand_side_by_side():
    rows = FILES[FILES.index("  rows:\n") : FILES.index("owner:")]
    older = rows.replace("  rows:\n", "  rows@1:\n").replace("2.1.0", "1.4.0")
    both = FILES.replace("owner:", f"{older}transform: {{python: 'a.py:f'}}\nowner:")
    both = both.replace("csv: {", "csv: {columns: {a: string}, ")
    assert [output.table for output in read_manifest(both, "product.yaml").outputs] == ["rows@2", "rows@1"]
    assert "is called rows@1 but its version is 3.4.0" in refusal(both.replace("1.4.0", "3.4.0")).what


def product(folder: Path, manifest: str, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "product.yaml").write_text(manifest, encoding="utf-8")
    for name, text in files.items():
        (folder / name.replace("_dot_", ".")).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ({}, "there is no file daily.py"),
        ({"dayly_dot_py": "def daily(ontime, weather): ..."}, "Did you mean dayly.py?"),
        ({"daily_dot_py": "def dayly(ontime, weather): ..."}, "Did you mean dayly?"),
        ({"daily_dot_py": "def daily(ontime): ..."}, "takes no argument weather"),
        ({"daily_dot_py": "def daily(ontime, weather, now): ..."}, "asks for now"),
        ({"daily_dot_py": "\n\ndef daily(:"}, "daily.py:3 is not Python"),
    ],
)
def test_python_that_does_not_fit_is_found_before_anything_runs(tmp_path, code, said):
    with pytest.raises(InvalidManifest) as refused:
        load_manifest(product(tmp_path / "p", DAILY, **code))
    assert refused.value.code == "E021"
    assert said in refused.value.text()
    assert refused.value.where.endswith(f"product.yaml:{line_of(DAILY, 'transform:')}:21")


SQL = DAILY.replace('{python: "daily.py:daily"}', "{sql: daily.sql}")


@pytest.mark.parametrize(
    ("sql", "code", "said", "place"),
    [
        ("SELECT 1;\nSELECT 2", "E021", "must hold one SELECT", "product.yaml:8:18"),
        ("DROP TABLE ontime", "E021", "must hold one SELECT", "product.yaml:8:18"),
        ("SELECT\n  FROM WHERE", "E021", "does not parse as SQL", "product.yaml:8:18"),
        (
            "SELECT *\nFROM ontime JOIN wether USING (origin)",
            "E023",
            "wether is not among the inputs",
            "daily.sql:2:18",
        ),
        ("SELECT * FROM operations.flights", "E023", "operations.flights is not among the inputs", "daily.sql:1:"),
        ("SELECT * FROM read_csv('/etc/passwd')", "E023", "is not among the inputs", "daily.sql"),
        ("SELECT * FROM '/etc/passwd'", "E023", "is not among the inputs", "daily.sql"),
    ],
)
def test_sql_that_does_not_fit_is_found_before_anything_runs(tmp_path, sql, code, said, place):
    with pytest.raises(InvalidManifest) as refused:
        load_manifest(product(tmp_path / "p", SQL, daily_dot_sql=sql))
    assert refused.value.code == code
    assert said in refused.value.text()
    assert place in refused.value.where


def test_sql_over_the_inputs_and_its_own_names_is_fine(tmp_path):
    sql = "WITH w AS (SELECT * FROM Weather) SELECT * FROM ontime LEFT JOIN w USING (origin)"
    folder = product(tmp_path / "p", SQL, daily_dot_sql=sql)
    manifest = load_manifest(folder)
    check(manifest, folder)
    (folder / "daily.sql").unlink()
    with pytest.raises(InvalidManifest, match=r"there is no file daily\.sql"):
        check(manifest, folder)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00a", b"a: 1\nb: \xe4\n"])
def test_a_manifest_that_is_missing_or_no_text_is_said_so(tmp_path, content):
    if content is not None:
        (tmp_path / "product.yaml").write_bytes(content)
    with pytest.raises(InvalidManifest) as refused:
        load_manifest(tmp_path)
    assert refused.value.code == "E020"


def test_a_revision_is_the_code_and_never_the_data(tmp_path):
    folder = product(tmp_path / "p", FILES)
    first = revision(folder)
    for name in ("drop/new.csv", ".git/config", "__pycache__/a.pyc", ".hidden"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x", encoding="utf-8")
    assert revision(folder) == first
    (folder / "README.md").write_text("x", encoding="utf-8")
    second = revision(folder)
    assert second != first
    (folder / "README.md").rename(folder / "README2.md")
    assert revision(folder) not in {first, second}
    (folder / "product.yaml").write_text("broken: [", encoding="utf-8")
    assert revision(folder).startswith("sha256:")


def test_drop_folders_lie_below_the_mesh_where_it_says_so(tmp_path):
    manifest = read_manifest(FILES, "product.yaml")
    port = manifest.file_inputs[0]
    assert drop_folder(manifest, port, tmp_path / "p", None) == tmp_path / "p/drop"
    assert drop_folder(manifest, port, tmp_path / "p", tmp_path / "d") == tmp_path / "d/weather/hourly/files"
    absolute = FileInput(port.name, str(tmp_path / "in"), port.format)
    assert drop_folder(manifest, absolute, tmp_path / "p", None) == tmp_path / "in"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_to_a_manifest_is_read_or_refused_never_anything_else(data):
    lines = (DAILY if data.draw(st.booleans()) else FILES).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        line = data.draw(st.integers(0, len(lines) - 1))
        start = data.draw(st.integers(0, len(lines[line])))
        stop = data.draw(st.integers(start, len(lines[line])))
        put = data.draw(st.sampled_from(["", "[]", "{}", "~", "0", "x", ": ", "'", "- a", "[[a]]", "{a: {b: c}}", "ß"]))
        lines[line] = lines[line][:start] + put + lines[line][stop:]
    try:
        assert isinstance(read_manifest("\n".join(lines), "product.yaml"), Manifest)
    except TulleError as refused:
        assert refused.code in {"E020", "E021"}
        assert refused.where.startswith("product.yaml")
