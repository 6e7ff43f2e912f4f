"""What a product should do next, decided from what it consumed and what it has heard."""

from __future__ import annotations

import pytest

from tulle.container.plan import Consume, Reached, Wait, merged, next_step
from tulle.errors import CheckFailed
from tulle.product.manifest import Manifest, ProductInput, Transform
from tulle.times import Moment
from tulle.uris import parse_port, parse_product

NOW = Moment(1_000_000_000)


def reading(*sources: str) -> Manifest:
    inputs = tuple(ProductInput(source.partition("/")[2], parse_port(source)) for source in sources)
    return Manifest(parse_product("c/d"), "aggregate", "c", "a test", inputs, Transform(), ())


def test_it_waits_for_the_first_publication_of_every_input() -> None:
    step = next_step(reading("a/x", "b/y"), {}, {"x": Moment(5)}, NOW)
    assert step == Wait("waiting for the first publication of b/y")


def test_it_runs_when_one_input_has_something_new_with_all_inputs_pinned() -> None:
    heard = {"x": Moment(7), "y": Moment(5)}
    step = next_step(reading("a/x", "b/y"), {"x": Moment(6), "y": Moment(5)}, heard, NOW)
    assert step == Consume(heard, ("x",))


def test_it_rests_when_everything_has_been_consumed() -> None:
    heard = {"x": Moment(7)}
    assert next_step(reading("a/x"), heard, heard, NOW) == Wait()


def test_an_input_ahead_of_the_clock_is_held_and_named() -> None:
    step = next_step(reading("a/x"), {}, {"x": NOW.plus(500_001)}, NOW)
    assert isinstance(step, Wait)
    assert "a/x" in step.reason
    assert step.look_again
    assert isinstance(next_step(reading("a/x"), {}, {"x": NOW.plus(500_000)}, NOW), Consume)


def test_an_ancestor_reached_on_two_paths_keeps_its_oldest_and_newest_moment() -> None:
    old = Reached("punctuality/ontime", Moment(30), (("weather/hourly", Moment(10), Moment(10)),))
    new = Reached("weather/hourly", Moment(20), ())
    assert merged("punctuality/daily", (old, new)) == {
        "punctuality/ontime": (Moment(30), Moment(30)),
        "weather/hourly": (Moment(10), Moment(20)),
    }


def test_an_input_made_from_the_reading_product_is_refused_as_a_cycle() -> None:
    with pytest.raises(CheckFailed) as refused:
        merged("c/d", (Reached("a/x", Moment(5), (("c/d", Moment(1), Moment(1)),)),))
    assert refused.value.code == "E024"
    assert "a/x" in refused.value.fix
