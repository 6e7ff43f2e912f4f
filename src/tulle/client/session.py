"""The verbs without a mesh in hand: they use the one that is meant where the program runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tulle.client.answer import Answer
from tulle.client.changes import Changes
from tulle.client.doors import Place, find_mesh
from tulle.client.mesh import Mesh, When
from tulle.client.sign_in import LIFE
from tulle.client.where import Where
from tulle.errors import CODES, NotThere, nearest
from tulle.times import Latest, Period

_meshes: dict[Place, Mesh] = {}
_lock = threading.Lock()


def mesh() -> Mesh:
    """The mesh that is meant here. The same one as before, as long as it is the same mesh."""
    place = find_mesh()
    with _lock:
        return _meshes.setdefault(place, Mesh.at(place))


def load(
    address: str,
    as_of: When | Latest | None = None,
    at: When | Period | None = None,
    columns: Sequence[str] | None = None,
    where: Where = None,
    order: Sequence[str] | str | None = None,
    limit: int | None = None,
) -> Answer:
    """Rows of a port. `as_of`: as the mesh knew it then. `at`: as it was in the world then."""
    return mesh().load(address, as_of, at, columns, where, order, limit)


read = load


def sql(text: str, as_of: When | Latest | None = None, at: When | Period | None = None) -> Answer:
    """One SELECT over any products."""
    return mesh().sql(text, as_of, at)


def history(address: str, where: Where = None, limit: int | None = None) -> Answer:
    """Every version of the facts that `where` matches."""
    return mesh().history(address, where, limit)


def changes(
    address: str,
    since: When | None = None,
    until: When | None = None,
    follow: bool = False,  # noqa: FBT001  # a word of the SDK
    every: bool = False,  # noqa: FBT001  # same
) -> Changes:
    """What changed after `since`, change by change."""
    return mesh().changes(address, since, until, follow, every)


def search(words: str = "") -> dict[str, Any]:
    """Products that match words."""
    return mesh().search(words)


def describe(address: str) -> dict[str, Any]:
    """A product's description."""
    return mesh().describe(address)


def lineage(address: str | None = None) -> dict[str, Any]:
    """What is made from what."""
    return mesh().lineage(address)


def status(address: str | None = None) -> dict[str, Any]:
    """How a product is, or all of them."""
    return mesh().status(address)


def retract(
    address: str,
    where: Mapping[str, Any] | str,
    reason: str,
    wait: bool = False,  # noqa: FBT001  # a word of the SDK
    expect: int | None = None,
    preview: bool = False,  # noqa: FBT001  # same
) -> dict[str, Any]:
    """Takes facts back where they entered the mesh."""
    return mesh().retract(address, where, reason, wait, expect, preview)


def lift(address: str, where: Mapping[str, Any] | str, reason: str, preview: bool = False) -> dict[str, Any]:  # noqa: FBT001  # a word of the SDK
    """Lifts a retraction."""
    return mesh().lift(address, where, reason, preview)


def run(
    address: str,
    full: bool = False,  # noqa: FBT001  # a word of the SDK
    parked: bool = False,  # noqa: FBT001  # same
    since: When | None = None,
) -> dict[str, Any]:
    """Runs a product again."""
    return mesh().run(address, full, parked, since)


def wait(address: str, seen: tuple[str, When] | str, seconds: float = 60.0) -> dict[str, Any]:
    """Returns once a product has seen a moment of another."""
    return mesh().wait(address, seen, seconds)


def log(address: str, limit: int = 20) -> list[dict[str, Any]]:
    """What a product published, newest first."""
    return mesh().log(address, limit)


def logs(address: str, limit: int = 50) -> list[Any]:
    """What a product's process and code said."""
    return mesh().logs(address, limit)


def token(subject: str = "", teams: Sequence[str] | None = None, seconds: int = LIFE) -> str:
    """A token to ask with."""
    return mesh().token(subject, teams, seconds)


def explain(code: str) -> str:
    """What the code of an error means, and how to mend it. Raises `NotThere` E404 for a code that there is not."""
    known = CODES.get(code.upper())
    if known is None:
        raise NotThere("E404", f'no error code "{code}"', why=nearest(code.upper(), CODES))
    return f"{code.upper()}: {known.title}\n\n{known.text}"
