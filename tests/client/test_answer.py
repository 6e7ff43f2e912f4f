from __future__ import annotations

import pyarrow as pa
import pytest

from tests.client.conftest import FEBRUARY, MARCH, weather
from tulle.client.answer import Answer, digest_of
from tulle.client.where import predicates
from tulle.errors import UsageError
from tulle.product.reading import Predicate, Stamp

STAMP = Stamp("weather/hourly:rows@1", MARCH, (("a/b", FEBRUARY, MARCH),), "2:abcdef", 2, "1.0.0", ("look out",))


def test_an_answer_shows_its_rows_and_what_they_are():
    text = repr(Answer(weather(1.5, float("nan")), STAMP))
    assert text.splitlines()[0].split()[:3] == ["origin", "wind", "day"]
    assert "2 rows · weather/hourly:rows@1 · contract 1.0.0 · as of 2013-03-01T00:00:00.000000Z" in text
    assert text.endswith("warning: look out")
    many = Answer(pa.table({"n": list(range(50)), "t": ["x" * 90] * 50}), STAMP)
    assert "… 40 more" in repr(many)
    assert max(map(len, repr(many).splitlines()[:11])) < 40


def test_html_escapes_what_rows_say():
    page = Answer(pa.table({"<b>": ["<script>"]}), STAMP)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_frames_carry_the_stamp():
    answer = Answer(weather(1, 2), STAMP)
    assert answer.pandas().attrs["tulle"]["digest"] == "2:abcdef"
    assert answer.polars().shape == (2, 5)
    assert answer.arrow().num_rows == len(answer) == len(list(answer)) == 2
    assert answer.csv().splitlines()[1] == "EWR,1,2013-01-01,2013-01-01T00:00:00Z,2013-02-01T00:00:00Z"
    assert answer.json_rows()[0]["actual_time"] == "2013-01-01T00:00:00Z"


def test_a_digest_does_not_depend_on_order_or_batches():
    rows = weather(1, 2, 3)
    turned = pa.concat_tables([rows.slice(2), rows.slice(0, 2)])
    assert digest_of(rows) == digest_of(turned)
    assert digest_of(rows) != digest_of(rows.slice(1))
    assert digest_of(rows) != digest_of(rows.rename_columns(["a", *rows.column_names[1:]]))
    twice = pa.concat_tables([rows, rows.slice(0, 1), rows.slice(0, 1)])
    assert digest_of(twice) != digest_of(rows)


def test_conditions_in_python():
    assert predicates({"a__gte": 1, "b": None, "c": {2}, "d__e": "x"}) == (
        Predicate("a", ">=", 1),
        Predicate("b", "is null"),
        Predicate("c", "in", (2,)),
        Predicate("d__e", "=", "x"),
    )
    assert predicates([Predicate("a", "<", 1)]) == (Predicate("a", "<", 1),)
    with pytest.raises(UsageError):
        predicates({"a": object()})
