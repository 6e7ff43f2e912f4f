"""The observability port: how the product is doing, what it did, what it is made from, who asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from tulle.container.parts import Bell, Condition, Parts
from tulle.errors import Unavailable
from tulle.storage.shapes import Entry
from tulle.times import Moment


def status(parts: Parts, condition: Condition) -> dict[str, Any]:
    """The product in a few words: its state, and in one line why nothing happens."""
    state, reason = _state(parts, condition)
    head = parts.log.head()
    document: dict[str, Any] = {
        "product": parts.address,
        "state": state,
        "reason": reason,
        "published": str(head.processing_time) if head else None,
        "entries": head.seq if head else 0,
        "running": condition.running,
        "parked": len(parts.log.parked()),
        "warnings": list(condition.warnings),
        "inputs": {name: str(moment) for name, moment in sorted(condition.upstream.items())},
        "revision": parts.revision,
        "sandbox": parts.workshop.isolation(),
    }
    if condition.error:
        document["error"] = condition.error.as_document()
    return document


def metrics(parts: Parts, condition: Condition) -> dict[str, Any]:
    """Numbers about the product's service since its container started, and about its last run."""
    last = next(parts.runs.newest(1), {})
    return {"counts": dict(condition.counts), "tables": _sizes(parts), "last_run": last.get("milliseconds", {})}


def ledger(parts: Parts, most: int) -> list[dict[str, Any]]:
    """The newest publications, newest first."""
    head = parts.log.head()
    entries = list(parts.log.entries(after=max(0, (head.seq if head else 0) - most)))
    return [_entry(entry) for entry in reversed(entries)]


def provenance(parts: Parts) -> dict[str, Any]:
    """What the last published moment was made from, transitively."""
    head = parts.log.head()
    reached = head.story.provenance if head else {}
    return {
        "product": parts.address,
        "moment": str(head.processing_time) if head else None,
        "revision": head.story.revision if head else None,
        "provenance": {name: [str(oldest), str(newest)] for name, (oldest, newest) in sorted(reached.items())},
    }


def covers(parts: Parts, product: str, moment: Moment) -> bool:
    """Whether everything published here has seen `product` at `moment` or later, by every path."""
    if product == parts.address:
        return parts.log.published() >= moment
    head = parts.log.head()
    reached: Mapping[str, tuple[Moment, Moment]] = head.story.provenance if head else {}
    return product in reached and reached[product][0] >= moment


async def seen(parts: Parts, bell: Bell, product: str, moment: Moment, seconds: float) -> dict[str, Any]:
    """Answers once `moment` of `product` has reached this one. Raises `Unavailable` E074 when that takes too long."""
    loop, rung = asyncio.get_running_loop(), asyncio.Event()
    leave = bell.listen(lambda: loop.call_soon_threadsafe(rung.set))
    deadline = loop.time() + seconds
    try:
        while not covers(parts, product, moment):
            try:
                await asyncio.wait_for(rung.wait(), max(0.0, deadline - loop.time()))
            except TimeoutError:
                raise _too_long(parts, product, moment, seconds) from None
            rung.clear()
    finally:
        leave()
    return provenance(parts)


def _too_long(parts: Parts, product: str, moment: Moment, seconds: float) -> Unavailable:
    return Unavailable(
        "E074",
        f"{parts.address} has not seen {product}@{moment} after {seconds:g} s",
        fix=f"tulle status {parts.address}",
    )


def _state(parts: Parts, condition: Condition) -> tuple[str, str]:
    if condition.running:
        return "Running", condition.running
    parked = parts.log.parked()
    if condition.state == "Fresh" and parked:
        last = parked[-1]
        return "Degraded", f"{len(parked)} batch(es) parked, the last: {last['error']['what']}"
    return condition.state, condition.reason


def _sizes(parts: Parts) -> dict[str, dict[str, int]]:
    sizes: dict[str, dict[str, int]] = {}
    for entry in parts.log.entries():
        for table, tally in entry.tables.items():
            size = sizes.setdefault(table, {"files": 0, "rows": 0, "bytes": 0})
            size["files"] += len(tally.files)
            size["rows"] += sum(file.rows for file in tally.files)
            size["bytes"] += sum(file.bytes for file in tally.files)
    return sizes


def _entry(entry: Entry) -> dict[str, Any]:
    story = entry.story
    document: dict[str, Any] = {
        "seq": entry.seq,
        "moment": str(entry.processing_time),
        "kind": story.kind,
        "tables": {name: _tally(tally) for name, tally in entry.tables.items()},
        "hash": entry.hash,
    }
    told: Iterator[tuple[str, Any]] = iter((("who", story.who), ("reason", story.reason), ("run", story.run)))
    document |= {name: value for name, value in told if value}
    if story.provenance:
        reached = sorted(story.provenance.items())
        document["provenance"] = {name: [str(oldest), str(newest)] for name, (oldest, newest) in reached}
    if story.cursors:
        document["inputs"] = dict(story.cursors)
    return document


def _tally(tally: Any) -> dict[str, int]:
    return {name: getattr(tally, name) for name in ("inserted", "corrected", "retracted", "unchanged")}
