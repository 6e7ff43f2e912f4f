"""The same small mesh as the client's tests have: the mesh plane sees products through the client only."""

from __future__ import annotations

from tests.client.conftest import doors, issuer, mesh, running

__all__ = ["doors", "issuer", "mesh", "running"]
