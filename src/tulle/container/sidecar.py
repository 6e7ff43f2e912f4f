"""The one way in: every read and every control call is identified, decided and recorded here, before anything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tulle.container.parts import Parts
from tulle.errors import Denied
from tulle.policy.decide import Action, Principal, Request, decide

Identify = Callable[[str | None], Mapping[str, Any]]
"""From a bearer token to its verified claims; raises `Unidentified` E310 or E311."""


class Sidecar:
    """Decides who gets past the door of one product."""

    def __init__(self, parts: Parts, identify: Identify) -> None:
        self._parts, self._identify = parts, identify

    def admit(self, token: str | None, action: Action, detail: str = "") -> Principal:
        """The principal behind `token`, if policy lets it do `action` here. The decision is recorded first.

        Raises `Unidentified` without a good token, `Denied` E301 with the reasons of the verdict.
        """
        principal = principal_of(self._identify(token))
        request = Request(principal, action, self._parts.resource)
        verdict = decide(request)
        self._parts.decisions.record(request, verdict, detail)
        if not verdict.allowed:
            raise _refusal(request, verdict.reasons)
        return principal


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Who a token's claims speak of."""
    acting = claims.get("act") or {}
    return Principal(claims["sub"], tuple(claims.get("teams", ())), acting.get("sub"))


def _refusal(request: Request, reasons: tuple[str, ...]) -> Denied:
    what = f"no access: {request.principal.subject} may not {request.action} {request.resource.address}"
    fix = f"ask team {request.resource.team} to name you among the readers"
    return Denied("E301", what, why="\n".join(reasons), fix=fix)
