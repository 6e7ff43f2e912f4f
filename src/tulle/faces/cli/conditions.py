"""Conditions as they are typed: `origin=EWR`, `wind_speed>200`, `origin='EWR' and day=2013-02-12`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tulle.errors import UsageError
from tulle.product.reading import Operator, Predicate

_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
_COMPARED = re.compile(r"\s*\"?([A-Za-z_][\w ]*?)\"?\s*(<=|>=|!=|<>|=|<|>)\s*(.*?)\s*", re.DOTALL)
_NULL = re.compile(r"\s*\"?([A-Za-z_]\w*)\"?\s+is\s+(not\s+)?null\s*", re.IGNORECASE)
_IN = re.compile(r"\s*\"?([A-Za-z_]\w*)\"?\s+in\s*\((.*)\)\s*", re.IGNORECASE | re.DOTALL)
_OPERATORS: dict[str, Operator] = {"=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def conditions(texts: Iterable[str]) -> tuple[Predicate, ...]:
    """What the words after `--where` say. Raises `UsageError` E011 for more than plain comparisons."""
    return tuple(_condition(part) for text in texts for part in _AND.split(text) if part.strip())


def facts(texts: Sequence[str]) -> dict[str, str] | str:
    """The same for a retraction: columns and their values where that is all there is, else the SQL as it stands."""
    try:
        found = conditions(texts)
    except UsageError:
        return " and ".join(f"({text})" for text in texts) if len(texts) > 1 else texts[0]
    if all(one.operator == "=" for one in found) and len({one.column for one in found}) == len(found):
        return {one.column: str(one.value) for one in found}
    return " and ".join(texts)


def _condition(text: str) -> Predicate:
    if match := _NULL.fullmatch(text):
        return Predicate(match[1], "is not null" if match[2] else "is null")
    if match := _IN.fullmatch(text):
        return Predicate(match[1], "in", tuple(_value(part) for part in match[2].split(",")))
    if match := _COMPARED.fullmatch(text):
        return Predicate(match[1], _OPERATORS[match[2]], _value(match[3]))
    why = "It takes column=value, also with !=, <, <=, >, >=, in (…) and is null, joined by and."
    raise UsageError("E011", f"--where cannot be read: {text}", why=why, fix='tulle sql "select … where …"')


def _value(text: str) -> str:
    text = text.strip()
    quoted = len(text) >= 2 and text[0] == text[-1] == "'"
    if not quoted and re.search(r"['()]|\s(or|and)\s", text, re.IGNORECASE):
        raise UsageError("E011", f"--where cannot be read: {text}", fix='tulle sql "select … where …"')
    return text[1:-1].replace("''", "'") if quoted else text
