"""Watches a drop folder, so that a file is taken as soon as it counts. Where the kernel cannot tell, it looks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from tulle.container.intake import DropFolder

LOOK_SECONDS = 3.0
"""How often to look all the same: a network file system reports nothing."""


async def watch(drop: DropFolder, wake: Callable[[], None]) -> None:
    """Wakes the worker for every change in the folder, and every two seconds; runs until it is cancelled."""
    tasks = [asyncio.create_task(_look(wake))]
    if sys.platform == "linux":
        tasks.append(asyncio.create_task(_listen(drop, wake)))
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _look(wake: Callable[[], None]) -> None:
    while True:
        wake()
        await asyncio.sleep(LOOK_SECONDS)


async def _listen(drop: DropFolder, wake: Callable[[], None]) -> None:
    from asyncinotify import Inotify, Mask

    with Inotify() as inotify:
        inotify.add_watch(drop.folder, Mask.MOVED_TO | Mask.CLOSE_WRITE | Mask.CREATE | Mask.ONLYDIR)
        async for event in inotify:
            if event.name is not None and event.mask & Mask.MOVED_TO:
                drop.renamed_in(str(event.name))
            wake()
