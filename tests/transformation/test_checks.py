"""Keys, required values and expectations of what is to be published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.transformation.products import ARRIVED, files, follows, instant, output, product, rule, table
from tulle.errors import CheckFailed
from tulle.product.manifest import ActualTime, Expectation, Output
from tulle.transformation.run import Made, Result, Workshop

TYPES = {"id": "string", "seen": "timestamp", "price": "double"}
ONE, TWO = "2013-02-12T08:00Z", "2013-02-12T09:00Z"


def ingest(workshop: Workshop, folder: Path, content: str, port: Output) -> Result:
    file = folder / "kept"
    file.write_text(content)
    types = {column.source or column.name: column.type for column in port.columns}
    return workshop.ingest(product((files(types),), port), "drop", file, "orders.csv", ARRIVED)


def refused(workshop: Workshop, folder: Path, content: str, port: Output) -> CheckFailed:
    with pytest.raises(CheckFailed) as raised:
        ingest(workshop, folder, content, port)
    return raised.value


def checked(workshop: Workshop, *rules: Expectation) -> tuple[Made, Result]:
    given = table(TYPES, ("a", ONE, 1.0), ("a", TWO, -1.0), ("b", ONE, None), ("c", ONE, -5.0))
    manifest = product((follows("orders"),), output(TYPES, rules=rules))
    result = workshop.transform(manifest, {"orders": given})
    return result.outputs["rows@1"], result


def test_the_same_fact_twice_names_key_and_lines(workshop: Workshop, tmp_path: Path) -> None:
    content = f"id,seen,price\na,{ONE},1\nb,{ONE},2\na,{TWO},3\na,{ONE},41\na,{ONE},1\n"
    error = refused(workshop, tmp_path, content, output(TYPES))
    assert (error.code, error.what, error.where) == ("E032", "1 fact stands more than once in one batch", "orders.csv")
    assert error.why == "id=a actual_time=2013-02-12T08:00:00Z in lines 2, 5, 6"
    assert "41" not in error.text()


def test_the_same_fact_twice_out_of_code_names_the_key(workshop: Workshop) -> None:
    given = table(TYPES, ("a", ONE, 1.0), ("a", ONE, 1.0))
    with pytest.raises(CheckFailed) as raised:
        workshop.transform(product((follows("orders"),), output(TYPES)), {"orders": given})
    assert (raised.value.code, raised.value.why) == ("E032", "id=a actual_time=2013-02-12T08:00:00Z")


def test_one_window_is_another_fact_than_the_next(workshop: Workshop) -> None:
    types = {"id": "string", "seen": "timestamp", "until": "timestamp"}
    given = table(types, ("a", ONE, TWO), ("a", ONE, None))
    manifest = product((follows("orders"),), output(types, time=ActualTime(column="seen", until="until")))
    assert workshop.transform(manifest, {"orders": given}).outputs["rows@1"].rows.num_rows == 2


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        (f",{TWO},1", "E032", "id, part of the key, is null in 1 row"),
        ("b,,1", "E032", "the actual time is null in 1 row"),
    ],
)
def test_no_key_or_no_time(workshop: Workshop, tmp_path: Path, row: str, code: str, said: str) -> None:
    error = refused(workshop, tmp_path, f"id,seen,price\na,{ONE},1\n{row}\n", output(TYPES))
    assert (error.code, error.what, error.where) == (code, said, "orders.csv:3")


def test_a_required_value_that_is_missing(workshop: Workshop, tmp_path: Path) -> None:
    port = output({**TYPES, "price": "double!"})
    error = refused(workshop, tmp_path, f"id,seen,price\na,{ONE},1\nb,{ONE},\n", port)
    assert (error.code, error.what) == ("E031", "orders.csv:3: column price is required and holds nothing")
    manifest = product((follows("orders"),), port)
    with pytest.raises(CheckFailed, match="column price is required and null in 1 rows") as raised:
        workshop.transform(manifest, {"orders": table(TYPES, ("a", ONE, None))})
    assert raised.value.code == "E035"


def test_a_rule_that_warns(workshop: Workshop) -> None:
    made, result = checked(workshop, rule("price >= 0", "warn", "a price is positive"))
    assert (made.rows.num_rows, made.set_aside, made.kept) == (4, None, None)
    (failing,) = made.failing
    assert (failing.rule, failing.on_failure, failing.rows) == ("a price is positive", "warn", 2)
    assert failing.identities == ("id=a actual_time=2013-02-12T09:00:00Z", "id=c actual_time=2013-02-12T08:00:00Z")
    assert result.warnings == (f"rows@1: {failing}",)
    assert str(failing) == f"2 rows do not meet: a price is positive ({', '.join(failing.identities)})"


def test_a_rule_that_sets_aside_keeps_what_was_believed(workshop: Workshop) -> None:
    made, _ = checked(workshop, rule("price >= 0", "set_aside"), rule("price > -2 or id = 'z'", "set_aside", "far"))
    assert made.rows["id"].to_pylist() == ["a", "b"]
    assert made.set_aside is not None
    assert made.set_aside.select(["id", "price", "_rule"]).to_pylist() == [
        {"id": "a", "price": -1.0, "_rule": "price >= 0"},
        {"id": "c", "price": -5.0, "_rule": "price >= 0; far"},
    ]
    assert made.kept is not None
    assert made.kept.to_pylist() == [
        {"id": "a", "actual_time": instant(TWO)},
        {"id": "c", "actual_time": instant(ONE)},
    ]


def test_a_rule_that_stops(workshop: Workshop) -> None:
    with pytest.raises(CheckFailed) as raised:
        checked(workshop, rule("price < 100", "warn"), rule("price > -3", "stop"))
    error = raised.value
    assert (error.code, error.where) == ("E033", "rows@1")
    assert error.what == "rows@1: 1 row does not meet: price > -3 (id=c actual_time=2013-02-12T08:00:00Z)"


def test_a_rule_that_cannot_be_computed_shows_no_value(workshop: Workshop) -> None:
    with pytest.raises(CheckFailed, match="cannot be computed") as raised:
        checked(workshop, rule("CAST(id AS INT) > 0", "warn"))
    assert raised.value.why == "ConversionException"


def test_only_a_few_rows_are_named(workshop: Workshop) -> None:
    given = table(TYPES, *((f"k{n}", ONE, -1.0) for n in range(20)))
    manifest = product((follows("orders"),), output(TYPES, rules=(rule("price > 0", "warn"),)))
    (failing,) = workshop.transform(manifest, {"orders": given}).outputs["rows@1"].failing
    assert (failing.rows, len(failing.identities)) == (20, 5)
    assert str(failing).endswith(", ...)")


def test_no_rows_meet_every_rule(workshop: Workshop) -> None:
    manifest = product((follows("orders"),), output(TYPES, rules=(rule("price > 0", "stop"),)))
    assert workshop.transform(manifest, {"orders": table(TYPES)}).outputs["rows@1"].rows.num_rows == 0
