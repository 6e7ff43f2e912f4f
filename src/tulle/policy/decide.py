"""Who may do what: a pure function of a request and rules, with reasons. It knows no product, no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["discover", "read", "subscribe", "observe", "control"]


@dataclass(frozen=True)
class Principal:
    """Who asks: a person (`person:ann`), a service or a product (`product:domain/name`), and the teams they are in."""

    subject: str
    teams: tuple[str, ...] = ()
    acting_for: str | None = None


@dataclass(frozen=True)
class Resource:
    """What is asked for: its address, the team that owns it, and who may read it (`*`, a subject, or `team:name`)."""

    address: str
    team: str
    readers: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True)
class Request:
    principal: Principal
    action: Action
    resource: Resource


@dataclass(frozen=True)
class Verdict:
    """The decision and why. `obligations` are what the sidecar must do to the answer (filters, masks)."""

    allowed: bool
    reasons: tuple[str, ...]
    obligations: tuple[str, ...] = ()


def decide(request: Request) -> Verdict:
    """The verdict on one request. Default deny: what no rule allows is refused."""
    who, resource = request.principal, request.resource
    if _owns(who, resource):
        return Verdict(True, (f"{who.subject} owns {resource.address}",))
    if request.action == "control":
        return Verdict(False, (f"only team {resource.team} may control {resource.address}",))
    if request.action == "discover":
        return Verdict(True, ("everyone signed in may discover",))
    return _as_reader(who, resource)


def _owns(who: Principal, resource: Resource) -> bool:
    in_team = resource.team in who.teams or "*" in who.teams
    itself = who.subject == f"product:{resource.address}"
    return in_team or itself or (bool(resource.owner) and who.subject == resource.owner)


def _as_reader(who: Principal, resource: Resource) -> Verdict:
    names = {who.subject, *(f"team:{team}" for team in who.teams)}
    for reader in resource.readers:
        if reader == "*" or reader in names:
            return Verdict(True, (f'{resource.address} names "{reader}" among its readers',))
    return Verdict(False, (f"{who.subject} is not among the readers of {resource.address}",))
