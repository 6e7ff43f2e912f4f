"""What the portal shows of products, read from their own ports as the one who looks: nobody sees more here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

_PATIENCE = 3.0
_AT_ONCE = 16


@dataclass(frozen=True)
class Known:
    """A product as its ports describe it. Empty parts were not told: its door is away, or this reader may not see."""

    name: str
    description: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        if self.status:
            return str(self.status.get("state", ""))
        return "" if self.description else "Away"


async def gather_products(
    connections: httpx.AsyncClient, records: Mapping[str, Mapping[str, Any]], token: str
) -> list[Known]:
    """Every product's description and status, asked for side by side, in order of name."""
    found: dict[str, Known] = {}
    slots = anyio.CapacityLimiter(_AT_ONCE)

    async def one(name: str, door: str) -> None:
        async with slots:
            description = await _part(connections, f"{door}/{name}", token)
            status = await _part(connections, f"{door}/{name}/observability/status", token) if description else {}
        found[name] = Known(name, description, status)

    async with anyio.create_task_group() as tasks:
        for name, record in records.items():
            tasks.start_soon(one, name, str(record["door"]))
    return [found[name] for name in sorted(found)]


async def gather_product(connections: httpx.AsyncClient, name: str, door: str, token: str) -> Known:
    """One product with a sample of its rows."""
    base = f"{door}/{name}"
    parts: dict[str, Mapping[str, Any]] = {}

    async def part(key: str, path: str) -> None:
        parts[key] = await _part(connections, base + path, token)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(part, "description", "")
        tasks.start_soon(part, "status", "/observability/status")
        tasks.start_soon(part, "sample", "/discovery/sample")
    return Known(name, **parts)


async def _part(connections: httpx.AsyncClient, url: str, token: str) -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    try:
        answer = await connections.get(url, headers=headers, timeout=_PATIENCE)
        document = answer.json() if answer.status_code == 200 else {}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
