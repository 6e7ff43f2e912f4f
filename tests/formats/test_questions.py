from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import NotThere, UsageError
from tulle.formats.questions import (
    ChangeQuestion,
    change_pairs,
    change_question,
    port_path,
    read_pairs,
    read_question,
    split_format,
)
from tulle.product.reading import Predicate, Read
from tulle.times import Moment, Period, parse_moment
from tulle.uris import parse_port

PORT = parse_port("weather/hourly:rows@1")
COLUMNS = {
    "origin": "string",
    "limit": "int32",
    "a__gt": "string",
    "a": "double",
    "wet": "bool",
    "day": "date",
    "time_hour": "timestamp",
    "actual_time": "timestamp",
    "processing_time": "timestamp",
}


def ask(*pairs: tuple[str, str]) -> Read:
    return read_question(PORT, pairs, COLUMNS)


def test_words_of_an_address_become_a_question():
    asked = ask(
        ("origin", "EWR"),
        ("time_hour__gte", "2013-02-12"),
        ("_as_of", "2013-03-01T00:00Z"),
        ("at", "2013-02"),
        ("columns", "origin,a"),
        ("order", "-a,key"),
        ("_limit", "5"),
    )
    assert asked.where == (
        Predicate("origin", "=", "EWR"),
        Predicate("time_hour", ">=", "2013-02-12T00:00:00.000000Z"),
    )
    assert asked.as_of == parse_moment("2013-03-01")
    assert asked.at == Period(parse_moment("2013-02-01"), parse_moment("2013-03-01"))
    assert (asked.columns, asked.order, asked.limit) == (("origin", "a"), ("-a", "key"), 5)


def test_a_bare_parameter_is_never_a_column_and_an_operator_always_one():
    assert ask(("limit", "5")).limit == 5
    assert ask(("limit__eq", "5")).where == (Predicate("limit", "=", 5),)
    assert ask(("limit__null", "true")).where == (Predicate("limit", "is null"),)
    assert ask(("wet", "1"), ("origin__in", 'EWR,"a,b"')).where[1].value == ("EWR", "a,b")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("_limt", "5", "limit"),
        ("limt", "5", "limit"),
        ("orign", "EWR", "origin"),
        ("origin__like", "E%", "gte"),
        ("limit", "-1", "number of rows"),
        ("limit", "²", "number of rows"),
        ("a", "tall", "double"),
        ("limit__gt", "1.5", "int32"),
        ("wet", "maybe", "true or false"),
    ],
)
def test_what_cannot_be_read_says_what_can(name, text, said):
    with pytest.raises(UsageError) as refusal:
        ask((name, text))
    assert refusal.value.code == "E011"
    assert said in refusal.value.text()


def test_an_unknown_parameter_lists_the_valid_ones():
    with pytest.raises(UsageError) as refusal:
        ask(("_limt", "5"))
    assert "as_of, at, columns, order, limit" in refusal.value.why
    assert "Did you mean _limit" in refusal.value.why


def test_two_values_for_one_column_are_refused_with_the_form_that_works():
    with pytest.raises(UsageError) as refusal:
        ask(("origin", "EWR"), ("origin", "JFK"))
    assert "origin__in" in refusal.value.fix
    with pytest.raises(UsageError):
        ask(("limit", "1"), ("_limit", "2"))


@pytest.mark.parametrize("name", ["columns", "order"])
def test_a_lost_column_is_named(name):
    with pytest.raises(NotThere) as lost:
        ask((name, "orign"))
    assert lost.value.code == "E201"
    assert "origin" in lost.value.why


def test_moments_without_a_zone_and_with_a_lost_plus():
    with pytest.raises(UsageError) as naive:
        ask(("as_of", "2013-02-12T08:00"))
    assert naive.value.code == "E072"
    assert ask(("as_of", "2013-02-12T08:00 01:00")).as_of == parse_moment("2013-02-12T07:00Z")


def test_questions_for_changes():
    asked = change_question([("since", "2013-02-12"), ("every", "1"), ("_follow", "true")])
    assert asked == ChangeQuestion(parse_moment("2013-02-12"), every=True, follow=True)
    assert change_question(change_pairs(asked)) == asked
    with pytest.raises(UsageError):
        change_question([("limit", "1")])


def test_addresses():
    assert split_format("rows@1.csv") == ("rows@1", "csv")
    assert split_format("rows@1") == ("rows@1", None)
    assert split_format("rows.parquet") == ("rows.parquet", None)
    assert port_path(PORT) == "/weather/hourly/rows@1"
    assert port_path(parse_port("weather/hourly")) == "/weather/hourly/rows"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=8)
MOMENTS = st.integers(0, 4_000_000_000_000_000).map(Moment)
FLOATS = st.floats(allow_nan=False)
VALUES = st.one_of(
    st.builds(Predicate, st.sampled_from(["origin", "a__gt"]), st.sampled_from(["=", "!=", "<", ">="]), TEXTS),
    st.builds(Predicate, st.just("a"), st.sampled_from(["<=", ">"]), FLOATS),
    st.builds(Predicate, st.just("a"), st.just("in"), st.lists(FLOATS, max_size=3).map(tuple)),
    st.builds(Predicate, st.just("origin"), st.just("in"), st.lists(TEXTS, max_size=3).map(tuple)),
    st.builds(Predicate, st.just("limit"), st.sampled_from(["!=", "<"]), st.integers(-9, 9)),
    st.builds(Predicate, st.just("wet"), st.just("!="), st.booleans()),
    st.builds(Predicate, st.just("time_hour"), st.just("<"), MOMENTS.map(str)),
    st.builds(Predicate, st.just("day"), st.sampled_from(["is null", "is not null"])),
)


@given(
    st.lists(VALUES, max_size=4, unique_by=lambda p: p.column).map(tuple),
    st.none() | MOMENTS,
    st.none() | st.integers(0, 9),
    st.lists(st.sampled_from(["-a", "origin", "key"]), unique=True).map(tuple),
)
def test_a_question_comes_back_from_its_address_as_it_was(where, at, limit, order):
    asked = Read(PORT, Moment(5), at, ("origin", "limit"), where, order, limit)
    assert read_question(PORT, read_pairs(asked), COLUMNS) == asked
