"""Finding products by words: an exact name or address first, then an exact column, then whatever else they say."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EXACT_NAME, EXACT_COLUMN = 1_000.0, 100.0
MOST = 50
_WORD = re.compile(r"[^\W_]+")

Descriptions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Said:
    """Something that a product says of itself: what kind of thing, the text, and what a word found in it is worth."""

    kind: str
    text: str
    worth: float


def search(descriptions: Descriptions, words: str) -> dict[str, Any]:
    """Products in which every word is found, or any where none has them all. Without words: every product."""
    asked = _words(words)
    scored = [_scored(name, description, words.strip().lower(), asked) for name, description in descriptions.items()]
    most = max((found["words"] for found in scored), default=0)
    kept = [found for found in scored if not asked or found["score"] >= EXACT_COLUMN or 0 < found["words"] == most]
    kept.sort(key=lambda found: (-found["score"], found["product"]))
    document: dict[str, Any] = {"query": words, "found": [_shown(found) for found in kept[:MOST]]}
    return document if kept else document | {"hint": _hint(descriptions, asked)}


def _scored(name: str, description: Mapping[str, Any], whole: str, asked: list[str]) -> dict[str, Any]:
    score, matched, why = 0.0, set(), dict[str, None]()
    exact = _exact(name, description, whole)
    if exact:
        score, why = exact[0], dict.fromkeys([exact[1]])
    for said in _sayings(name, description):
        for word, found in _matches(asked, _words(said.text)):
            matched.add(word)
            score += said.worth if word == found else said.worth / 2
            why[f"{said.kind} {said.text}" if len(said.text) <= 40 else f"{said.kind}: {found}"] = None
    facts = {key: description.get(key, "") for key in ("purpose", "team", "archetype")}
    return {"product": name, **facts, "score": score, "words": len(matched), "why": list(why)[:4]}


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "words"}


def _exact(name: str, description: Mapping[str, Any], whole: str) -> tuple[float, str] | None:
    """A whole query that is the product's name or address, or a column of it."""
    domain, _, product = name.partition("/")
    addresses = {str(output.get("address", "")) for output in description.get("outputs", ())}
    if whole and whole in {name, product, f"{domain}.{product}", str(description.get("uri", "")), *addresses}:
        return EXACT_NAME, f"name {name}"
    if any(column["name"].lower() == whole for column in _columns(description)):
        return EXACT_COLUMN, f"column {whole}"
    return None


def _sayings(name: str, description: Mapping[str, Any]) -> Iterator[Said]:
    domain, _, product = name.partition("/")
    yield Said("name", product, 20)
    yield Said("domain", domain, 15)
    yield from (Said("tag", str(tag), 12) for tag in description.get("tags", ()))
    yield from (Said(who, str(description[who]), 8) for who in ("team", "owner") if description.get(who))
    yield Said("purpose", str(description.get("purpose", "")), 6)
    for output in description.get("outputs", ()):
        yield Said("meaning", str(output.get("meaning", "")), 4)
    for column in _columns(description):
        yield Said("column", column["name"], 10)
        yield Said("column", column.get("meaning", ""), 2)


def _columns(description: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for output in description.get("outputs", ()):
        yield from output.get("columns", ())


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.lower() for word in _WORD.findall(text)))


def _matches(asked: list[str], said: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of an asked word and the said one that it means: the same, its plural, or its beginning."""
    for word in asked:
        for other in said:
            if word == other or _stem(word) == _stem(other) or (len(word) >= 3 and other.startswith(word)):
                yield word, other
                break


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _hint(descriptions: Descriptions, asked: list[str]) -> str:
    """The nearest words that products do say, with how many say each."""
    counts: Counter[str] = Counter()
    for name, description in descriptions.items():
        counts.update({word for said in _sayings(name, description) for word in _words(said.text)})
    close = [near for word in asked for near in difflib.get_close_matches(word, counts, n=3, cutoff=0.6)]
    if close:
        told = ", ".join(f'"{word}" ({counts[word]})' for word in dict.fromkeys(close))
        return f"Nearest words: {told}. fix: tulle search {close[0]}"
    domains = sorted({name.partition("/")[0] for name in descriptions})
    return (
        f"Domains: {', '.join(domains)}. fix: tulle search {domains[0]}" if domains else "The mesh has no products yet."
    )
