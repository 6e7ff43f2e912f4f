"""What a product that reads other products should do next: pure, over what it consumed and what it has heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tulle.errors import CheckFailed
from tulle.product.manifest import Manifest, ProductInput
from tulle.product.reading import Provenance
from tulle.times import AHEAD_ALLOWED, Moment

Moments = Mapping[str, Moment]
"""Input name to a published moment of its source."""


@dataclass(frozen=True)
class Heard:
    """What the sources have announced, per input: the last published moment, and the last actual time in it."""

    at: Moments
    actual: Moments


@dataclass(frozen=True)
class Consume:
    """Run now, with every input at its moment here. `moved` names the inputs that have something new."""

    at: Moments
    moved: tuple[str, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing to do, and why; `reason` is empty when everything that came has been consumed."""

    reason: str = ""
    look_again: bool = False


def next_step(manifest: Manifest, consumed: Moments, heard: Heard, wall: Moment) -> Consume | Wait:
    """Ready means: every declared input has published once, and one of them has a state not yet consumed.

    An input that waits for others holds the run until their actual time has caught up with its own; what comes later
    corrects later.
    """
    inputs, at = manifest.product_inputs, heard.at
    missing = [str(i.source.product) for i in inputs if i.name not in at]
    if missing:
        return Wait(f"waiting for the first publication of {', '.join(missing)}")
    ahead = [str(i.source.product) for i in inputs if at[i.name].micros > wall.micros + AHEAD_ALLOWED]
    if ahead:
        return Wait(f"{', '.join(ahead)} is ahead of this machine's clock; held until the clock has caught up", True)
    moved = tuple(i.name for i in inputs if at[i.name] > consumed.get(i.name, Moment(-1)))
    if not moved:
        return Wait()
    behind = [reason for i in inputs if (reason := _behind(i, heard.actual))]
    return Wait("; ".join(behind)) if behind else Consume({i.name: at[i.name] for i in inputs}, moved)


def _behind(port: ProductInput, actual: Moments) -> str:
    own = actual.get(port.name)
    late = [name for name in port.wait_for if own is not None and actual.get(name, Moment(-1)) < own]
    return f"waiting for {', '.join(late)} to reach {own}, where {port.name} is" if late else ""


@dataclass(frozen=True)
class Reached:
    """One input as a run read it: its product, the moment, and what that moment itself was made from."""

    product: str
    moment: Moment
    ancestors: Provenance


def merged(address: str, sources: Iterable[Reached]) -> dict[str, tuple[Moment, Moment]]:
    """The provenance of a run: per ancestor, transitively, the oldest and newest moment by which it was reached.

    Raises `CheckFailed` E024 if the reading product is among its own ancestors.
    """
    reached: dict[str, tuple[Moment, Moment]] = {}
    for source in sources:
        for name, oldest, newest in ((source.product, source.moment, source.moment), *source.ancestors):
            if name == address:
                raise _cycle(address, source.product)
            known = reached.get(name, (oldest, newest))
            reached[name] = (min(known[0], oldest), max(known[1], newest))
    return reached


def _cycle(address: str, via: str) -> CheckFailed:
    return CheckFailed(
        "E024",
        f"a cycle: {via} was itself made from {address}",
        why="What is made from this product cannot be an input of it.",
        fix=f"remove {via} from the inputs of {address}",
    )
