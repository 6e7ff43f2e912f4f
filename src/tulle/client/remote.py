"""Names of a mesh on another machine: asked of its front door, which is also where every question then goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tulle.client.calls import Call, Calls
from tulle.client.doors import Doors
from tulle.client.sign_in import Token
from tulle.errors import NotThere


class FrontNames:
    """The names that a front door gives out."""

    def __init__(self, front_door: str, token: Token, patience: float) -> None:
        self._calls = Calls(Doors(_NoNames(), front_door), token, patience)

    def resolve(self, name: str) -> Mapping[str, Any] | None:
        try:
            record: Mapping[str, Any] = self._calls.document(Call(f"/names/{name}"))
        except NotThere:
            return None
        return record

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self._calls.document(Call("/names"))
        return found


class _NoNames:
    def resolve(self, name: str) -> Mapping[str, Any] | None:  # noqa: ARG002  # there is none
        return None

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        return {}
