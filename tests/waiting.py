"""Waiting in tests: for a condition, with a deadline, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(condition: Callable[[], Found], seconds: float = 20, what: str = "") -> Found:
    """The first true value of `condition`, asked again and again. Fails with `what` at the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}; last seen: {found!r}")
        pause.wait(0.02)
