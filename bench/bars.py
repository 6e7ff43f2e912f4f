"""What a benchmark answers: a figure beside the bar that it should keep under."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """One promise: `measured` should be at most `bar`, both in `unit` (`x` is a ratio). `detail` says how it came."""

    name: str
    measured: float
    bar: float
    unit: str = "x"
    detail: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return "ok" if self.measured <= self.bar else "short"

    def line(self) -> str:
        measured, bar = f"{self.measured:.2f} {self.unit}", f"{self.bar:g} {self.unit}"
        return f"{self.name:<44} {measured:>14}   bar {bar:>9}   {self.verdict}"


@dataclass(frozen=True)
class Bench:
    """One benchmark; `run` measures and gives its bars."""

    name: str
    run: Callable[[], Iterable[Bar]]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The values' median and range, as text."""
    return f"{median(values):.{digits}f} [{min(values):.{digits}f} .. {max(values):.{digits}f}]"
