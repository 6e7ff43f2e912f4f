"""The record of every decision of one product, written before the answer: who, what, verdict and reasons.

A full disk must not silence the product at once: room for the next decisions is put by while there is some.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tulle.errors import Unavailable
from tulle.policy.decide import Request, Verdict
from tulle.times import wall_clock
from tulle.utility_plane import kernel

PUT_BY = 256_000
"""Bytes that are put by for decisions: about a thousand of them."""


class Decisions:
    """Append-only files, one a day. A decision that cannot be recorded is a refusal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def record(self, request: Request, verdict: Verdict, detail: str = "") -> None:
        """Writes one decision. Raises `Unavailable` E004 where it cannot be written: then nothing may be answered."""
        now = wall_clock()
        line = {
            "time": str(now),
            "who": request.principal.subject,
            "for": request.principal.acting_for,
            "action": request.action,
            "what": request.resource.address,
            "allowed": verdict.allowed,
            "reasons": list(verdict.reasons),
            "detail": detail,
        }
        data = (json.dumps(line) + "\n").encode()
        file = self._folder / f"{now.as_datetime():%Y-%m-%d}.jsonl"
        try:
            with self._lock:
                _append(file, data)
        except OSError as full:
            raise Unavailable("E004", "the decision cannot be recorded, so it is no", why=str(full)) from full

    def newest(self, most: int) -> Iterator[dict[str, Any]]:
        """The newest decisions, newest first."""
        for file in sorted(self._folder.glob("*.jsonl"), reverse=True):
            for line in reversed(file.read_text(encoding="utf-8").splitlines()):
                if most <= 0:
                    return
                most -= 1
                yield json.loads(line)


def _append(file: Path, data: bytes) -> None:
    """Adds a line, whole or not at all."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(descriptor)
        if before.st_blocks * 512 - before.st_size < PUT_BY // 2:
            kernel.put_by(descriptor, PUT_BY)
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, before.st_size)
            raise OSError("a decision was cut short")
    finally:
        os.close(descriptor)
