from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tulle.product_plane.compare import difference

NOON = datetime(2013, 2, 12, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expected", "came", "said"),
    [
        ([{"a": 1}], [{"a": 1, "b": 2}], []),
        ([{"a": 2}, {"a": 1}], [{"a": 1}, {"a": 2}], []),
        ([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1, "b": 3}], []),
        ([{"a": 0.1 + 0.2}], [{"a": 0.3}], []),
        ([{"a": float("nan")}], [{"a": float("nan")}], []),
        ([{"a": 1, "b": 2}], [{"a": 1, "b": 3}], ["~ a=1: b is 3, expected 2"]),
        ([{"a": 1, "t": NOON}], [{"a": 1, "t": None}], ["~ a=1: t is null, expected 2013-02-12T12:00Z"]),
        ([{"a": 1}], [], ["- a=1"]),
        ([], [{"a": 1, "b": True}], ["+ a=1 b=true"]),
        ([{"a": 1}], [{"a": 1, "b": 1}, {"a": 1, "b": 2}], ["+ a=1"]),
        ([{"a": True}], [{"a": 1}], ["- a=true", "+ a=1"]),
        ([{"a": n} for n in range(20)], [], [*(f"- a={n}" for n in range(10)), "and 10 more"]),
    ],
)
def test_rows_are_compared_in_any_order_and_only_by_what_was_said(expected, came, said):
    assert difference(expected, came) == said
