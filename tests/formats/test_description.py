from __future__ import annotations

import json

import duckdb
import pytest

from tulle.formats.description import describe, json_schema, sql_ddl
from tulle.formats.manifest import read_manifest

WINDOWS = """\
product: fleet/leases
archetype: source-aligned
team: fleet
purpose: Who leases what
inputs:
  files: {folder: drop}
outputs:
  rows:
    version: 1.2.3
    facts: state
    meaning: One lease
    key: [tailnum]
    actual_time: {column: begins, until: ends}
    columns:
      - {name: tailnum, type: string, meaning: Tail "number"}
      - {name: rent, type: decimal, unit: USD}
      - {name: begins, type: timestamp, required: true}
      - {name: ends, type: timestamp}
      - {name: 'order', type: bool, tags: [internal]}
    expectations:
      - {rule: rent > 0, on_failure: stop}
    objectives:
      - {timeliness: "<= 1 d"}
readers: [team:finance]
"""
MANIFEST = read_manifest(WINDOWS, "product.yaml")


def test_a_description_says_what_the_product_is_takes_and_serves():
    said = json.loads(json.dumps(describe(MANIFEST, "mesh.example")))
    assert said["uri"] == "https://mesh.example/fleet/leases"
    assert (said["domain"], said["archetype"], said["readers"]) == ("fleet", "source-aligned", ["team:finance"])
    assert said["inputs"][0]["columns"][1] == {"name": "rent", "type": "decimal"}
    output = said["outputs"][0]
    assert (output["address"], output["version"], output["key"]) == ("fleet/leases:rows@1", "1.2.3", ["tailnum"])
    assert output["actual_time"] == {"from": "column", "column": "begins", "until": "ends"}
    assert output["columns"][1]["unit"] == "USD"
    assert output["expectations"] == [{"name": "rent > 0", "rule": "rent > 0", "on_failure": "stop"}]
    assert output["objectives"] == [{"measure": "timeliness", "promise": "<= 1 d"}]


def test_the_schema_has_the_two_times_and_says_what_may_be_null():
    schema = json_schema(MANIFEST.outputs[0])
    assert list(schema["properties"])[-3:] == ["actual_time", "actual_until", "processing_time"]
    assert schema["properties"]["tailnum"]["type"] == "string"
    assert schema["properties"]["rent"]["type"] == ["number", "null"]
    assert schema["properties"]["begins"]["format"] == "date-time"


def test_the_ddl_makes_a_table():
    connection = duckdb.connect()
    connection.execute(sql_ddl(MANIFEST.outputs[0]))
    made = connection.sql("SELECT column_name, data_type, is_nullable FROM information_schema.columns").fetchall()
    assert ("order", "BOOLEAN", "YES") in made
    assert ("tailnum", "VARCHAR", "NO") in made
    with pytest.raises(duckdb.ConstraintException):
        connection.execute('INSERT INTO "rows@1" (tailnum) VALUES (NULL)')
    connection.close()
