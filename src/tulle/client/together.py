"""Asking several doors at the same time, and remembering what was seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tulle.product.reading import Stamp
from tulle.times import Moment
from tulle.uris import ProductName

AT_ONCE = 8
"""How many doors are asked side by side."""

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(do: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `do` makes of each item, asked at the same time, in order. The first error is raised."""
    if len(items) < 2:
        return [do(item) for item in items]
    with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="tulle-read") as pool:
        return list(pool.map(do, items))


class Seen:
    """The newest moments that this reader has seen, so that no later answer is older."""

    def __init__(self) -> None:
        self._moments: dict[str, Moment] = {}
        self._lock = threading.Lock()

    def note(self, stamp: Stamp) -> None:
        """Remembers the moments of an answer: its ports', and those it was made from."""
        products = {part.strip().partition(":")[0] for part in stamp.port.split(",")}
        with self._lock:
            for product in products:
                self._moments[product] = max(stamp.moment, self._moments.get(product, stamp.moment))

    def newest(self, products: Iterable[ProductName]) -> Moment:
        """The newest moment at which any of `products` was seen."""
        with self._lock:
            return max((self._moments.get(str(product), Moment(0)) for product in products), default=Moment(0))
