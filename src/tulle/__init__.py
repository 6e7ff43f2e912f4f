"""Tulle, a data mesh: `tulle.load("weather/hourly")`, `tulle.sql("select ...")`, `tulle.connect()`.

Nothing is loaded before it is used: importing this package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from tulle.client.answer import Answer
    from tulle.client.mesh import Mesh, connect
    from tulle.client.session import (
        changes,
        describe,
        explain,
        history,
        lift,
        lineage,
        load,
        log,
        logs,
        read,
        retract,
        run,
        search,
        sql,
        status,
        token,
        wait,
    )
    from tulle.errors import TulleError
    from tulle.times import Moment

_SESSION = "tulle.client.session"
_HOMES = {
    "Answer": "tulle.client.answer",
    "Mesh": "tulle.client.mesh",
    "Moment": "tulle.times",
    "TulleError": "tulle.errors",
    "changes": _SESSION,
    "connect": "tulle.client.mesh",
    "describe": _SESSION,
    "explain": _SESSION,
    "history": _SESSION,
    "lift": _SESSION,
    "lineage": _SESSION,
    "load": _SESSION,
    "log": _SESSION,
    "logs": _SESSION,
    "read": _SESSION,
    "retract": _SESSION,
    "run": _SESSION,
    "search": _SESSION,
    "sql": _SESSION,
    "status": _SESSION,
    "token": _SESSION,
    "wait": _SESSION,
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tulle")
    if name not in _HOMES:
        raise AttributeError(f"module 'tulle' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
