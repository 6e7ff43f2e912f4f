"""How a product is, in one line: its state and, where nothing happens, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STOPPED, AWAY, HIDDEN = "Stopped", "Away", "Hidden"
"""States that a product does not tell itself: it cannot begin, does not answer, or may not be seen."""


def line(product: str, status: Mapping[str, Any], heard: str, error: Mapping[str, str]) -> dict[str, Any]:
    """The status that a product told, or what keeps it from telling; `heard` says when it last did."""
    if not error:
        return {**status, "product": product, "heard": heard}
    state = _state_of(error)
    last = {name: status[name] for name in ("published", "inputs") if name in status}
    return {**last, "product": product, "state": state, "reason": _reason(error), "heard": heard, "error": dict(error)}


def _state_of(error: Mapping[str, str]) -> str:
    if error.get("kind") in ("Denied", "Unidentified"):
        return HIDDEN
    return STOPPED if error.get("what", "").endswith("cannot begin") else AWAY


def _reason(error: Mapping[str, str]) -> str:
    why = error.get("why", "")
    return why.splitlines()[0] if why else error.get("what", "")
