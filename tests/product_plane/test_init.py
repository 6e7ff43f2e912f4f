from __future__ import annotations

from pathlib import Path

import pytest

from tulle.errors import Conflict, TulleError
from tulle.formats.manifest import load_manifest
from tulle.product.manifest import Manifest
from tulle.product_plane.init import InitPlan, apply, plan_init
from tulle.product_plane.names import column_names
from tulle.uris import ProductName

NAME = ProductName("my", "product")


def made(tmp_path: Path, content: bytes, name: str = "file.csv") -> tuple[Manifest, InitPlan]:
    source = tmp_path / name
    source.write_bytes(content)
    plan = plan_init(NAME, tmp_path / "product", source)
    apply(plan)
    manifest = load_manifest(tmp_path / "product")
    assert (tmp_path / "product/drop" / name).read_bytes() == content
    return manifest, plan


def types(manifest: Manifest) -> dict[str, str]:
    return {column.name: column.type for column in manifest.outputs[0].columns}


def test_a_product_from_nothing_is_whole(tmp_path):
    plan = plan_init(NAME, tmp_path / "p")
    assert not (tmp_path / "p").exists()
    written = apply(plan)
    assert {str(path.relative_to(tmp_path / "p")) for path in written} == {
        "product.yaml", "transform.sql", "tests/cases.yaml", "README.md", "drop/first.csv",
    }  # fmt: skip
    assert load_manifest(tmp_path / "p").product == NAME
    assert not list((tmp_path / "p").rglob(".*"))


def test_a_name_that_is_taken_is_refused_and_nothing_is_written(tmp_path):
    plan = plan_init(NAME, tmp_path / "p")
    apply(plan)
    before = (tmp_path / "p/product.yaml").read_bytes()
    for again in (lambda: plan_init(NAME, tmp_path / "p"), lambda: apply(plan)):
        with pytest.raises(Conflict) as refused:
            again()
        assert refused.value.code == "E012"
    assert (tmp_path / "p/product.yaml").read_bytes() == before


def test_drop_folders_below_the_mesh_get_the_file(tmp_path):
    apply(plan_init(NAME, tmp_path / "p", None, tmp_path / "drops"))
    assert (tmp_path / "drops/my/product/files/first.csv").exists()
    assert not (tmp_path / "p/drop").exists()


def test_semicolons_decimal_commas_local_times_and_a_byte_order_mark(tmp_path):
    text = "\ufeffZähler;Ablesung;Wert (kWh);Straße\nA1;01.02.2026 00:15;1,5;Am Weg\nB2;01.02.2026 00:15;;\n"
    text += "A1;13.02.2026 00:30;12,25;Am Weg\n"
    manifest, plan = made(tmp_path, text.encode())
    form = manifest.file_inputs[0].format
    assert (form.delimiter, form.decimal, form.encoding, form.null) == (";", ",", "utf-8", "")
    assert (form.timestamp_format, form.timezone) == ("%d.%m.%Y %H:%M", "UTC")
    assert form.columns == (
        ("Zähler", "string"), ("Ablesung", "timestamp"), ("Wert (kWh)", "double"), ("Straße", "string"),
    )  # fmt: skip
    assert list(types(manifest)) == ["zaehler", "ablesung", "wert_kwh", "strasse"]
    assert (manifest.outputs[0].key, manifest.outputs[0].actual_time.column) == (("zaehler",), "ablesung")
    assert manifest.transform.sql is None
    assert "actual time: ablesung (no zone given, read as UTC)" in plan.notes
    assert any("byte-order mark" in note for note in plan.notes)


def test_no_time_column_means_arrival(tmp_path):
    manifest, plan = made(tmp_path, b"code,name,born\n1,Ann,1990-01-01\n2,Bob,\n")
    assert manifest.outputs[0].actual_time.arrival
    assert manifest.outputs[0].facts == "state"
    assert manifest.outputs[0].key == ("code",)
    assert types(manifest) == {"code": "int64", "name": "string", "born": "date"}
    assert any(note.startswith("actual time: arrival") for note in plan.notes)


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        ("a\tb\n1\tx\n2\ty\n".encode("utf-16"), "utf-16", "\t"),
        ("a|grün\n1|x\n2|ö\n".encode("latin-1"), "latin-1", "|"),
        ("a;grün\n1;„x“\n2;ö\n".encode("cp1252"), "cp1252", ";"),
        ("a,grün\n1,x\n2,ö\n".encode(), "utf-8", ","),
    ],
)
def test_encoding_and_delimiter_are_found(tmp_path, content, encoding, delimiter):
    manifest, _ = made(tmp_path, content)
    form = manifest.file_inputs[0].format
    assert (form.encoding, form.delimiter) == (encoding, delimiter)


@pytest.mark.parametrize(
    ("values", "found", "form"),
    [
        (["1", "2"], "int64", ""),
        (["1", "2.5"], "double", ""),
        (["007", "012"], "string", ""),
        (["true", "FALSE"], "bool", ""),
        (["2026-01-31", "2026-02-01"], "date", ""),
        (["31.01.2026", "01.02.2026"], "date", "%d.%m.%Y"),
        (["01/31/2026", "02/01/2026"], "date", "%m/%d/%Y"),
        (["2026-01-31T08:00Z", "2026-02-01T08:00+02:00"], "timestamp", ""),
        (["31.01.2026 08:00:01", "01.02.2026 08:00:01"], "timestamp", "%d.%m.%Y %H:%M:%S"),
        (["31.02.2026", "01.02.2026"], "string", ""),
        (["2026-01-31 25:00", "2026-02-01 08:00"], "string", ""),
        (["NA", "5"], "int64", ""),
        (["", ""], "string", ""),
    ],
)
def test_types_are_the_narrowest_that_all_values_have(tmp_path, values, found, form):
    rows = "".join(f"k{number};{value}\n" for number, value in enumerate(values))
    manifest, _ = made(tmp_path, f"id;value\n{rows}".encode())
    assert types(manifest)["value"] == found
    declared = manifest.file_inputs[0].format
    assert form in {declared.date_format, declared.timestamp_format}


def test_a_day_that_could_be_a_month_is_said_so(tmp_path):
    _, plan = made(tmp_path, b"id,seen\n1,01/02/2026\n2,03/04/2026\n")
    assert "seen: read as %d/%m/%Y; the day could also be the month" in plan.notes


def test_what_the_format_cannot_say_is_said_in_sql(tmp_path):
    text = 'id,a,b\n1,NA,"1.234,5"\n2,-,"2,25"\n3,7,\n4,NA,"3,0"\n'
    manifest, plan = made(tmp_path, text.encode())
    assert manifest.transform.sql == "transform.sql"
    assert dict(manifest.file_inputs[0].format.columns) == {"id": "int64", "a": "string", "b": "string"}
    assert types(manifest) == {"id": "int64", "a": "int64", "b": "double"}
    sql = (tmp_path / "product/transform.sql").read_text(encoding="utf-8")
    assert "nullif(\"a\", '-')::BIGINT" in sql
    assert 'null is written "NA"' in plan.notes


def test_rows_that_repeat_wholly_are_dropped(tmp_path):
    manifest, plan = made(tmp_path, b"a,b\n1,2\n1,2\n1,3\n")
    assert manifest.outputs[0].key == ("a", "b")
    assert "DISTINCT" in (tmp_path / "product/transform.sql").read_text(encoding="utf-8")
    assert any("dropped (1)" in note for note in plan.notes)


def test_the_key_is_the_smallest_that_tells_rows_apart(tmp_path):
    rows = "".join(
        f"{hour},{a},{b},1.5\n" for hour in ("2026-01-01T00:00Z", "2026-01-01T01:00Z") for a in "xy" for b in "pq"
    )
    manifest, _ = made(tmp_path, f"time,a,b,v\n{rows}".encode())
    assert manifest.outputs[0].key == ("a", "b")
    assert manifest.outputs[0].actual_time.column == "time"


def test_a_series_of_one_thing_is_told_apart_by_its_time(tmp_path):
    manifest, _ = made(tmp_path, b"when,value\n2026-01-01T00:00Z,1.5\n2026-01-01T01:00Z,1.5\n")
    assert manifest.outputs[0].key == ("when",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"1,2\n3,4\n", "no names of columns"),
        (b"a,a\n3,4\n", 'called "a"'),
        (b"PK\x03\x04" + b"\0" * 40, "binary"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, said):
    with pytest.raises(TulleError) as refused:
        made(tmp_path, content)
    assert refused.value.code == "E011"
    assert said in refused.value.text()


@pytest.mark.parametrize("name", ["gone.csv", "."])
def test_a_source_that_is_missing_is_said_so(tmp_path, name):
    with pytest.raises(TulleError) as refused:
        plan_init(NAME, tmp_path / "p", tmp_path / name)
    assert refused.value.code == "E022"


def test_rows_of_another_width_are_counted(tmp_path):
    _, plan = made(tmp_path, b"a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert any(note.startswith("2 rows have more or fewer fields") for note in plan.notes)


def test_names_are_lower_case_latin_and_each_once():
    header = ["Größe", "grösse", "timeHour", "kWh", "2020", "", "температура", "actual_time", "Prix (€)", "名前"]
    assert column_names(header) == [
        "groesse", "groesse_2", "time_hour", "kwh", "column_2020", "column_6", "temperatura", "actual_time_given",
        "prix_eur", "column_10",
    ]  # fmt: skip
