"""Streams of a product: who listens is told of every publication as it happens, and can go on where they stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from tulle.container.parts import Bell, Parts
from tulle.container.serve import Serve
from tulle.formats.events import STILL_HERE, change_events, event
from tulle.times import Moment
from tulle.uris import PortAddress

KEEP_ALIVE_SECONDS = 15.0


class Streams:
    """Server-sent events over the publications of one product."""

    def __init__(self, parts: Parts, bell: Bell, serve: Serve) -> None:
        self._parts, self._bell, self._serve = parts, bell, serve

    async def announcements(self, since: Moment | None) -> AsyncIterator[str]:
        """One event per publication; the newest at once, so that a reader who was away catches up in one step."""
        async for moment in self._published_after(since or Moment(-1)):
            if moment is None:
                yield STILL_HERE
                continue
            said = {"moment": str(moment), "product": self._parts.address, "actual": self._last_actual()}
            yield event("published", said, str(moment))

    async def changes(self, port: PortAddress, since: Moment, *, every: bool) -> AsyncIterator[str]:
        """Every change after `since`, as it is published; the id of the last of each publication is its moment."""
        async for moment in self._published_after(since):
            if moment is None:
                yield STILL_HERE
                continue
            served = await asyncio.to_thread(self._serve.changes, port, since, moment, every=every)
            for text in change_events(served.rows, moment):
                yield text
            since = moment

    async def _published_after(self, since: Moment) -> AsyncIterator[Moment | None]:
        """The newest published moment whenever it is past `since`; None now and then, to keep the line open."""
        loop, rung = asyncio.get_running_loop(), asyncio.Event()
        leave = self._bell.listen(lambda: loop.call_soon_threadsafe(rung.set))
        try:
            while True:
                rung.clear()
                published = self._parts.log.published()
                if published > since and self._has_data():
                    since = published
                    yield published
                    continue
                try:
                    await asyncio.wait_for(rung.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield None
        finally:
            leave()

    def _last_actual(self) -> dict[str, str]:
        """Per table, how far its facts reach in actual time."""
        reached: dict[str, str] = {}
        for entry in self._parts.log.entries():
            for table, tally in entry.tables.items():
                moments = [str(file.max_actual) for file in tally.files]
                reached[table] = max([*moments, reached.get(table, "")])
        return {table: moment for table, moment in reached.items() if moment}

    def _has_data(self) -> bool:
        """Whether anything but a parked batch has been published: what has no data yet has nothing to announce."""
        return any(entry.story.kind != "park" for entry in self._parts.log.entries())


def streamed(events: AsyncIterator[str]) -> Response:
    """The response that sends events as they come."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
