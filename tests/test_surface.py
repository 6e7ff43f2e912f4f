"""The public surface: what `import tulle` gives is what is pinned here, each with a docstring."""

from __future__ import annotations

import tulle

SURFACE = [
    "Answer",
    "Mesh",
    "Moment",
    "TulleError",
    "changes",
    "connect",
    "describe",
    "explain",
    "history",
    "lift",
    "lineage",
    "load",
    "log",
    "logs",
    "read",
    "retract",
    "run",
    "search",
    "sql",
    "status",
    "token",
    "wait",
]


def test_the_surface_is_what_is_pinned() -> None:
    assert sorted(tulle.__all__) == SURFACE
    assert set(tulle.__all__) <= set(dir(tulle))


def test_everything_public_says_what_it_is() -> None:
    assert [name for name in tulle.__all__ if not (getattr(tulle, name).__doc__ or "").strip()] == []


def test_the_version_is_the_distribution_s() -> None:
    from importlib.metadata import version

    assert tulle.__version__ == version("tulle")
