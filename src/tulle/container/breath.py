"""Gives memory back when a product has nothing to do: idle products are many on one machine."""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa

from tulle.storage.log import Log


def breathe_out(log: Log) -> None:
    """Returns to the system what the last run no longer needs: the engine's, Arrow's, and the allocator's own."""
    log.rest()
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
