"""Permanent addresses: `https://<mesh id>/<domain>/<product>`, and the short form people type.

The short form is `domain/product[:port][@major]`. In SQL it is `domain.product` for the default port and
`domain."product:port@1"` for any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tulle.errors import UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_ADDRESS = re.compile(r"(?:https?://[^/]+/)?([^/:@]+)/([^/:@]+)(?::([^/:@]+))?(?:@(\d+))?")


@dataclass(frozen=True, order=True)
class ProductName:
    """A product's place in its mesh: `domain/product`."""

    domain: str
    product: str

    def __str__(self) -> str:
        return f"{self.domain}/{self.product}"

    def uri(self, mesh_id: str) -> str:
        """The permanent global address of the product."""
        return f"https://{mesh_id}/{self}"


@dataclass(frozen=True, order=True)
class PortAddress:
    """A port as a reader asks for it. `port` and `major` are None where the reader leaves the choice to the product."""

    product: ProductName
    port: str | None = None
    major: int | None = None

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        major = f"@{self.major}" if self.major else ""
        return f"{self.product}{port}{major}"


def parse_port(text: str) -> PortAddress:
    """The address in `text`, short or as a URI. Raises `UsageError` E010 for anything else."""
    match = _ADDRESS.fullmatch(text.strip())
    if not match:
        raise _bad_address(text)
    domain, product, port, major = match.groups()
    for part in (domain, product, port):
        if part is not None and not NAME.fullmatch(part):
            raise _bad_address(text)
    return PortAddress(ProductName(domain, product), port, int(major) if major else None)


def parse_product(text: str) -> ProductName:
    """The product in `text`. Raises `UsageError` E010 if it is no address or names a port."""
    address = parse_port(text)
    if address.port or address.major:
        raise UsageError("E010", f'"{text}" names a port; this takes a product', fix=str(address.product))
    return address.product


def _bad_address(text: str) -> UsageError:
    return UsageError(
        "E010",
        f'"{text}" is no address of a product',
        why="An address is domain/product[:port][@version]; names are lower case letters, digits, - and _.",
        fix="tulle search WORD finds products",
    )
