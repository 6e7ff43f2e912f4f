from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import InvalidManifest
from tulle.formats import yaml_text


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "p.yaml:3:1", 'the key "a" stands twice; first on line 1'),
        ("a: {b: 1, b: 2}\n", "p.yaml:1:11", "stands twice"),
        ("a: &x 1\n", "p.yaml:1:4", "the anchor &x"),
        ("a: *x\n", "p.yaml:1:4", "the alias *x"),
        ("a: !!python/object:os.system x\n", "p.yaml:1:4", "the tag"),
        ("a: !x\n", "p.yaml:1:4", "the tag"),
        ("a: 1\n---\nb: 2\n", "p.yaml:2:1", "a second document"),
        ("? [1, 2]\n: 3\n", "p.yaml:1:3", "a key must be a word"),
        ("a: [1, 2\nb: 3\n", "p.yaml:2", "not YAML"),
        ("a:\n\t- 1\n", "p.yaml:2", "not YAML"),
        ("a: b\0c\n", "p.yaml", "YAML"),
        ("", "p.yaml:1:1", "empty"),
        ("# only this\n", "p.yaml:1:1", "empty"),
        ("[" * 41 + "]" * 41, "p.yaml:1", "nested deeper than 40"),
        ("[" * 200_000, "p.yaml:1", "nested deeper than 40"),
        ("a: " + "x" * 1_000_001, "p.yaml", "larger than 1,000,000 bytes"),
        ("a: \ud800", "p.yaml:1:4", "not Unicode"),
    ],
)
def test_what_is_not_strict_yaml_is_refused_with_its_place(text, at, said):
    with pytest.raises(InvalidManifest) as refused:
        yaml_text.parse(text, "p.yaml")
    assert refused.value.code == "E020"
    assert refused.value.where.startswith(at)
    assert said in f"{refused.value.what} {refused.value.why}"


def test_scalars_stay_text_until_somebody_says_what_they_are():
    node = yaml_text.parse("a: no\nb: 1.0\nc: 'null'\nd: ~\ne: 2013-01-01\n", "p.yaml")
    assert isinstance(node, yaml_text.Mapping)
    assert [value.value for value in node.values.values() if isinstance(value, yaml_text.Scalar)] == [
        "no", "1.0", "null", "~", "2013-01-01",
    ]  # fmt: skip
    assert yaml_text.plain(node) == {"a": "no", "b": 1.0, "c": "null", "d": None, "e": "2013-01-01"}


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert yaml_text.plain(yaml_text.parse("\ufeffa: 1\n", "p.yaml")) == {"a": 1}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_never_anything_else(text):
    try:
        yaml_text.plain(yaml_text.parse(text, "p.yaml"))
    except InvalidManifest as refused:
        assert refused.code == "E020"


@given(
    st.recursive(st.text("ab&*!{}[]:,#'\"|>-? \n\t", max_size=8), lambda x: st.lists(x).map("\n".join), max_leaves=20)
)
def test_any_soup_of_yaml_signs_is_read_or_refused(text):
    try:
        yaml_text.parse(text, "p.yaml")
    except InvalidManifest as refused:
        assert refused.code == "E020"
