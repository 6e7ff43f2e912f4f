"""What is asked of a port, and what comes back. The one value that walks from face to storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tulle.times import LATEST, AsOf, At, Moment
from tulle.uris import PortAddress

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "is null", "is not null"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Predicate:
    """`column operator value`. For `in` the value is a tuple; for `is null` it is None. Values are text or numbers."""

    column: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...] = None


@dataclass(frozen=True)
class Read:
    """A question to one output port. Every part has a default, so that users who do not care never see it."""

    port: PortAddress
    as_of: AsOf = LATEST
    at: At = None
    columns: tuple[str, ...] = ()
    where: tuple[Predicate, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None


Provenance = tuple[tuple[str, Moment, Moment], ...]
"""Per ancestor, transitively: `domain/product`, and the oldest and newest published moment by which it was reached."""


@dataclass(frozen=True)
class Stamp:
    """What every answer carries besides its rows."""

    port: str
    moment: Moment
    provenance: Provenance
    digest: str
    rows: int
    contract: str
    warnings: tuple[str, ...] = ()
