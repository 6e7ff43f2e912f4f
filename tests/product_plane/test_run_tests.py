from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tulle.errors import InvalidManifest
from tulle.product_plane.init import apply, plan_init
from tulle.product_plane.test import Outcome, run_tests
from tulle.transformation.run import Workshop
from tulle.uris import ProductName
from tulle.utility_plane.nursery import Nursery

NAME = ProductName("my", "hello")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    started = Workshop.nursery()
    yield started
    started.stop()


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    apply(plan_init(NAME, tmp_path / "my/hello"))
    return tmp_path / "my/hello"


def cases(folder: Path, text: str, nursery: Nursery | None = None) -> Outcome:
    (folder / "tests/cases.yaml").write_text(text, encoding="utf-8")
    return run_tests(folder, nursery)


def test_the_product_that_init_writes_passes_its_own_test(hello):
    tested = run_tests(hello)
    assert (tested.product, tested.passed, len(tested.cases)) == ("my/hello", True, 1)


def test_a_case_that_fails_says_where_and_how_rows_differ(hello, nursery):
    tested = cases(
        hello,
        """\
cases:
  - name: too many words
    given: {files: [{id: 1, said: hello mesh, said_at: 2026-01-01T09:00Z}]}
    expect: {rows: [{id: 1, words: 3}]}
  - name: nothing comes of nothing
    given: {}
    expect: {rows: []}
""",
        nursery,
    )
    assert [case.passed for case in tested.cases] == [False, True]
    failed = tested.failed[0]
    assert failed.message == "rows: expected 1 rows, 1 came\n  ~ id=1: words is 2, expected 3"
    assert failed.where.endswith("tests/cases.yaml:2:5")


def test_a_case_may_expect_an_error(hello, nursery):
    twice = "[{id: 1, said: a, said_at: 2026-01-01}, {id: 1, said: b, said_at: 2026-01-01}]"
    text = f"cases:\n  - {{name: twice, given: {{files: {twice}}}, fails: E032}}\n"
    assert cases(hello, text, nursery).passed
    tested = cases(hello, text.replace("E032", "E033"), nursery)
    assert "more than once in one batch" in tested.failed[0].message
    tested = cases(hello, text.replace("id: 1, said: b", "id: 2, said: b"), nursery)
    assert tested.failed[0].message == "expected to fail with E032, and did not"


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("cases: [{name: a, given: {file: []}, fails: E032}]", "1:27", "Did you mean files?"),
        (
            "cases: [{name: a, given: {files: [{ids: 1}]}, fails: E032}]",
            "1:36",
            "Did you mean id?",
        ),
        ("cases: [{name: a, given: {files: [{id: x}]}, fails: E032}]", "1:40", 'id is int64, and "x" is not'),
        (
            "cases: [{name: a, given: {files: [{said_at: 2026-01-01T09:00}]}, fails: E032}]",
            "1:45",
            "said_at is timestamp",
        ),
        ("cases: [{name: a, given: {files: {file: no.csv}}, fails: E032}]", "1:41", "there is no file no.csv"),
        ("cases: [{name: a, given: {}, expect: {row: []}}]", "1:39", "Did you mean rows?"),
        ("cases: [{name: a, given: {}}]", "1:9", "either what to expect or how it fails"),
        ("case: []", "1:1", "Did you mean cases?"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused_with_its_place(hello, text, at, said):
    with pytest.raises(InvalidManifest) as refused:
        cases(hello, text)
    assert refused.value.where.endswith(f"tests/cases.yaml:{at}")
    assert said in refused.value.text()


def test_a_product_without_cases_and_one_that_is_broken(hello):
    (hello / "tests/cases.yaml").unlink()
    assert run_tests(hello) == Outcome("my/hello", ())
    (hello / "transform.sql").write_text("SELECT * FROM elsewhere", encoding="utf-8")
    with pytest.raises(InvalidManifest) as refused:
        run_tests(hello)
    assert refused.value.code == "E023"


AFTER = """\
product: my/after
archetype: aggregate
team: my
purpose: Counts
inputs:
  hello: {from: "my/hello:rows@1"}
  other: {from: "elsewhere/other"}
transform: {sql: count.sql}
outputs:
  rows:
    version: 1.0.0
    key: [said]
    actual_time: day
    columns:
      - {name: said, type: string}
      - {name: day, type: date}
      - {name: n, type: int64}
      - {name: share, type: double}
"""
CASE = """\
cases:
  - name: types come from the neighbour, or from how values are written
    given:
      hello: [{id: 1, said: 007, said_at: 2026-01-01T09:00Z}, {id: 2, said: 007, said_at: 2026-01-01T10:00Z}]
      other: [{day: 2026-01-01, whole: 4}, {day: 2026-01-02, whole: 0.5}]
    expect:
      rows: [{said: "007", day: 2026-01-01, n: 2, share: 0.5, actual_time: 2026-01-01}]
"""
SQL = """\
SELECT said, day, count(*) AS n, count(*) / any_value(whole) AS share
FROM hello JOIN other ON other.day = hello.said_at::DATE GROUP BY ALL
"""


def test_inputs_that_are_products_need_no_mesh(hello, nursery):
    folder = hello.parent / "after"
    (folder / "tests").mkdir(parents=True)
    (folder / "product.yaml").write_text(AFTER, encoding="utf-8")
    (folder / "count.sql").write_text(SQL, encoding="utf-8")
    tested = cases(folder, CASE, nursery)
    assert tested.passed, tested.failed[0].message


FILES = {
    "semicolons": "\ufeffZähler;Ablesung;Wert (kWh);ja\nA1;01.02.2026 00:15;1,5;x\nA1;13.02.2026 00:30;;NA\n".encode(),
    "no time": b"code,name,born\n1,Ann,1990-01-01\n2,Bob,\n",
    "utf-16": "id\tname\tseen\n1\tÖ\t01/31/2026\n2\tB\t02/01/2026\n".encode("utf-16"),
    "latin-1": "Nr;Größe\n1;1,5\n2;\n".encode("latin-1"),
    "cp1252": "Nr;Text\n1;„x“\n2;y\n".encode("cp1252"),
    "sql": b'id,a,b\n1,NA,"1.234,5"\n2,-,"2,25"\n3,7,\n4,NA,"3,0"\n',
    "repeats": b"a,b\n1,2\n1,2\n1,3\n",
    "no name": b",v\n0,1.5\n1,NA\n",
    "quoted nulls": b'"id","v","t"\n"1","","x"\n"2","5",""\n',
    "offsets": b"id,at\n1,31.01.2026 08:00+02:00\n2,01.02.2026 08:00+0100\n",
    "zulu": b"id,at\n1,31.01.2026 08:00Z\n2,01.02.2026 08:00Z\n",
    "iso": b"id,at,b\n1,2026-01-31 08:00:00.25,TRUE\n2,2026-02-01 08:00:00,FALSE\n",
    "short hours": b"id,at\n1,2026-01-31 8:00\n2,2026-02-01 10:00\n",
    "two forms of dates": b"id,a,b\n1,2026-01-31,31.01.2026\n2,2026-02-01,01.02.2026\n",
    "reserved": b"order,group,actual_time\n1,a,2026-01-01\n2,b,2026-01-02\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_product_from_a_file_passes_its_own_test(tmp_path, content, nursery):
    source = tmp_path / "file.csv"
    source.write_bytes(content)
    apply(plan_init(NAME, tmp_path / "my/file", source))
    tested = run_tests(tmp_path / "my/file", nursery)
    assert tested.cases
    assert tested.passed, tested.failed[0].message
