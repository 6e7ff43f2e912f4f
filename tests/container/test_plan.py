"""What a product should do next, decided from what it consumed and what it has heard."""

from __future__ import annotations

import pytest

from tulle.container.plan import Consume, Heard, Reached, Wait, merged, next_step
from tulle.errors import CheckFailed
from tulle.product.manifest import Manifest, ProductInput, Transform
from tulle.times import Moment
from tulle.uris import parse_port, parse_product

NOW = Moment(1_000_000_000)


def reading(*sources: str, wait_for: tuple[str, ...] = ()) -> Manifest:
    """A product with an input per source, named like its product; the first waits for the others in `wait_for`."""
    waits = [wait_for, *[()] * len(sources)]
    named = zip(sources, waits, strict=False)
    inputs = tuple(ProductInput(source.partition("/")[2], parse_port(source), wait) for source, wait in named)
    return Manifest(parse_product("c/d"), "aggregate", "c", "a test", inputs, Transform(), ())


def heard(actual: dict[str, int] | None = None, **at: int) -> Heard:
    """What each input has published last, and how far its actual time reaches."""
    reached = {name: Moment(moment) for name, moment in (actual or {}).items()}
    return Heard({name: Moment(moment) for name, moment in at.items()}, reached)


def test_an_input_that_waits_holds_the_run_until_the_others_have_caught_up() -> None:
    manifest = reading("a/flights", "b/weather", wait_for=("weather",))
    behind = next_step(manifest, {}, heard({"flights": 50, "weather": 40}, flights=7, weather=5), NOW)
    assert isinstance(behind, Wait)
    assert "waiting for weather" in behind.reason
    level = next_step(manifest, {}, heard({"flights": 50, "weather": 50}, flights=7, weather=9), NOW)
    assert isinstance(level, Consume)


def test_it_waits_for_the_first_publication_of_every_input() -> None:
    step = next_step(reading("a/x", "b/y"), {}, heard(x=5), NOW)
    assert step == Wait("waiting for the first publication of b/y")


def test_it_runs_when_one_input_has_something_new_with_all_inputs_pinned() -> None:
    consumed = {"x": Moment(6), "y": Moment(5)}
    step = next_step(reading("a/x", "b/y"), consumed, heard(x=7, y=5), NOW)
    assert step == Consume(heard(x=7, y=5).at, ("x",))


def test_it_rests_when_everything_has_been_consumed() -> None:
    assert next_step(reading("a/x"), {"x": Moment(7)}, heard(x=7), NOW) == Wait()


def test_an_input_ahead_of_the_clock_is_held_and_named() -> None:
    step = next_step(reading("a/x"), {}, heard(x=NOW.micros + 500_001), NOW)
    assert isinstance(step, Wait)
    assert "a/x" in step.reason
    assert step.look_again
    assert isinstance(next_step(reading("a/x"), {}, heard(x=NOW.micros + 500_000), NOW), Consume)


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
