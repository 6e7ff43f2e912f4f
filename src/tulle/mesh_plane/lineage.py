"""What is made from what, as the products themselves say: their declared inputs, and the moments that reached them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tulle.client.operating import source_of


@dataclass(frozen=True, order=True)
class Edge:
    """`product` reads `source`, through its input `port`. The moments of the source by which it was reached, if any."""

    source: str
    product: str
    port: str = ""
    oldest: str = ""
    newest: str = ""

    def document(self) -> dict[str, str]:
        """The edge as others read it: `from`, `to`."""
        named = asdict(self)
        return {"from": named.pop("source"), "to": named.pop("product"), **{k: v for k, v in named.items() if v}}


def edges(
    descriptions: Mapping[str, Mapping[str, Any]], provenances: Mapping[str, Mapping[str, Any]]
) -> tuple[Edge, ...]:
    """Every edge that a product declares, with the moments that its provenance names."""
    found = []
    for name, description in descriptions.items():
        reached = provenances.get(name, {}).get("provenance", {})
        for port in description.get("inputs", ()):
            if port.get("kind") != "product":
                continue
            source = str(source_of(port))
            found.append(Edge(source, name, port.get("name", ""), *reached.get(source, ("", ""))))
    return tuple(sorted(found))


def lineage(known: tuple[Edge, ...], products: Iterable[str], name: str | None = None) -> dict[str, Any]:
    """The edges as a document, with the same as a tree in text; around `name`, or of the whole mesh."""
    if name is None:
        named = sorted({*products, *(edge.source for edge in known)})
        return {"products": named, "edges": [e.document() for e in known], "text": "\n".join(_forest(known, named))}
    above, below = upstream(known, name), downstream(known, name)
    near = [e for e in known if {e.source, e.product} <= above | {name} or {e.source, e.product} <= below | {name}]
    text = [*_tree(known, name, up=True), *list(_tree(known, name, up=False))[1:]]
    return {
        "product": name,
        "made_from": sorted(above),
        "goes_into": sorted(below),
        "edges": [edge.document() for edge in near],
        "text": "\n".join(text),
    }


def upstream(known: Iterable[Edge], name: str) -> set[str]:
    """Every product that `name` is made from, directly or through others."""
    return _reach([(edge.product, edge.source) for edge in known], name)


def downstream(known: Iterable[Edge], name: str) -> set[str]:
    """Every product that is made from `name`, directly or through others."""
    return _reach([(edge.source, edge.product) for edge in known], name)


def _reach(steps: list[tuple[str, str]], start: str) -> set[str]:
    found: set[str] = set()
    pending = [start]
    while pending:
        here = pending.pop()
        fresh = {there for at, there in steps if at == here} - found
        found |= fresh
        pending += fresh
    return found - {start}


def _forest(known: Iterable[Edge], products: Iterable[str]) -> Iterator[str]:
    """What ends in nothing else, each with what it is made from below it."""
    known = tuple(known)
    feeding = {edge.source for edge in known}
    ends = [name for name in products if name not in feeding]
    for name in ends or sorted(products):
        yield from _tree(known, name, up=True)


def _tree(known: Iterable[Edge], name: str, *, up: bool, path: tuple[str, ...] = ()) -> Iterator[str]:
    """A product, and indented below it what it is made from (`<-`) or what is made from it (`->`)."""
    known = tuple(known)
    sign = "" if not path else "<- " if up else "-> "
    yield f"{'  ' * len(path)}{sign}{name}"
    if name in path:  # a circle cannot run, but it can be declared
        return
    steps = {e.source for e in known if e.product == name} if up else {e.product for e in known if e.source == name}
    for other in sorted(steps):
        yield from _tree(known, other, up=up, path=(*path, name))
